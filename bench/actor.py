# SPDX-License-Identifier: BSD-2-Clause
"""Do with python3-filelock what an actor does (actor.h).

Usage: python3 -I actor.py PATH

Words come from descriptor 0, answers go to descriptor 3.
"""
import os
import select
import sys

from filelock import FileLock, Timeout

WORDS = 0
ANSWERS = 3


def trylock(lock):
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return b"n"
    return b"y"


def outlive():
    os.close(ANSWERS)
    poll = select.poll()
    poll.register(WORDS, 0)
    poll.poll()
    os._exit(0)


def fork_child():
    if os.fork() == 0:
        outlive()
    return b"y"


def fork_and_exit():
    pid = os.fork()
    if pid == 0:
        sys.exit()
    os.waitpid(pid, 0)
    return b"y"


def main(path):
    lock = FileLock(path)
    while word := os.read(WORDS, 1):
        answer = (trylock(lock) if word == b"t" else
                  fork_child() if word == b"f" else fork_and_exit())
        os.write(ANSWERS, answer)


try:
    main(sys.argv[1])
except PermissionError:
    sys.exit(f"{sys.argv[1]}: answer: kept out: may not open the file")
except OSError as error:
    sys.exit(f"{sys.argv[1]}: {error.strerror}")
