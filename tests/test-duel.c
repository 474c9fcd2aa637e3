/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An heir adopts while somebody else does something about the same lock: in
 * every order of their system calls with up to three changes from one to the
 * other; and with the heir, or the parent, dying before any of its calls.
 *
 * Of all these only some are tried where TEST_PACE says so (pace.h).
 */
#include <config.h>

#include "family.h"
#include "pace.h"
#include "steer.h"
#include "world.h"

#include <errno.h>

/* Of so many runs: it does not end. */
#define TIMEOUT_S 600

#define PATH     "x.pid"
#define TAKEOVER PATH ".takeover"
#define BUSY     LOCKFILE_PID_ERR_BUSY
#define ROGUE    LOCKFILE_PID_ERR_ROGUE_DELETION

/* Actions of more calls than that do not end. */
#define MAX_CALLS 500

/* How it comes to the duel, when the parent holds. */

static void parent_and_child(void)
{
	family_fork(PARENT, CHILD);
}

static void two_children(void)
{
	family_fork(PARENT, CHILD);
	family_fork(PARENT, SIBLING);
}

static void orphan(void)
{
	family_fork(PARENT, CHILD);
	family_kill(PARENT);
}

static void orphan_without_descriptor(void)
{
	orphan();
	ck_assert_int_eq(family_do(CHILD, family_close_underneath), 0);
}

static void parent_alone(void)
{
}

struct duellist {
	enum relative who;
	int (*act)(struct lockfile_pid *);
};

static const struct duel {
	void (*prepare)(void);
	struct duellist first, second;
	int outcomes[2][2]; /* of both */
} duels[] = {
	{ parent_and_child,
	  { CHILD, lockfile_pid_adopt },
	  { PARENT, lockfile_pid_unlock },
	  { { 0, ROGUE }, { ROGUE, 0 } } },
	{ parent_and_child,
	  { CHILD, lockfile_pid_adopt },
	  { PARENT, family_free },
	  { { 0, 0 }, { 0, 0 } } },
	{ two_children,
	  { CHILD, lockfile_pid_adopt },
	  { SIBLING, lockfile_pid_adopt },
	  { { 0, ROGUE }, { ROGUE, 0 } } },
	{ orphan,
	  { CHILD, lockfile_pid_adopt },
	  { STRANGER, lockfile_pid_trylock },
	  { { 0, BUSY }, { 0, BUSY } } },
	{ orphan_without_descriptor,
	  { CHILD, lockfile_pid_adopt },
	  { STRANGER, lockfile_pid_trylock },
	  { { 0, BUSY }, { ROGUE, 0 } } },
	{ parent_alone,
	  { PARENT, lockfile_pid_unlock },
	  { STRANGER, lockfile_pid_trylock },
	  { { 0, BUSY }, { 0, 0 } } },
	{ parent_alone,
	  { PARENT, family_free },
	  { STRANGER, lockfile_pid_trylock },
	  { { 0, BUSY }, { 0, 0 } } },
};

static int next(int n)
{
	ck_assert_int_lt(n, MAX_CALLS);
	return n + pace();
}

static void begin(const struct duel *duel, int no_tmpfile)
{
	family_start(PATH, no_tmpfile, false);
	ck_assert_int_eq(family_do(PARENT, lockfile_pid_trylock), 0);
	duel->prepare();
}

/* Let on, and, if the other kept the right to replace, once more. */
static int finish(const struct duellist *duellist, int r)
{
	if (r == FAMILY_STOPPED)
		r = family_go_on(duellist->who);
	return r == -EAGAIN ? family_do(duellist->who, duellist->act) : r;
}

static void assert_outcome(const struct duel *duel, int first, int second, int n, int m)
{
	bool known = false;

	for (int i = 0; i < 2; i++)
		known |= duel->outcomes[i][0] == first && duel->outcomes[i][1] == second;
	ck_assert_msg(known, "%d and %d, at call %d of the first and %d of the second", first,
	              second, n, m);
}

/* Who is told that it holds, does. */
static void release(const struct duellist *duellist, int r)
{
	if (r != 0 || duellist->act == lockfile_pid_unlock || duellist->act == family_free)
		return;
	assert_content(PATH, "%d\n", (int)family_pid(duellist->who));
	ck_assert_int_eq(family_do(duellist->who, family_verify), 0);
	ck_assert_int_eq(family_do(duellist->who, lockfile_pid_unlock), 0);
}

/* The stranger had the right when it was let go of, and found it held before. */
static void clear_what_was_let_go(void)
{
	ck_assert_int_eq(family_do(STRANGER, lockfile_pid_trylock), 0);
	ck_assert_int_eq(family_do(STRANGER, lockfile_pid_unlock), 0);
}

