/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "trials.h"

#include "bench.h"
#include "worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define TURNS      9
#define TURN_S     0.25 /* of a peer that is woken, at most */
#define LOOKS      20   /* of one that looks itself, in a turn */
#define SLOW_S     1.0  /* what sleeps so long sleeps side by side */
#define PAIRS      12
#define SLOW_RUN_S 11.0
#define PAUSE_US   200
#define MARGIN_S   2
#define MOST_ROWS  16

struct row {
	const struct peer *peer;
	struct trials *trials; /* one at a time, or PAIRS at once */
	pid_t workers[PAIRS];
	bool in_vain;
};

static bool is_slow(const struct peer *peer)
{
	return peer->looks_s >= SLOW_S;
}

static int64_t ns_of(double s)
{
	return (int64_t)(1e9 * s);
}

bool trials_go_on(const struct trials *trials)
{
	if (trials->in_vain || trials->count == (quick ? 3 : (int)COUNT(trials->us)))
		return false;
	return trials->count == 0 || now_ns() + ns_of(trials->peer->looks_s) <= trials->end_ns;
}

void trials_note(struct trials *trials, double us)
{
	trials->us[trials->count++] = us;
}

void trials_pause(const struct trials *trials, int64_t since_ns)
{
	int64_t until_ns = since_ns + ns_of(trials->peer->looks_s * drand48());
	int64_t us = (until_ns - now_ns()) / 1000;

	sleep_us(us > PAUSE_US ? (int)us : PAUSE_US);
}

int trials_patience_s(const struct trials *trials)
{
	return (int)trials->peer->looks_s + MARGIN_S;
}

static void work(void *argument)
{
	struct trials *trials = argument;
	double looks_s = trials->peer->looks_s;

	srand48(getpid());
	trials->end_ns = now_ns() + ns_of(is_slow(trials->peer) ? SLOW_RUN_S :
	                                  looks_s > 0           ? LOOKS * looks_s :
	                                                          TURN_S);
	trials->figure->run(trials);
	/* some locks are of a file that stays */
	unlink(trials->path);
}

static void start(const struct figure *figure, const char *dir, struct row *row, int pair)
{
	struct trials *trials = &row->trials[pair];
	static int number;
	char suffix[16];

	*trials = (struct trials){ .figure = figure, .peer = row->peer };
	snprintf(suffix, sizeof(suffix), "-%d.lock", number++);
	bench_path(trials->path, sizeof(trials->path), dir, suffix);
	row->workers[pair] = worker_start(work, trials);
}

static void finish(const struct figure *figure, const char *dir, struct row *row, int pair)
{
	const struct trials *trials = &row->trials[pair];

	worker_join(row->workers[pair]);
	for (int i = 0; i < trials->count; i++)
		print_sample(figure->name, dir, row->peer->name, figure->parameter, "us",
		             trials->us[i]);
	row->in_vain |= trials->in_vain;
}

static void take_turns(const struct figure *figure, const char *dir, struct row *rows, size_t count)
{
	for (int turn = 0; turn < (quick ? 1 : TURNS); turn++)
		for (size_t i = 0; i < count; i++)
			if (!is_slow(rows[i].peer)) {
				start(figure, dir, &rows[i], 0);
				finish(figure, dir, &rows[i], 0);
			}
}

static void sleep_side_by_side(const struct figure *figure, const char *dir, struct row *rows,
                               size_t count)
{
	for (size_t i = 0; i < count; i++)
		for (int pair = 0; is_slow(rows[i].peer) && pair < PAIRS; pair++)
			start(figure, dir, &rows[i], pair);
	for (size_t i = 0; i < count; i++)
		for (int pair = 0; is_slow(rows[i].peer) && pair < PAIRS; pair++)
			finish(figure, dir, &rows[i], pair);
}

static void add_row(struct row *rows, size_t *count, const struct peer *peer)
{
	if (quick && is_slow(peer)) {
		fprintf(stderr, "%s: sleeps %g s, and is left out by -q\n", peer->name,
		        peer->looks_s);
		return;
	}
	if (*count == MOST_ROWS)
		fail(peer->name, "figure", "too many peers");
	rows[(*count)++] = (struct row){
		.peer = peer,
		.trials = worker_share(PAIRS * sizeof(struct trials)),
	};
}

void figure_measure(const struct figure *figure, const char *dir)
{
	struct row rows[MOST_ROWS];
	size_t count = 0;

	for (size_t i = 0; i < peer_count; i++)
		if (peer_is_here(peers[i]) && peers[i]->waits)
			add_row(rows, &count, peers[i]);
		else if (peer_is_here(peers[i]))
			print_fact(figure->name, dir, peers[i]->name, figure->parameter,
			           "does not wait");
	if (figure->extra)
		add_row(rows, &count, figure->extra);
	take_turns(figure, dir, rows, count);
	sleep_side_by_side(figure, dir, rows, count);
	for (size_t i = 0; i < count; i++)
		if (rows[i].in_vain)
			print_fact(figure->name, dir, rows[i].peer->name, figure->parameter,
			           "never");
}
