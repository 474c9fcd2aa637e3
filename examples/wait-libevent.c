/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wait-libevent PATH - waits for a lock in a loop of libevent
 *
 * The loop goes on meanwhile: it counts ticks of 100 ms.  SIGTERM, SIGINT and
 * the end of standard input end it, in line or with the lock.
 *
 *	cc wait-libevent.c $(pkg-config --cflags --libs lockfile-pid libevent_core) \
 *		-o wait-libevent
 */
#include <event2/event.h>
#include <lockfile-pid.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

enum { TICK, TERM, INTERRUPT, INPUT, SOURCES };

struct waiter {
	struct event_base *base;
	struct lockfile_pid *lock;
	int result; /* of the last attempt; BUSY before the first */
	int ticks;
};

static void on_tick(evutil_socket_t fd, short what, void *argument)
{
	struct waiter *waiter = argument;

	(void)fd, (void)what;
	waiter->ticks++;
}

static void on_end(evutil_socket_t fd, short what, void *argument)
{
	struct waiter *waiter = argument;
	char input[256];

	if (what == EV_SIGNAL || read(fd, input, sizeof(input)) <= 0)
		event_base_loopbreak(waiter->base);
}

/* One event at a time is asked for: the descriptor is gone when the line is left. */
static void on_turn(evutil_socket_t fd, short what, void *argument)
{
	struct waiter *waiter = argument;
	int r = what == EV_READ ? lockfile_pid_wait_continue(waiter->lock) :
	                          lockfile_pid_wait_begin(waiter->lock);

	(void)fd;
	waiter->result = r;
	if (r == LOCKFILE_PID_ERR_BUSY) {
		if (what != EV_READ)
			printf("waiting, held by process %d\n",
			       (int)lockfile_pid_holder(waiter->lock));
		event_base_once(waiter->base, lockfile_pid_wait_fd(waiter->lock), EV_READ, on_turn,
		                waiter, NULL);
	} else if (r < 0) {
		event_base_loopbreak(waiter->base);
	} else {
		printf("locked after %d ticks\n", waiter->ticks);
		/* the work that only one process may do */
	}
}

static int run(struct waiter *waiter)
{
	struct timeval tenth = { .tv_usec = 100 * 1000 };
	struct event_config *config = event_config_new();
	struct event *sources[SOURCES];
	int i;

	event_config_require_features(config, EV_FEATURE_FDS); /* standard input may be a file */
	waiter->base = event_base_new_with_config(config);
	event_config_free(config);
	sources[TICK] = event_new(waiter->base, -1, EV_PERSIST, on_tick, waiter);
	sources[TERM] = evsignal_new(waiter->base, SIGTERM, on_end, waiter);
	sources[INTERRUPT] = evsignal_new(waiter->base, SIGINT, on_end, waiter);
	sources[INPUT] =
		event_new(waiter->base, STDIN_FILENO, EV_READ | EV_PERSIST, on_end, waiter);
	for (i = 0; i < SOURCES; i++)
		event_add(sources[i], i == TICK ? &tenth : NULL);
	event_base_once(waiter->base, -1, EV_TIMEOUT, on_turn, waiter, NULL);
	event_base_dispatch(waiter->base);
	for (i = 0; i < SOURCES; i++)
		event_free(sources[i]);
	event_base_free(waiter->base);
	if (waiter->result == LOCKFILE_PID_ERR_BUSY)
		return lockfile_pid_wait_cancel(waiter->lock);
	return waiter->result < 0 ? waiter->result : lockfile_pid_unlock(waiter->lock);
}

int main(int argc, char **argv)
{
	struct waiter waiter = { .result = LOCKFILE_PID_ERR_BUSY };
	int r;

	if (argc != 2) {
		fprintf(stderr, "usage: wait-libevent PATH\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	r = lockfile_pid_new(&waiter.lock, argv[1]);
	if (r == 0)
		r = run(&waiter);
	if (r < 0)
		fprintf(stderr, "%s: %s\n", argv[1], lockfile_pid_strerror(r));
	lockfile_pid_free(waiter.lock);
	return r < 0;
}
