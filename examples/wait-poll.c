/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wait-poll PATH - waits for a lock in a loop of poll(2)
 *
 * The loop goes on meanwhile: it counts ticks of 100 ms.  SIGTERM, SIGINT and
 * the end of standard input end it, in line or with the lock.
 *
 *	cc wait-poll.c $(pkg-config --cflags --libs lockfile-pid) -o wait-poll
 */
#include <errno.h>
#include <lockfile-pid.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum { LOCK, TICK, SIGNAL, INPUT, SOURCES };

static int open_timer(void)
{
	struct timespec tenth = { .tv_nsec = 100 * 1000 * 1000 };
	struct itimerspec every_tenth = { .it_interval = tenth, .it_value = tenth };
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);

	timerfd_settime(fd, 0, &every_tenth, NULL);
	return fd;
}

static int open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

static uint64_t read_ticks(const struct pollfd *tick)
{
	uint64_t ticks;

	return tick->revents && read(tick->fd, &ticks, sizeof(ticks)) == sizeof(ticks) ? ticks : 0;
}

static int is_end(const struct pollfd *sources)
{
	char input[256];

	return sources[SIGNAL].revents ||
	       (sources[INPUT].revents && read(STDIN_FILENO, input, sizeof(input)) <= 0);
}

static int run(struct lockfile_pid *lock, struct pollfd *sources)
{
	uint64_t ticks = 0;
	int r = lockfile_pid_wait_begin(lock);

	if (r == LOCKFILE_PID_ERR_BUSY)
		printf("waiting, held by process %d\n", (int)lockfile_pid_holder(lock));
	while (r == LOCKFILE_PID_ERR_BUSY) {
		sources[LOCK].fd = lockfile_pid_wait_fd(lock);
		if (poll(sources, SOURCES, -1) < 0)
			return -errno;
		ticks += read_ticks(&sources[TICK]);
		if (is_end(sources))
			return lockfile_pid_wait_cancel(lock);
		if (sources[LOCK].revents)
			r = lockfile_pid_wait_continue(lock);
	}
	if (r < 0)
		return r;
	printf("locked after %ju ticks\n", (uintmax_t)ticks);
	/* the work that only one process may do */
	do
		poll(&sources[SIGNAL], SOURCES - SIGNAL, -1);
	while (!is_end(sources));
	return lockfile_pid_unlock(lock);
}

int main(int argc, char **argv)
{
	struct pollfd sources[SOURCES] = {
		[LOCK] = { .events = POLLIN },
		[TICK] = { .fd = open_timer(), .events = POLLIN },
		[SIGNAL] = { .fd = open_signals(), .events = POLLIN },
		[INPUT] = { .fd = STDIN_FILENO, .events = POLLIN },
	};
	struct lockfile_pid *lock = NULL;
	int r;

	if (argc != 2) {
		fprintf(stderr, "usage: wait-poll PATH\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	r = lockfile_pid_new(&lock, argv[1]);
	if (r == 0)
		r = run(lock, sources);
	if (r < 0)
		fprintf(stderr, "%s: %s\n", argv[1], lockfile_pid_strerror(r));
	lockfile_pid_free(lock);
	return r < 0;
}
