/* SPDX-License-Identifier: BSD-2-Clause */
/* port-steps PIDFILE - tests/port-plain.c by the functions of which lockfile_pid_open() is made */
#include <lockfile-pid.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int take(struct lockfile_pid **lock, const char *path)
{
	int r = lockfile_pid_new(lock, path);

	if (r == 0)
		r = lockfile_pid_set_inheritable(*lock, 1);
	if (r == 0)
		r = lockfile_pid_trylock(*lock);
	return r;
}

static void tell(const struct lockfile_pid *lock, int error)
{
	pid_t other = 0;

	/* the holder of now, which may be another than the one that we lost to */
	if (error == LOCKFILE_PID_ERR_BUSY)
		error = lockfile_pid_check(lock, &other);
	if (error == LOCKFILE_PID_ERR_BUSY)
		fprintf(stderr, "already running as process %ld\n", (long)other);
	else
		fprintf(stderr, "%s\n", lockfile_pid_strerror(error));
}

int main(int argc, char **argv)
{
	struct lockfile_pid *lock = NULL;
	sigset_t end;
	int number, r;

	if (argc != 2)
		return 2;
	umask(022);
	sigemptyset(&end);
	sigaddset(&end, SIGTERM);
	sigprocmask(SIG_BLOCK, &end, NULL);
	r = take(&lock, argv[1]);
	if (r < 0) {
		tell(lock, r);
		lockfile_pid_free(lock);
		return 1;
	}
	if (daemon(1, 0) < 0)
		return 1;
	r = lockfile_pid_adopt(lock);
	if (r < 0)
		return 1;
	sigwait(&end, &number); /* the work */
	lockfile_pid_free(lock);
	return 0;
}
