/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "locker.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <lockfile-pid.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int library_open(void **ret_handle, const char *path)
{
	struct lockfile_pid *lock;
	int r = lockfile_pid_new(&lock, path);

	if (r == 0)
		*ret_handle = lock;
	return r;
}

static int library_trylock(void *handle)
{
	return lockfile_pid_trylock(handle);
}

static int library_lock(void *handle)
{
	return lockfile_pid_lock(handle);
}

static int library_unlock(void *handle)
{
	return lockfile_pid_unlock(handle);
}

static void library_close(void *handle)
{
	lockfile_pid_free(handle);
}

const struct locker library_locker = {
	"library", true, library_open, library_trylock, library_lock, library_unlock, library_close,
};

/*
 * The naive locker does what many do: link a file that is complete; if there is
 * one, read its PID, ask kill(2), unlink the dead one's file by its name and
 * try again.  Both of its faults are old acquaintances: by the time of the
 * unlink another file can stand there, and a file that vanishes while it is
 * judged counts as invalid, so its successor is unlinked.
 */
struct naive {
	char path[PATH_MAX];
	char own[PATH_MAX + sizeof(".2147483647")];
};

static int naive_open(void **ret_handle, const char *path)
{
	struct naive *naive = malloc(sizeof(*naive));

	if (naive == NULL)
		return -ENOMEM;
	snprintf(naive->path, sizeof(naive->path), "%s", path);
	snprintf(naive->own, sizeof(naive->own), "%s.%d", naive->path, (int)getpid());
	*ret_handle = naive;
	return 0;
}

static int naive_write_own(const struct naive *naive)
{
	FILE *file = fopen(naive->own, "we");

	if (file == NULL)
		return -errno;
	fprintf(file, "%d\n", (int)getpid());
	return fclose(file) == 0 ? 0 : -errno;
}

static int naive_is_alive(const struct naive *naive)
{
	FILE *file = fopen(naive->path, "re");
	int pid = 0;

	if (file == NULL)
		return 0;
	if (fscanf(file, "%d", &pid) != 1)
		pid = 0;
	fclose(file);
	return pid > 0 && (kill(pid, 0) == 0 || errno != ESRCH);
}

static int naive_link(const struct naive *naive)
{
	while (link(naive->own, naive->path) < 0) {
		if (errno != EEXIST)
			return -errno;
		if (naive_is_alive(naive))
			return LOCKFILE_PID_ERR_BUSY;
		sched_yield(); /* the window is there without; this opens it wide */
		unlink(naive->path);
	}
	return 0;
}

static int naive_trylock(void *handle)
{
	int r = naive_write_own(handle);

	if (r == 0)
		r = naive_link(handle);
	unlink(((const struct naive *)handle)->own);
	return r;
}

static int naive_lock(void *handle)
{
	const struct timespec pause = { .tv_nsec = 100000 };
	int r;

	while ((r = naive_trylock(handle)) == LOCKFILE_PID_ERR_BUSY)
		nanosleep(&pause, NULL);
	return r;
}

static int naive_unlock(void *handle)
{
	unlink(((const struct naive *)handle)->path);
	return 0;
}

static void naive_close(void *handle)
{
	free(handle);
}

const struct locker naive_locker = {
	"naive locker", false, naive_open, naive_trylock, naive_lock, naive_unlock, naive_close,
};
