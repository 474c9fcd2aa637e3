/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * steer - between the library and the kernel: what a function of lib/sys.h
 * does, at which of its calls
 *
 * A call is named as there ("sys_rename").  nth counts the calls of that
 * function from 1, from the moment of the rule; EVERY is every one.
 */
#ifndef STEER_H
#define STEER_H

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EVERY    0
#define ANY_CALL "*" /* of whatever function */

/* The call is not made and gives this result, say -ENOSPC. */
void steer_result(const char *call, int nth, long long result);

/* The call is made, and gives this result all the same, as close(2) may. */
void steer_made(const char *call, int nth, long long result);

/* It reads or writes so many bytes at most; of an attribute it tells so many. */
void steer_short(const char *call, int nth, size_t size);

/* Something happens just before, or just after, the call. */
void steer_before(const char *call, int nth, void (*hook)(void *), void *argument);
void steer_after(const char *call, int nth, void (*hook)(void *), void *argument);

/*
 * Another system, for hooks as well: O_TMPFILE gives this error; there is no
 * /proc; memory cannot be wiped in children; pidfds share one inode; files
 * (other than pidfds) are on a file system of this statfs(2) type; a clock is
 * ahead; what is a pause only takes no time.
 */
void steer_no_tmpfile(int error);
void steer_no_proc(void);
void steer_no_wipe(void);
void steer_no_pidfs(void);
void steer_file_system(unsigned long type);
void steer_clock(int clock, int64_t ahead_ns);
void steer_no_pauses(void);

/* Functions in place of those that tell the time or take some; NULL: as they are. */
struct steer_clockwork {
	int64_t (*clock_ns)(int clock);
	int (*sleep_ns)(long ns);
	int (*poll)(struct pollfd *fds, nfds_t count, int timeout_ms);
	int (*epoll_wait)(int epoll, int timeout_ms, const sigset_t *mask);
};
void steer_clockwork(const struct steer_clockwork *clockwork);

/*
 * fork(2) waits for calls inside the gate until they have left, and not for 100 ms only,
 * however busy the machine is: the monotonic clock stands still.
 */
void steer_fork_without_timeout(void);

/*
 * Likewise: nobody sleeps in line for more than a millisecond; the file of this
 * name cannot be opened, if it is there.
 */
void steer_quick_waits(void);
void steer_unopenable(const char *name, int error);

/* No rule any more, the system as it is, nothing counted. */
void steer_reset(void);

/* How often was it called since the last reset?  Calls of hooks do not count. */
int steer_count(const char *call); /* or ANY_CALL */

/* For hooks: the call that is about to be made, or was. */
struct steer_call {
	const char *name;
	int fd;    /* of which file; -1: of a name, say */
	int flags; /* of an open */
};
const struct steer_call *steer_call(void);

/* From now on: how often did the library open the file of this name? */
void steer_watch_opens(const char *name);
int steer_opens(void);

/* The names of all calls since the last reset, without "sys_", in order, each
 * followed by a space. */
const char *steer_trace(void);

/*
 * For calls that are no functions of lib/sys.h but to be steered as well: it is
 * about to be made, by the name of a constant string.  Is it replaced by this
 * result?
 */
bool steer_enter(const char *call, long long *ret_result);

#endif
