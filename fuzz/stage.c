/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "stage.h"

#include "fuzz.h"

#include <errno.h>
#include <lockfile-pid.h>
#include <stdlib.h>
#include <unistd.h>

/* On the heap, so that one that is used or given back too late is found. */
struct lockfile_pid {
	const char *path;
};

struct stage stage;

int stage_is_empty(void)
{
	return stage.made == stage.freed;
}

/* The library */

int lockfile_pid_new(struct lockfile_pid **ret_lock, const char *path)
{
	PROPERTY(path != NULL && stage.made == 0);
	stage.path = path;
	if (stage.wrong & STAGE_NEW_FAILS)
		return -EINVAL;
	*ret_lock = malloc(sizeof(**ret_lock));
	if (!*ret_lock)
		abort();
	(*ret_lock)->path = path;
	stage.made++;
	return 0;
}

void lockfile_pid_free(struct lockfile_pid *lock)
{
	stage.freed += lock != NULL;
	free(lock);
}

const char *lockfile_pid_path(const struct lockfile_pid *lock)
{
	return lock->path;
}

int lockfile_pid_set_mode(struct lockfile_pid *lock, unsigned int mode)
{
	PROPERTY(lock->path == stage.path && stage.waits == 0);
	stage.modes++;
	stage.mode = mode;
	return stage.wrong & STAGE_MODE_FAILS ? -EINVAL : 0;
}

int lockfile_pid_set_cluster_locks(struct lockfile_pid *lock, int cluster)
{
	PROPERTY(lock->path == stage.path && stage.waits == 0 && stage.checks == 0);
	stage.cluster_locks = cluster;
	return 0;
}

int lockfile_pid_check(const struct lockfile_pid *lock, pid_t *ret_pid)
{
	PROPERTY(lock->path == stage.path);
	stage.checks++;
	if (!(stage.wrong & STAGE_HELD))
		return 0;
	*ret_pid = getpid();
	return LOCKFILE_PID_ERR_BUSY;
}

int lockfile_pid_fileno(const struct lockfile_pid *lock)
{
	PROPERTY(lock->path == stage.path && stage.waits == 1);
	return stage.wrong & STAGE_NO_DESCRIPTOR ? -EBADF : STDIN_FILENO;
}

int lockfile_pid_unlock(struct lockfile_pid *lock)
{
	PROPERTY(lock->path == stage.path && stage.commands == 1);
	stage.unlocks++;
	return 0;
}

/* wait.c */

int wait_for_lock(struct lockfile_pid *lock, long long timeout_ms, enum report report)
{
	PROPERTY(lock->path == stage.path);
	stage.waits++;
	stage.timeout_ms = timeout_ms;
	stage.report = report;
	if (stage.wrong & STAGE_HELD)
		return LOCKFILE_PID_ERR_BUSY;
	return stage.wrong & STAGE_WAIT_FAILS ? -EACCES : 0;
}

/* command.c */

int command_become(char **argv)
{
	stage.became++;
	stage.command = argv;
	return STAGE_STATUS;
}

int command_run(char **argv, const struct signals *signals, const struct lockfile_pid *watched,
                int *ret_lost)
{
	PROPERTY(signals != NULL);
	PROPERTY(!watched || watched->path == stage.path);
	stage.commands++;
	stage.command = argv;
	stage.watched = watched != NULL;
	*ret_lost = 0;
	return STAGE_STATUS;
}

/* signals.c */

void signals_catch(struct signals *signals)
{
	(void)signals;
}

void signals_hold(struct signals *signals)
{
	(void)signals;
}

void signals_release(const struct signals *signals)
{
	(void)signals;
}

int signals_caught(void)
{
	return 0;
}

void signals_die(int sig)
{
	(void)sig;
	abort();
}