/* m = 0: the second is not stopped.  Returns whether both were. */
static bool fight_at(const struct duel *duel, int no_tmpfile, int n, int m)
{
	int first, second;
	bool stopped;

	begin(duel, no_tmpfile);
	first = family_do_until(duel->first.who, duel->first.act, ANY_CALL, n);
	second = family_do_until(duel->second.who, duel->second.act, ANY_CALL, m);
	stopped = first == FAMILY_STOPPED && second == FAMILY_STOPPED;
	/* the first goes on first, and may need the right that the second has */
	if (first == FAMILY_STOPPED)
		first = family_go_on(duel->first.who);
	second = finish(&duel->second, second);
	first = finish(&duel->first, first);
	assert_outcome(duel, first, second, n, m);
	release(&duel->first, first);
	release(&duel->second, second);
	if (duel->first.act == family_free && exists(PATH))
		clear_what_was_let_go();
	ck_assert_msg(!exists(PATH) && !exists(TAKEOVER), "%s is left, at call %d and %d",
	              list_dir("."), n, m);
	family_end();
	return stopped;
}

/* Undisturbed. */
static int count_calls(const struct duel *duel, const struct duellist *duellist, int no_tmpfile)
{
	int n = 0, r;

	do {
		begin(duel, no_tmpfile);
		r = family_do_until(duellist->who, duellist->act, ANY_CALL, ++n);
		if (r == FAMILY_STOPPED)
			family_go_on(duellist->who);
		family_end();
		remove(PATH);
	} while (r == FAMILY_STOPPED);
	return n - 1;
}

static void fight(const struct duel *duel, int no_tmpfile)
{
	int n_max = count_calls(duel, &duel->first, no_tmpfile);
	int m_max = count_calls(duel, &duel->second, no_tmpfile);

	/* who has to wait for the right does the same again and again from there on */
	for (int n = 1; n <= n_max; n = next(n)) {
		fight_at(duel, no_tmpfile, n, 0);
		for (int m = 1; m <= m_max && fight_at(duel, no_tmpfile, n, m); m = next(m))
			;
	}
}

TEST_EACH_WITHIN(one_wins_in_any_order_of_calls, duels, TIMEOUT_S)
{
	fight(&duels[_i], 0);
}

TEST_EACH_WITHIN(one_wins_in_any_order_of_calls_without_o_tmpfile, duels, TIMEOUT_S)
{
	fight(&duels[_i], EOPNOTSUPP);
}

/* Who dies leaves nothing that keeps a stranger out. */

static void child_of_one_that_let_go(void)
{
	family_fork(PARENT, CHILD);
	ck_assert_int_eq(family_do(PARENT, family_free), 0);
}

static const struct mortal {
	void (*prepare)(void);
	struct duellist dies;
	int no_tmpfile;
} mortals[] = {
	{ orphan, { CHILD, lockfile_pid_adopt }, 0 },
	{ orphan, { CHILD, lockfile_pid_adopt }, EOPNOTSUPP },
	{ child_of_one_that_let_go, { CHILD, lockfile_pid_adopt }, 0 },
	{ child_of_one_that_let_go, { CHILD, lockfile_pid_adopt }, EOPNOTSUPP },
	{ parent_alone, { PARENT, lockfile_pid_unlock }, 0 },
	{ parent_alone, { PARENT, lockfile_pid_unlock }, EOPNOTSUPP },
	{ parent_alone, { PARENT, family_free }, 0 },
	{ parent_alone, { PARENT, family_free }, EOPNOTSUPP },
};

static bool die_at(const struct mortal *mortal, int n)
{
	struct duel duel = { .prepare = mortal->prepare };
	int r;

	begin(&duel, mortal->no_tmpfile);
	r = family_do_until(mortal->dies.who, mortal->dies.act, ANY_CALL, n);
	family_kill(mortal->dies.who);
	ck_assert_int_eq(family_do(STRANGER, lockfile_pid_trylock), 0);
	assert_content(PATH, "%d\n", (int)family_pid(STRANGER));
	ck_assert_int_eq(family_do(STRANGER, lockfile_pid_unlock), 0);
	/* made after PATH was removed: a leftover for the next one that needs the name */
	remove(TAKEOVER);
	family_end();
	return r == FAMILY_STOPPED;
}

TEST_EACH_WITHIN(who_dies_at_any_call_leaves_the_lock_to_a_stranger, mortals, TIMEOUT_S)
{
	for (int n = 1; die_at(&mortals[_i], n); n = next(n))
		assert_nothing_left();
}

/* The heir dies, and the parent, who lives, still holds if nothing was adopted. */
static bool heir_dies_at(int no_tmpfile, int n)
{
	int r, stopped;

	begin(&duels[0], no_tmpfile);
	stopped = family_do_until(CHILD, lockfile_pid_adopt, ANY_CALL, n);
	family_kill(CHILD);
	r = family_do(PARENT, family_verify);
	ck_assert_int_eq(family_do(PARENT, lockfile_pid_unlock), r);
	if (r != 0)
		clear_what_was_let_go();
	ck_assert_msg(r == 0 || r == ROGUE, "%d, at call %d", r, n);
	family_end();
	return stopped == FAMILY_STOPPED;
}

static const int systems[] = { 0, EOPNOTSUPP };

TEST_EACH_WITHIN(an_heir_that_dies_at_any_call_leaves_the_lock_to_its_parent, systems, TIMEOUT_S)
{
	for (int n = 1; heir_dies_at(systems[_i], n); n = next(n))
		assert_nothing_left();
}
