# SPDX-License-Identifier: BSD-2-Clause
"""Contend for a file by python3-filelock, as the lines of the standard input say.

Usage: python3 -I filelock.py PATH

The lines are "lock", "trylock" and "unlock", and each is answered by "yes" or "no";
before the first there is a "yes" too.  -I, since this file has the package's name.
"""
import os
import sys

from filelock import FileLock, Timeout

WORD_MAX = 16


def main(path):
    lock = FileLock(path)

    def trylock():
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return b"no\n"
        return b"yes\n"

    def always(action):
        def obey():
            action()
            return b"yes\n"
        return obey

    orders = {b"lock\n": always(lock.acquire), b"trylock\n": trylock,
              b"unlock\n": always(lock.release)}
    os.write(1, b"yes\n")
    while order := os.read(0, WORD_MAX):
        os.write(1, orders[order]())


main(sys.argv[1])
