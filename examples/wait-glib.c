/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wait-glib PATH - waits for a lock in the main loop of GLib
 *
 * The loop goes on meanwhile: it counts ticks of 100 ms.  SIGTERM, SIGINT and
 * the end of standard input end it, in line or with the lock.
 *
 *	cc wait-glib.c $(pkg-config --cflags --libs lockfile-pid glib-2.0) -o wait-glib
 */
#include <glib-unix.h>
#include <lockfile-pid.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

struct waiter {
	GMainLoop *loop;
	struct lockfile_pid *lock;
	int result; /* of the last attempt; BUSY before the first */
	int ticks;
};

static gboolean on_tick(gpointer argument)
{
	struct waiter *waiter = argument;

	waiter->ticks++;
	return G_SOURCE_CONTINUE;
}

static gboolean on_signal(gpointer argument)
{
	struct waiter *waiter = argument;

	g_main_loop_quit(waiter->loop);
	return G_SOURCE_CONTINUE;
}

static gboolean on_input(gint fd, GIOCondition what, gpointer argument)
{
	struct waiter *waiter = argument;
	char input[256];

	(void)what;
	if (read(fd, input, sizeof(input)) > 0)
		return G_SOURCE_CONTINUE;
	g_main_loop_quit(waiter->loop);
	return G_SOURCE_REMOVE;
}

/* The descriptor is gone when the line is left, and so its source has to be. */
static gboolean is_in_line(struct waiter *waiter)
{
	if (waiter->result == LOCKFILE_PID_ERR_BUSY)
		return G_SOURCE_CONTINUE;
	if (waiter->result < 0)
		g_main_loop_quit(waiter->loop);
	else
		printf("locked after %d ticks\n", waiter->ticks);
	/* and then the work that only one process may do */
	return G_SOURCE_REMOVE;
}

static gboolean on_turn(gint fd, GIOCondition what, gpointer argument)
{
	struct waiter *waiter = argument;

	(void)fd, (void)what;
	waiter->result = lockfile_pid_wait_continue(waiter->lock);
	return is_in_line(waiter);
}

static gboolean on_start(gpointer argument)
{
	struct waiter *waiter = argument;

	waiter->result = lockfile_pid_wait_begin(waiter->lock);
	if (waiter->result == LOCKFILE_PID_ERR_BUSY)
		printf("waiting, held by process %d\n", (int)lockfile_pid_holder(waiter->lock));
	if (is_in_line(waiter))
		g_unix_fd_add(lockfile_pid_wait_fd(waiter->lock), G_IO_IN, on_turn, waiter);
	return G_SOURCE_REMOVE;
}

static int run(struct waiter *waiter)
{
	waiter->loop = g_main_loop_new(NULL, FALSE);
	g_timeout_add(100, on_tick, waiter);
	g_unix_signal_add(SIGTERM, on_signal, waiter);
	g_unix_signal_add(SIGINT, on_signal, waiter);
	g_unix_fd_add(STDIN_FILENO, G_IO_IN | G_IO_HUP | G_IO_ERR, on_input, waiter);
	g_idle_add_full(G_PRIORITY_HIGH, on_start, waiter, NULL);
	g_main_loop_run(waiter->loop);
	g_main_loop_unref(waiter->loop);
	if (waiter->result == LOCKFILE_PID_ERR_BUSY)
		return lockfile_pid_wait_cancel(waiter->lock);
	return waiter->result < 0 ? waiter->result : lockfile_pid_unlock(waiter->lock);
}

int main(int argc, char **argv)
{
	struct waiter waiter = { .result = LOCKFILE_PID_ERR_BUSY };
	int r;

	if (argc != 2) {
		fprintf(stderr, "usage: wait-glib PATH\n");
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
