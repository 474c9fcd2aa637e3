/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * explore - a scene of up to three processes in every order of their steps
 *
 * A schedule says, at each step, who makes it.  By itself a process goes on until
 * it sleeps or ends, and then the next one does.  What differs from that is a
 * deviation, written NUMBER:WHAT, of the step's number and
 *
 *	rN	process N makes the step
 *	tN	the time of process N, which sleeps, is up
 *	kN	process N is killed
 *
 * To take the turn from a process that could go on is a preemption; to let time
 * pass while one could go on counts as two.  All schedules are tried that have so
 * many preemptions, and kills, at most, each once; or random ones.  Processes that
 * are alike make their first steps in their order.
 *
 * Environment:
 * EXPLORE_PREEMPTIONS	how many in a schedule, 1 where it is not set; of three processes
 *			that do not all have O_TMPFILE, one less.  With a kill two less,
 *			and three less for three processes.  If it is not set, kills of
 *			three are tried with O_TMPFILE alone
 * EXPLORE_RANDOM	how many random schedules of each scene
 * EXPLORE_SEED		where they start; it is printed when one fails
 * EXPLORE_SCENE	this scene alone
 * EXPLORE		"SCENE WAY DEVIATION...": this schedule alone, step by step
 */
#ifndef EXPLORE_H
#define EXPLORE_H

#include <stdbool.h>

struct lockfile_pid;

#define ACTORS       3
#define EXPLORE_PATH "x.pid"

/* Two users, and a group of both, in scenes that need root. */
#define EXPLORE_USER_1 65533
#define EXPLORE_USER_2 65534
#define EXPLORE_GROUP  65534

/* What an actor does, with a handle of EXPLORE_PATH. */
struct actor {
	void (*begin)(struct lockfile_pid *lock); /* undisturbed; may be NULL */
	void (*act)(struct lockfile_pid *lock);
};

struct scene {
	const char *name;
	void (*set)(void);           /* what is there at first; may be NULL */
	struct actor actors[ACTORS]; /* one without act is started by the first */
	int count;
	int wins;                /* that many have the lock at least, if nobody is killed */
	bool may_leave;          /* something, for the next one to clear */
	void (*killed)(int who); /* beside the usual; may be NULL */
	/* What one of the users left in the directory of both only that one may be able to clear. */
	bool is_of_users;
};

/*
 * Each on every system: with O_TMPFILE; without; without renaming unless the name is
 * taken, too; and where the first actor alone has all.
 */
void explore_orders(const struct scene *scene);
void explore_kills(const struct scene *scene);
void explore_random(const struct scene *scene);

/* For an actor that starts another. */
void explore_start(int who, void (*act)(struct lockfile_pid *), struct lockfile_pid *lock);

#endif
