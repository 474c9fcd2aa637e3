/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "rival.h"

#include "common.h"
#include "process.h"
#include "steer.h"

#include <fcntl.h>
#include <lockfile-pid.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TRYLOCK, UNLOCK, VERIFY };

struct order {
	int what, stop_at;
};

/* In the rival. */
static int rival_to, rival_from;

static void tell(int value)
{
	if (write(rival_to, &value, sizeof(value)) != sizeof(value))
		_exit(1);
}

static void stop(void *unused)
{
	char go_on;

	(void)unused;
	tell(RIVAL_STOPPED);
	if (read(rival_from, &go_on, 1) != 1)
		_exit(1);
}

static int obey(struct lockfile_pid *lock, const struct order *order, int no_tmpfile)
{
	steer_reset();
	steer_no_tmpfile(no_tmpfile);
	if (order->stop_at > 0)
		steer_before(ANY_CALL, order->stop_at, stop, NULL);
	switch (order->what) {
	case TRYLOCK:
		return lockfile_pid_trylock(lock);
	case UNLOCK:
		return lockfile_pid_unlock(lock);
	default:
		return lockfile_pid_verify(lock);
	}
}

static void contend(const char *path, int no_tmpfile)
{
	struct lockfile_pid *lock;
	struct owner self;
	struct order order;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	steer_reset();
	if (lockfile_pid_new(&lock, path) < 0)
		_exit(1);
	process_self(&self); /* so that each attempt makes the same calls */
	while (read(rival_from, &order, sizeof(order)) == sizeof(order))
		tell(obey(lock, &order, no_tmpfile));
	lockfile_pid_free(lock);
	_exit(0);
}

struct rival rival_start(const char *path, int no_tmpfile)
{
	struct rival rival;
	int to[2], from[2];

	ck_assert_int_eq(pipe2(to, O_CLOEXEC), 0);
	ck_assert_int_eq(pipe2(from, O_CLOEXEC), 0);
	rival.pid = checked_fork();
	if (rival.pid == 0) {
		close(to[1]);
		close(from[0]);
		rival_from = to[0];
		rival_to = from[1];
		contend(path, no_tmpfile);
	}
	close(to[0]);
	close(from[1]);
	rival.to = to[1];
	rival.from = from[0];
	return rival;
}

static int hear(struct rival *rival)
{
	int value;

	ck_assert_msg(read(rival->from, &value, sizeof(value)) == sizeof(value),
	              "the rival is gone");
	return value;
}

static int ask(struct rival *rival, int what, int stop_at)
{
	struct order order = { what, stop_at };

	ck_assert_int_eq(write(rival->to, &order, sizeof(order)), sizeof(order));
	return hear(rival);
}

int rival_trylock(struct rival *rival, int stop_at)
{
	return ask(rival, TRYLOCK, stop_at);
}

int rival_go_on(struct rival *rival)
{
	ck_assert_int_eq(write(rival->to, "", 1), 1);
	return hear(rival);
}

int rival_unlock(struct rival *rival)
{
	return ask(rival, UNLOCK, 0);
}

int rival_verify(struct rival *rival)
{
	return ask(rival, VERIFY, 0);
}

void rival_end(struct rival *rival)
{
	int status;

	close(rival->to);
	ck_assert_int_eq(waitpid(rival->pid, &status, 0), rival->pid);
	ck_assert_int_eq(status, 0);
	close(rival->from);
}

void rival_kill(struct rival *rival)
{
	kill(rival->pid, SIGKILL);
	ck_assert_int_eq(waitpid(rival->pid, NULL, 0), rival->pid);
	close(rival->to);
	close(rival->from);
}
