/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "crowd.h"

#include "bench.h"
#include "family.h"
#include "worker.h"

#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define HOLD_NS   200000
#define SETTLE_US 20000

static void hold(void)
{
	int64_t end = now_ns() + HOLD_NS;

	while (now_ns() < end)
		;
}

/* The last one keeps the lock until it is killed: nobody else's time goes on. */
static void keep(struct crowd *crowd)
{
	crowd->end_ns = now_ns();
	sem_post(&crowd->last_holds);
	for (;;)
		pause();
}

static void have_turn(struct crowd *crowd, struct slot *slot)
{
	if (crowd->holders++ != 0)
		crowd->overlaps++;
	slot->turns++;
	slot->gone_ns = family_gone_ns();
	if (++crowd->taken == crowd->last_turn)
		keep(crowd);
	hold();
	crowd->holders--;
}

static void waiter(void *argument)
{
	struct slot *slot = argument;
	struct crowd *crowd = slot->crowd;
	struct contender contender;

	family_begin();
	contender_open(&contender, crowd->peer, crowd->path);
	sem_wait(&crowd->begin);
	crowd->going++;
	do {
		contender_lock(&contender);
		if (!crowd->over)
			have_turn(crowd, slot);
		contender_unlock(&contender);
		slot->gone_ns = family_gone_ns();
	} while (!crowd->leave && !crowd->over);
	contender_close(&contender);
	sem_post(&crowd->left);
}

static void start(struct slot *slot)
{
	slot->gone_ns = 0;
	slot->pid = worker_start(waiter, slot);
}

static struct slot *slot_of(struct crowd *crowd, pid_t pid)
{
	for (int i = 0; i < crowd->size; i++)
		if (crowd->slots[i].pid == pid)
			return &crowd->slots[i];
	fail("worker", "wait", "not one of ours");
}

static struct timespec in(double seconds)
{
	struct timespec ts;
	int64_t ns;

	clock_gettime(CLOCK_REALTIME, &ts);
	ns = ts.tv_nsec + (int64_t)(seconds * 1e9);
	return (struct timespec){ .tv_sec = ts.tv_sec + ns / 1000000000,
		                  .tv_nsec = ns % 1000000000 };
}

static bool await(sem_t *event, const struct timespec *deadline)
{
	while (sem_timedwait(event, deadline) < 0)
		if (errno != EINTR)
			return false;
	return true;
}

/* Each that has had its turn makes room for another, until the last turn or the deadline. */
static void replace_those_who_leave(struct crowd *crowd, const struct timespec *deadline)
{
	for (int count = crowd->last_turn - 1; count > 0 && await(&crowd->left, deadline);
	     count--) {
		int status;
		pid_t pid = wait(&status);

		if (pid < 0 || status != 0)
			fail("worker", "end", "not a good one");
		sem_post(&crowd->begin);
		start(slot_of(crowd, pid));
	}
}

/* Of all that are there, of what they have waited for, and of those that have left. */
static double cpu_us(struct crowd *crowd)
{
	int64_t ns = family_gone_ns();

	for (int i = 0; i < crowd->size; i++)
		ns += family_cpu_ns(crowd->slots[i].pid) + crowd->slots[i].gone_ns;
	return (double)ns / 1000;
}

/*
 * All are there before the lock is held, so that none inherits it, and asleep in line
 * before it is given up.
 */
static void form_line(struct crowd *crowd, struct contender *first)
{
	for (int i = 0; i < crowd->size; i++)
		start(&crowd->slots[i]);
	contender_open(first, crowd->peer, crowd->path);
	contender_lock(first);
	for (int i = 0; i < crowd->size; i++)
		sem_post(&crowd->begin);
	while (crowd->going < crowd->size)
		sleep_us(1000);
	for (int i = 0; i < crowd->size; i++)
		worker_await_sleep(crowd->slots[i].pid);
}

static void disperse(struct crowd *crowd)
{
	crowd->over = true;
	for (int i = 0; i < crowd->size; i++)
		family_kill(crowd->slots[i].pid);
	for (int i = 0; i < crowd->size; i++)
		family_bury(crowd->slots[i].pid);
}

void crowd_contend(void *argument)
{
	struct crowd *crowd = argument;
	struct contender first;
	struct timespec deadline;
	int64_t begin, end;
	double spent;

	form_line(crowd, &first);
	spent = cpu_us(crowd);
	begin = now_ns();
	deadline = in(crowd->limit_s);
	contender_unlock(&first);
	if (crowd->leave)
		replace_those_who_leave(crowd, &deadline);
	if (await(&crowd->last_holds, &deadline)) {
		end = crowd->end_ns;
		sleep_us(SETTLE_US);
	} else {
		end = now_ns();
	}
	crowd->had = crowd->taken < crowd->last_turn ? crowd->taken : crowd->last_turn;
	crowd->wall_us = (double)(end - begin) / 1000;
	crowd->cpu_us = cpu_us(crowd) - spent;
	disperse(crowd);
	contender_close(&first);
}
