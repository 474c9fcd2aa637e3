/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Programs with which a script locks: a process for each call, and to unlock one more
 * where their manuals say so.  Where they write a PID it is that of their parent, which
 * is the contender, as a shell would be.
 */
#include <config.h>

#include "bench.h"
#include "command.h"
#include "contender.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

/* Found once; NULL where it is not installed. */
static const char *dotlockfile, *lockfile_create, *lockfile_remove, *lockfile, *rm, *flock_command;

static bool find(const char **program, const char *name)
{
	if (!*program)
		*program = command_find(name);
	return *program != NULL;
}

#define ORPHANED 7 /* L_ORPHANED of lockfile_create(3), which looks whose child it is */

/* Is it ours?  The status BUSY says no; all but that and 0 is a failure. */
static bool try(const char *const *argv, int busy)
{
	char what[32];
	int status = command_ask(argv);

	if (status == 0 || status == busy)
		return status == 0;
	if (status == ORPHANED && argv[0] != lockfile)
		decline(argv[0], "refuses: its parent is process 1");
	snprintf(what, sizeof(what), "exit status %d", status);
	fail(argv[0], "trylock", what);
}

/* dotlockfile(1): 5 s between looks, 10 s, and so on to 60; in no hurry with -r alone. */

#define DOTLOCKFILE_BUSY 4 /* L_MAXTRYS of lockfile_create(3) */

static bool dotlockfile_is_here(void)
{
	return find(&dotlockfile, "dotlockfile");
}

static void dotlockfile_lock(struct contender *contender)
{
	command_run((const char *const[]){ dotlockfile, "-l", "-p", "-r", "-1", contender->path,
	                                   NULL });
}

static bool dotlockfile_trylock(struct contender *contender)
{
	return try((const char *const[]){ dotlockfile, "-l", "-p", "-q", "-r", "0", contender->path,
	                                  NULL },
	           DOTLOCKFILE_BUSY);
}

static void dotlockfile_unlock(struct contender *contender)
{
	command_run((const char *const[]){ dotlockfile, "-u", contender->path, NULL });
}

const struct peer dotlockfile_peer = {
	.name = "dotlockfile",
	.waits = true,
	.looks_s = 5,
	.is_here = dotlockfile_is_here,
	.open = contender_no_preparation,
	.close = contender_no_preparation,
	.lock = dotlockfile_lock,
	.trylock = dotlockfile_trylock,
	.unlock = dotlockfile_unlock,
};

/* lockfile-progs(1): the same intervals.  It knows no "for ever", and -1 fails at once. */

#define LOCKFILE_CREATE_BUSY 4
#define FOR_EVER             "1000000"

static bool lockfile_create_is_here(void)
{
	return find(&lockfile_create, "lockfile-create") &&
	       find(&lockfile_remove, "lockfile-remove");
}

static void lockfile_create_lock(struct contender *contender)
{
	command_run((const char *const[]){ lockfile_create, "-p", "-r", FOR_EVER, "-l",
	                                   contender->path, NULL });
}

static bool lockfile_create_trylock(struct contender *contender)
{
	return try((const char *const[]){ lockfile_create, "-p", "-q", "-r", "0", "-l",
	                                  contender->path, NULL },
	           LOCKFILE_CREATE_BUSY);
}

static void lockfile_create_unlock(struct contender *contender)
{
	command_run((const char *const[]){ lockfile_remove, "-l", contender->path, NULL });
}

const struct peer lockfile_create_peer = {
	.name = "lockfile-create",
	.waits = true,
	.looks_s = 5,
	.is_here = lockfile_create_is_here,
	.open = contender_no_preparation,
	.close = contender_no_preparation,
	.lock = lockfile_create_lock,
	.trylock = lockfile_create_trylock,
	.unlock = lockfile_create_unlock,
};

/* lockfile(1) of procmail: 8 s between looks, for ever.  No PID, and rm to unlock. */

#define LOCKFILE_BUSY 73 /* EX_CANTCREAT of <sysexits.h> */

static bool procmail_is_here(void)
{
	return find(&lockfile, "lockfile") && find(&rm, "rm");
}

static void procmail_lock(struct contender *contender)
{
	command_run((const char *const[]){ lockfile, contender->path, NULL });
}

static bool procmail_trylock(struct contender *contender)
{
	return try((const char *const[]){ lockfile, "-r", "0", contender->path, NULL },
	           LOCKFILE_BUSY);
}

static void procmail_unlock(struct contender *contender)
{
	command_run((const char *const[]){ rm, "-f", contender->path, NULL });
}

const struct peer procmail_peer = {
	.name = "procmail lockfile",
	.waits = true,
	.looks_s = 8,
	.is_here = procmail_is_here,
	.open = contender_no_preparation,
	.close = contender_no_preparation,
	.lock = procmail_lock,
	.trylock = procmail_trylock,
	.unlock = procmail_unlock,
};

/* flock(1): on the descriptor of a subshell, here the contender, until that is closed. */

#define FLOCK_BUSY 1

static bool flock_is_here(void)
{
	return find(&flock_command, "flock");
}

/*
 * A redirection of a shell; whatever is started has it.  For reading, as flock(1) opens a
 * file itself: the lock asks for no more, and the file may be another user's.
 */
static void redirect(struct contender *contender)
{
	contender->fd = open(contender->path, O_CREAT | O_RDONLY, 0644);
	if (contender->fd < 0)
		fail(contender->path, "open", strerror(errno));
}

/* Not by closing alone: a worker that was started meanwhile shares the descriptor. */
static void end_redirection(struct contender *contender)
{
	if (flock(contender->fd, LOCK_UN) < 0 || close(contender->fd) < 0)
		fail(contender->path, "unlock", strerror(errno));
}

static void flock_lock(struct contender *contender)
{
	char number[16];

	redirect(contender);
	snprintf(number, sizeof(number), "%d", contender->fd);
	command_run((const char *const[]){ flock_command, number, NULL });
}

static bool flock_trylock(struct contender *contender)
{
	char number[16];

	redirect(contender);
	snprintf(number, sizeof(number), "%d", contender->fd);
	if (try((const char *const[]){ flock_command, "-n", number, NULL }, FLOCK_BUSY))
		return true;
	close(contender->fd);
	return false;
}

const struct peer flock_command_peer = {
	.name = "flock(1)",
	.waits = true,
	.is_here = flock_is_here,
	.open = contender_no_preparation,
	.close = contender_no_preparation,
	.lock = flock_lock,
	.trylock = flock_trylock,
	.unlock = end_redirection,
};
