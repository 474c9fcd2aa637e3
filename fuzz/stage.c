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

pid_t lockfile_pid_holder(const struct lockfile_pid *lock)
{
	PROPERTY(lock->path == stage.path);
	return stage.wrong & STAGE_HELD ? getpid() : 0;
}

/* wait.c */

int wait_for_lock(struct lockfile_pid *lock, const struct patience *patience,
                  const struct signals *signals, int *ret_signal)
{
	PROPERTY(lock->path == stage.path && signals != NULL);
	*ret_signal = 0;
	stage.waits++;
	stage.patience = *patience;
	if (stage.wrong & STAGE_HELD)
		return LOCKFILE_PID_ERR_BUSY;
	return stage.wrong & STAGE_WAIT_FAILS ? -EACCES : 0;
}

enum report report_kind(int verbose)
{
	return verbose ? REPORT_AT_ONCE : REPORT_NOTHING;
}

/* command.c */

int command_become(char **argv)
{
	stage.became++;
	stage.command = argv;
	return STAGE_STATUS;
}

int command_run(char **argv, const struct signals *signals, const struct lockfile_pid *watched,
                int descendants, struct end *ret_end)
{
	PROPERTY(signals != NULL);
	PROPERTY(!watched || watched->path == stage.path);
	stage.commands++;
	stage.command = argv;
	stage.watched = watched != NULL;
	stage.descendants = descendants;
	*ret_end = (struct end){ .status = STAGE_STATUS };
	return 0;
}

/* signals.c */

void signals_hold(struct signals *signals)
{
	(void)signals;
}

void signals_release(const struct signals *signals)
{
	(void)signals;
}

void signals_drop_own(void)
{
}

void signals_die(int sig)
{
	(void)sig;
	abort();
}

/* Commands whose arguments are not fuzzed: as a command that there is not. */

int signal_main(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return RUN_FAILED;
}

int lock_main(int argc, char **argv)
{
	return signal_main(argc, argv);
}

int unlock_main(int argc, char **argv)
{
	return signal_main(argc, argv);
}
