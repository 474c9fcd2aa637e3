/* SPDX-License-Identifier: BSD-2-Clause */
/* port-open PIDFILE - tests/port-plain.c by this library */
#include <lockfile-pid.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct lockfile_pid *lock;
	sigset_t end;
	pid_t other;
	int number, r;

	if (argc != 2)
		return 2;
	umask(022);
	sigemptyset(&end);
	sigaddset(&end, SIGTERM);
	sigprocmask(SIG_BLOCK, &end, NULL);
	r = lockfile_pid_open(&lock, argv[1], LOCKFILE_PID_INHERITABLE, &other);
	if (r == LOCKFILE_PID_ERR_BUSY) {
		fprintf(stderr, "already running as process %ld\n", (long)other);
		return 1;
	}
	if (r < 0 || daemon(1, 0) < 0)
		return 1;
	if (lockfile_pid_adopt(lock) < 0)
		return 1;
	sigwait(&end, &number); /* the work */
	lockfile_pid_free(lock);
	return 0;
}
