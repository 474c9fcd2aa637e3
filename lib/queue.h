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
	uid_t user;              /* the owner of its lock file */
	bool wakes;              /* uses this library, so its release wakes its user's waiters */
	bool locked;             /* by the kernel, and by no child: held while the process lives */
	ino_t ino;               /* of its lock file, */
	struct timespec changed; /* and when that was changed last */
};

/* A place in line. */
struct queue {
	struct descriptor epoll;   /* what the waiter sleeps on; none: not in line */
	struct descriptor dir;     /* where the FIFO is */
	struct descriptor fifo;    /* none: there is no wait queue for us, look again and again */
	struct descriptor timer;   /* for event loops: the time to look again */
	struct descriptor signals; /* whose handlers do not end the wait, see wait.c */
	struct descriptor pidfd;   /* of the holder, with the first in line */
	dev_t dir_dev, fifo_dev;   /* which an overlay of file systems may have two of */
	ino_t dir_ino, fifo_ino;
	uid_t owner;            /* of files that we make; (uid_t)-1: not known */
	uid_t user;             /* whose wait queue is ours; (uid_t)-1: nobody's */
	pid_t watched;          /* the holder's PID */
	struct awaited awaited; /* as it was seen last */
	bool first;
	bool deferred; /* it has let the first go first */
	int pause_ms;  /* until PATH is looked at again */
};

#define QUEUE_NONE                                                                             \
	{                                                                                      \
		.epoll = DESCRIPTOR_NONE, .dir = DESCRIPTOR_NONE, .fifo = DESCRIPTOR_NONE,     \
		.timer = DESCRIPTOR_NONE, .signals = DESCRIPTOR_NONE, .pidfd = DESCRIPTOR_NONE \
	}

/*
 * Goes to the end of the wait queue.  owner: of files that this process makes there,
 * (uid_t)-1 if that is not known.  with_timer: somebody else's loop waits.  A queue
 * that cannot be used is no error; to get no descriptor for epoll(7) is.
 */
int queue_join(struct queue *queue, const struct path *path, uid_t owner, bool with_timer);

/* These signals, which the waiter blocks, end its sleep from now on. */
int queue_add_signals(struct queue *queue, const sigset_t *signals);

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
 * Sleeps for timeout_ms at most, with this signal mask.  Handlers of the signals that
 * were added run before it returns.  1: woken, 0: not; -EINTR: a handler ran, or the
 * process was stopped and goes on.
 */
int queue_sleep(struct queue *queue, int timeout_ms, const sigset_t *mask, const sigset_t *signals);

/*
 * For event loops: takes note of what woke the loop.  Was it more than the time?
 * yields: to others, who may not have read the byte that woke them.
 */
bool queue_drain(struct queue *queue, bool yields);

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

/* Leaves the line with the lock.  The descriptor of its directory becomes *ret_dir. */
void queue_leave_served(struct queue *queue, const struct path *path, struct descriptor *ret_dir);

/*
 * PATH is free: wakes the head of our user's wait queue; owner as above.  1: somebody
 * waits, 0: nobody does; -EMFILE, -ENFILE: the caller closes a file and tries again.
 */
int queue_wake(int dirfd, const struct path *path, uid_t owner);

#endif
