/* SPDX-License-Identifier: BSD-2-Clause */
/* queue - the line of waiters, which is the FIFO PATH.queue */
#ifndef QUEUE_H
#define QUEUE_H

#include "path.h"
#include "process.h"

#include <signal.h>
#include <time.h>

/* Whom a waiter waits for. */
struct awaited {
	pid_t pid;               /* 0: not known */
	bool wakes;              /* uses this library, so its release wakes a waiter */
	bool locked;             /* by the kernel; else it is looked at each time */
	ino_t ino;               /* of its lock file, */
	struct timespec changed; /* and when that was changed last */
};

/* A place in line. */
struct queue {
	struct descriptor epoll; /* what the waiter sleeps on; none: not in line */
	struct descriptor dir;   /* where the FIFO is */
	struct descriptor fifo;  /* none: there is no line here, look again and again */
	dev_t dir_dev, fifo_dev; /* which an overlay of file systems may have two of */
	ino_t dir_ino, fifo_ino;
	struct descriptor timer; /* for event loops: the time to look again */
	struct descriptor pidfd; /* of the holder, with the first in line */
	pid_t watched;           /* the holder's PID */
	struct awaited awaited;  /* as it was seen last */
	bool first;
	bool deferred; /* it has let the first go first */
	int pause_ms;  /* until PATH is looked at again */
};

#define QUEUE_NONE                                                                         \
	{                                                                                  \
		.epoll = DESCRIPTOR_NONE, .dir = DESCRIPTOR_NONE, .fifo = DESCRIPTOR_NONE, \
		.timer = DESCRIPTOR_NONE, .pidfd = DESCRIPTOR_NONE                         \
	}

/*
 * Goes to the end of the line.  with_timer: somebody else's loop waits.  Where
 * there can be no line that is no error; to get no descriptor for epoll(7) is.
 */
int queue_join(struct queue *queue, const struct path *path, bool with_timer);

/* Is this process in line by it? */
bool queue_is_joined(const struct queue *queue);

/*
 * Goes along if the path leads to another directory by now; and, if there is
 * time to look, if the line was removed.
 */
int queue_follow(struct queue *queue, const struct path *path, bool look);

/* Does anybody else stand in line? */
bool queue_has_others(const struct queue *queue);

/* The lock is still held, by this one: gets ready to sleep. */
void queue_watch(struct queue *queue, const struct awaited *awaited);

/* Gets ready to sleep, but to look at PATH after so long. */
void queue_pause(struct queue *queue, int pause_ms);

/*
 * Sleeps for timeout_ms at most, with this signal mask.  1: woken, 0: not;
 * -EINTR: a signal handler ran.  has_handlers: there was one before we slept; it
 * may be gone when it has run.
 */
int queue_sleep(struct queue *queue, int timeout_ms, const sigset_t *mask, bool has_handlers);

/* For event loops: takes note of what woke the loop.  Was it more than the time? */
bool queue_drain(struct queue *queue);

/* Is PATH as it was, locked, and the holder, which we watch, alive? */
bool queue_sees_no_change(const struct queue *queue, const struct path *path);

/*
 * Nobody woke us, and PATH is free: is it for the first to take, who may be
 * about to?  Once; then the first is stopped, or slow.
 */
bool queue_defers(struct queue *queue, const struct path *path);

/* Closes all, without a trace: what a parent left us, say. */
void queue_drop(struct queue *queue);

/* Leaves the line.  pass_on: a wake-up may have been for us, and we have not used it. */
void queue_leave(struct queue *queue, const struct path *path, bool pass_on);

/* PATH is free: wakes the first in line.  Is there one? */
bool queue_wake(int dirfd, const struct path *path);

#endif
