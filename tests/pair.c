/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "pair.h"
#include "world.h"

#include <lockfile-pid.h>

/* A waiter looks by itself when a second is over; well before that it was woken. */
#define WOKEN_MS 500
#define ROUNDS   10

void pair_excludes(struct holder *a, struct holder *b, pid_t seen)
{
	ck_assert_int_eq(holder_do(a, "trylock"), 0);
	ck_assert_int_eq(holder_do(b, "trylock"), LOCKFILE_PID_ERR_BUSY);
	ck_assert_int_eq(holder_do(b, "check"), LOCKFILE_PID_ERR_BUSY);
	ck_assert_int_eq(holder_do(b, "pid"), seen);
	ck_assert_int_eq(holder_do(b, "unlock"), LOCKFILE_PID_ERR_ROGUE_DELETION);
	ck_assert_int_eq(holder_do(b, "free"), 0);
	ck_assert_int_eq(holder_do(a, "check"), LOCKFILE_PID_ERR_BUSY);
	ck_assert_int_eq(holder_do(a, "verify"), 0);
	ck_assert_int_eq(holder_do(a, "unlock"), 0);
	ck_assert_int_eq(holder_do(b, "check"), 0);
}

static int64_t hand_over_ms(struct holder *a, struct holder *b)
{
	int64_t begin;

	ck_assert_int_eq(holder_do(a, "lock"), 0);
	holder_ask(b, "lock");
	await_blocked(b);
	begin = now_ms();
	ck_assert_int_eq(holder_do(a, "unlock"), 0);
	ck_assert_int_eq(holder_answer(b), 0);
	ck_assert_int_eq(holder_do(b, "unlock"), 0);
	return now_ms() - begin;
}

void pair_wakes(struct holder *a, struct holder *b)
{
	int rounds = 0;

	while (hand_over_ms(a, b) >= WOKEN_MS)
		ck_assert_int_lt(++rounds, ROUNDS);
}

void pair_inherits(struct holder *a, struct holder *b, pid_t seen)
{
	ck_assert_int_eq(holder_do(a, "trylock"), 0);
	ck_assert_int_eq(holder_do(b, "check"), LOCKFILE_PID_ERR_BUSY);
	holder_kill(a);
	ck_assert_int_eq(holder_do(b, "check"), LOCKFILE_PID_ERR_PROCESS_DEAD);
	ck_assert_int_eq(holder_do(b, "pid"), seen);
	ck_assert_int_eq(holder_do(b, "trylock"), 0);
	ck_assert_int_eq(holder_do(b, "verify"), 0);
	ck_assert_int_eq(holder_do(b, "unlock"), 0);
}

void pair_notices(struct holder *a, struct holder *b)
{
	ck_assert_int_eq(holder_do(a, "trylock"), 0);
	holder_ask(b, "lock");
	await_blocked(b);
	holder_kill(a);
	ck_assert_int_eq(holder_answer(b), 0);
	ck_assert_int_eq(holder_do(b, "verify"), 0);
	ck_assert_int_eq(holder_do(b, "unlock"), 0);
}
