/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "detector.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define INTERVALS (1U << 22)

/*
 * Written by one process and read when it is gone; volatile, so that what was
 * noted is in memory when a kill comes.  The racer is written last, and an
 * interval without one counts for nothing.
 */
struct interval {
	volatile int64_t begin;
	volatile uint32_t lasted;
	volatile uint32_t racer;
};

/* Mostly never touched, so its size costs nothing. */
struct detector {
	char marker[PATH_MAX];
	_Atomic uint32_t slot; /* the interval of who is inside, plus 1 */
	_Atomic uint32_t used;
	_Atomic uint32_t slot_alarms;
	_Atomic uint32_t marker_alarms;
	_Atomic unsigned char doomed[DETECTOR_RACERS + 1];
	struct interval intervals[INTERVALS];
};

int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

struct detector *detector_new(const char *marker)
{
	struct detector *detector = mmap(NULL, sizeof(*detector), PROT_READ | PROT_WRITE,
	                                 MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (detector == MAP_FAILED)
		return NULL;
	snprintf(detector->marker, sizeof(detector->marker), "%s", marker);
	return detector;
}

void detector_free(struct detector *detector)
{
	unlink(detector->marker);
	munmap(detector, sizeof(*detector));
}

static int64_t sign_of_life(struct interval *interval)
{
	int64_t now = now_ns();
	int64_t lasted = now - interval->begin;

	interval->lasted = lasted < UINT32_MAX ? (uint32_t)lasted : UINT32_MAX;
	return now;
}

static bool make_marker(const struct detector *detector)
{
	int fd = open(detector->marker, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

void detector_enter(struct detector *detector, struct stay *stay, uint32_t racer)
{
	int64_t begin = now_ns();
	struct interval *interval;
	uint32_t before;
	bool after_a_killed;

	stay->interval = atomic_fetch_add(&detector->used, 1);
	if (stay->interval >= INTERVALS)
		abort();
	interval = &detector->intervals[stay->interval];
	interval->begin = begin;
	interval->racer = racer;

	before = atomic_exchange(&detector->slot, stay->interval + 1);
	after_a_killed =
		before != 0 && detector_is_doomed(detector, detector->intervals[before - 1].racer);
	if (before != 0 && !after_a_killed)
		atomic_fetch_add(&detector->slot_alarms, 1);
	if (after_a_killed)
		unlink(detector->marker);
	stay->marked = make_marker(detector);
	if (!stay->marked)
		atomic_fetch_add(&detector->marker_alarms, 1);
	sign_of_life(interval);
}

void detector_stay(struct detector *detector, const struct stay *stay, uint32_t ns)
{
	struct interval *interval = &detector->intervals[stay->interval];
	int64_t end = now_ns() + ns;

	while (sign_of_life(interval) < end)
		;
}

void detector_leave(struct detector *detector, const struct stay *stay)
{
	uint32_t me = stay->interval + 1;

	sign_of_life(&detector->intervals[stay->interval]);
	if (stay->marked && unlink(detector->marker) < 0)
		atomic_fetch_add(&detector->marker_alarms, 1);
	if (!atomic_compare_exchange_strong(&detector->slot, &me, 0))
		atomic_fetch_add(&detector->slot_alarms, 1);
	sign_of_life(&detector->intervals[stay->interval]);
}

void detector_doom(struct detector *detector, uint32_t racer)
{
	atomic_store(&detector->doomed[racer], 1);
}

bool detector_is_doomed(struct detector *detector, uint32_t racer)
{
	return atomic_load(&detector->doomed[racer]) != 0;
}

uint32_t detector_stays(struct detector *detector)
{
	return atomic_load(&detector->used);
}

uint32_t detector_inside(struct detector *detector)
{
	uint32_t slot = atomic_load(&detector->slot);

	return slot == 0 ? 0 : detector->intervals[slot - 1].racer;
}

static int by_begin(const void *a, const void *b)
{
	int64_t x = ((const struct interval *)a)->begin;
	int64_t y = ((const struct interval *)b)->begin;

	return (x > y) - (x < y);
}

/* Sorts in place: the records are shared, but nobody writes them any more. */
static unsigned int count_overlaps(struct interval *intervals, uint32_t count)
{
	unsigned int overlaps = 0;
	int64_t end = INT64_MIN;

	qsort(intervals, count, sizeof(*intervals), by_begin);
	for (uint32_t i = 0; i < count; i++) {
		if (intervals[i].racer == 0)
			continue;
		if (intervals[i].begin < end)
			overlaps++;
		if (intervals[i].begin + intervals[i].lasted > end)
			end = intervals[i].begin + intervals[i].lasted;
	}
	return overlaps;
}

void detector_findings(struct detector *detector, struct findings *ret)
{
	ret->stays = detector_stays(detector);
	ret->slot = atomic_load(&detector->slot_alarms);
	ret->marker = atomic_load(&detector->marker_alarms);
	ret->intervals = count_overlaps(detector->intervals, ret->stays);
}
