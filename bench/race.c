/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "race.h"

#include "../tests/detector.h"
#include "worker.h"

#include <errno.h>
#include <error.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define STAY_NS 200000
/* A round that takes so long has a contender that hangs. */
#define PATIENCE_S 300

/* What the processes of a race share. */
struct track {
	const struct race *race;
	pthread_barrier_t barrier; /* of the contenders, and of who runs the race */
	bool over;                 /* said before a meeting, as is the round */
	bool heard;                /* what errors there are */
	unsigned int round;
	atomic_bool vacant[RACE_CONTENDERS_MAX];
	atomic_uint failed;
	struct detector *detectors[RACE_ROUNDS_MAX]; /* each round has its own */
};

/* In a contender. */
struct seat {
	struct track *track;
	unsigned int number;
	pid_t pid;
	unsigned int met; /* in this round */
};

static struct seat me;

static void meet(struct track *track)
{
	pthread_barrier_wait(&track->barrier);
}

/* At the start, where they keep the lock after all have tried, and at the end. */
static unsigned int meetings(const struct race *race)
{
	return race->keeps ? 3 : 2;
}

static void attend(void)
{
	meet(me.track);
	me.met++;
}

/* What fails ends the process; the others wait for it at each meeting of the round. */
static void leave_in_order(void)
{
	bool has_finished = me.track->over && me.met > 0;

	if (getpid() != me.pid || has_finished)
		return;
	me.track->failed++;
	me.track->vacant[me.number] = true;
	do
		attend();
	while (!me.track->over && me.met < meetings(me.track->race));
}

static void try_once(struct contender *contender)
{
	struct detector *detector = me.track->detectors[me.track->round];
	bool mine = contender_trylock(contender), keeps = me.track->race->keeps;
	struct stay stay;

	if (mine)
		detector_enter(detector, &stay, me.number + 1);
	if (keeps)
		attend();
	else if (mine)
		detector_stay(detector, &stay, STAY_NS);
	if (mine) {
		detector_leave(detector, &stay);
		contender_unlock(contender);
	}
}

/* One crew's errors are enough to read. */
static void be_silent(void)
{
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || dup2(fd, STDERR_FILENO) < 0)
		error(EXIT_FAILURE, errno, "/dev/null");
}

static void contend(void *argument)
{
	const struct seat *seat = argument;
	struct contender contender;

	me = *seat;
	me.pid = getpid();
	if (me.track->heard)
		be_silent();
	if (atexit(leave_in_order) != 0)
		error(EXIT_FAILURE, errno, "atexit");
	contender_open(&contender, me.track->race->peer, me.track->race->path);
	while (attend(), !me.track->over) {
		try_once(&contender);
		attend();
		me.met = 0;
	}
	contender_close(&contender);
}

static void take_seat(struct track *track, unsigned int number)
{
	struct seat seat = { .track = track, .number = number };

	track->vacant[number] = false;
	worker_start(contend, &seat);
}

static void fill_seats(struct track *track)
{
	for (unsigned int i = 0; i < track->race->contenders; i++)
		if (track->vacant[i])
			take_seat(track, i);
}

/* The stale lock */

static void hold_and_die(void *argument)
{
	const struct race *race = argument;
	struct contender contender;

	contender_open(&contender, race->peer, race->path);
	if (contender_trylock(&contender))
		raise(SIGKILL);
}

/*
 * A descriptor that is closed when the last of them is: a program that the holder
 * has started may let go of the lock only when it sees that the holder is gone.
 */
static void await_end_of_all(int fd)
{
	char byte;

	if (read(fd, &byte, 1) != 0)
		error(EXIT_FAILURE, errno, "the end of a holder");
	close(fd);
}

/* Had somebody the lock, and died? */
static bool leave_stale(const struct race *race)
{
	struct race holder = *race;
	int ends[2], status;
	pid_t pid;

	if (pipe(ends) < 0)
		error(EXIT_FAILURE, errno, "pipe");
	pid = worker_start(hold_and_die, &holder);
	close(ends[1]);
	if (waitpid(pid, &status, 0) != pid)
		error(EXIT_FAILURE, errno, "the end of a holder");
	await_end_of_all(ends[0]);
	return WIFSIGNALED(status);
}

/* Where nobody takes over, or one of two holders has left its file behind. */
static void plant(const struct race *race)
{
	if (leave_stale(race))
		return;
	unlink(race->path);
	if (!leave_stale(race))
		error(EXIT_FAILURE, 0, "%s: %s: kept out by nobody", race->path, race->peer->name);
}

/* The race */

static void set_barrier(struct track *track, unsigned int size)
{
	pthread_barrierattr_t attr;

	pthread_barrierattr_init(&attr);
	pthread_barrierattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	errno = pthread_barrier_init(&track->barrier, &attr, size);
	if (errno != 0)
		error(EXIT_FAILURE, errno, "pthread_barrier_init");
	pthread_barrierattr_destroy(&attr);
}

static struct track *prepare(const struct race *race, unsigned int rounds, bool heard)
{
	struct track *track = worker_share(sizeof(*track));

	track->race = race;
	track->heard = heard;
	set_barrier(track, race->contenders + 1);
	for (unsigned int i = 0; i < rounds; i++) {
		track->detectors[i] = detector_new(race->marker);
		if (!track->detectors[i])
			error(EXIT_FAILURE, errno, "no detector");
	}
	for (unsigned int i = 0; i < race->contenders; i++)
		track->vacant[i] = true;
	return track;
}

static void run_round(struct track *track, unsigned int round)
{
	alarm(PATIENCE_S);
	track->round = round;
	plant(track->race);
	fill_seats(track);
	for (unsigned int i = 0; i < meetings(track->race); i++)
		meet(track);
	track->heard = track->heard || track->failed > 0;
}

static void end(struct track *track)
{
	alarm(PATIENCE_S);
	fill_seats(track);
	track->over = true;
	meet(track);
	while (wait(NULL) > 0)
		;
	alarm(0);
}

static void judge(struct detector *detector, struct race_score *score)
{
	struct findings found;

	detector_findings(detector, &found);
	score->rounds++;
	score->taken += found.stays > 0;
	score->shared += found.slot > 0 || found.marker > 0 || found.intervals > 0;
	detector_free(detector);
}

void race_run(const struct race *race, unsigned int rounds, struct race_score *score)
{
	struct track *track = prepare(race, rounds, score->rounds > 0);

	for (unsigned int i = 0; i < rounds; i++)
		run_round(track, i);
	end(track);
	for (unsigned int i = 0; i < rounds; i++)
		judge(track->detectors[i], score);
	score->failed += track->failed;
	pthread_barrier_destroy(&track->barrier);
	munmap(track, sizeof(*track));
}
