/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * puppet - a process that makes one call of the seam at a time, when it is let
 *
 * It stops before each call that another process could notice, and goes on when
 * it is told to.  Sleeping is real where the kernel may end it (in line), so that
 * it is the kernel that decides whom a wake-up reaches.  Time stands still, but
 * for what the puppeteer adds: a sleep ends when it says that its time is up.
 *
 * The stage is memory that all share: who holds the lock, and what somebody has
 * to complain of.
 */
#ifndef PUPPET_H
#define PUPPET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define PUPPETS 4

enum puppet_state {
	PUPPET_NONE,
	PUPPET_RUNNING,
	PUPPET_STOPPED, /* before a call */
	PUPPET_PAUSING, /* in a sleep that only time ends */
	PUPPET_WAITING, /* in epoll_wait(2) */
};

/* For the puppeteer. */

void stage_open(void);  /* in shared memory, for children to come */
void stage_clear(void); /* nobody on it, nothing held, time 0 */
void stage_close(void);
int64_t stage_now_ns(void);
const char *stage_complaint(void); /* the first one, or NULL */
int stage_wins(void);              /* how often the lock was had */

/*
 * A child of the caller, puppet or not.  What is in live() up to puppet_begin() it
 * does without a stop, and it ends with a stop for its exit.  Returns at the first stop.
 */
void puppet_start(int who, void (*live)(void *), void *argument);
enum puppet_state puppet_state(int who);
pid_t puppet_pid(int who);
const char *puppet_call(int who); /* before which it stopped, or in which it sleeps */
int64_t puppet_deadline_ns(int who);
/* One step, up to the next stop, sleep or end; of those whom it wakes as well. */
void puppet_go_on(int who);
void puppet_time_is_up(int who); /* of a sleep */
void puppet_kill(int who);

/* For puppets. */

void puppet_begin(void);
void puppet_step(const char *name); /* a stop that is before no call */
void puppet_sleep_ms(int ms);
/*
 * The sleep of an event loop: until the descriptor is readable, or the time is up.
 * takes: by epoll_wait(2) on the descriptor itself, which takes its events.
 */
void puppet_loop(int fd, int timeout_ms, bool takes);
int puppet_self(void);
void puppet_complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * The lock is had, or is not any more (before the call that gives it up).  As
 * whom: a family shares a number.  To have it while another has is complained of.
 */
void stage_hold(int who);
void stage_inherit(int who); /* it had it all the time */
void stage_let_go(int who);
bool stage_holds(int who);
/* A number for the scene's own use. */
int *stage_note(void);

#endif
