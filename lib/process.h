/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * process - this process: who it is, which descriptors it keeps, and what a fork
 * does to them
 *
 * The library's one piece of process-wide state.
 */
#ifndef PROCESS_H
#define PROCESS_H

#include "owner.h"

#include <stddef.h>

/* To succeed once before anything else here; later calls cost nothing. */
int process_init(void);

/* Who we are; looked up once in each process.  -EMFILE and the like. */
int process_self(struct owner *ret);

/* A number of this process that none of its ancestors by fork(2) has.  Never 0. */
uint64_t process_generation(void);

/* A random number that no other acquisition has, of whatever process. */
uint64_t process_nonce(void);

/*
 * The fork gate.  A call is inside the gate while it has a descriptor that a
 * forked child must not inherit and that is not on the list below: between open
 * and fd_track(), between fd_untrack() and close, and while it holds a kernel
 * lock through a descriptor that it never tracks.  fork() waits until nobody is
 * inside, but only for 100 ms: a call on a file system that does not answer may
 * stay inside forever (process.c says why that is harmless).  Calls that arrive
 * while another thread forks wait until the fork is done.
 *
 * gate_enter() returns the pass to leave with.  Passes do not nest.
 */
uintptr_t gate_enter(void);
void gate_leave(uintptr_t pass);

/* A descriptor that outlives the call that opened it. */
struct descriptor {
	/* the number; -1: there is none, see also fd_exists() */
	int fd;
	/* whether the number is still that of our file; NULL: it is for certain */
	bool (*is_ours)(const struct descriptor *);
	/* a child of fork(2) keeps its copy open */
	bool is_kept;
	/*
	 * The child of a fork(2) leaves its copy open: close(2) may wait for a server, and
	 * the copy does not keep the lock
	 */
	bool may_hang;
	/* of the process that tracks it, see process.c */
	uint64_t generation;
	struct descriptor *next, **link;
};

#define DESCRIPTOR_NONE  \
	{                \
		.fd = -1 \
	}

/*
 * The list of the descriptors that a forked child closes.  Its mutex is held for
 * changes of the list, and by the thread that forks, but by no other thread during a
 * system call on a file.
 *
 * fd_track() puts a descriptor on the list; the caller is inside the gate.  It sets
 * fd and generation and clears is_kept; all other members are the caller's.
 */
void fd_track(struct descriptor *descriptor, int fd);

/* *to takes the place of *from, which becomes none.  The caller is inside the gate. */
void fd_move(struct descriptor *to, struct descriptor *from);

/* From now on a forked child keeps its copy open. */
void fd_keep_in_child(struct descriptor *descriptor);

/* Whether there is one, and it was not a parent's whose copy was closed by fork(2). */
bool fd_exists(const struct descriptor *descriptor);

/* Takes one that exists off the list, and closes it if @close. */
void fd_untrack(struct descriptor *descriptor, bool close);

/* The same with @close, if it exists; then there is none. */
void fd_close(struct descriptor *descriptor);

/* Two that exist, and whose numbers are still those of our files. */
void fd_close_two(struct descriptor *descriptor, struct descriptor *other);

/* Whether there is one, and this process tracked it, and not a parent. */
bool fd_is_of_process(const struct descriptor *descriptor);

/* Whether one that this process tracked matches. */
bool fd_any(bool (*matches)(const struct descriptor *, const void *), const void *what);

#endif
