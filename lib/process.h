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

/* A random number that no other acquisition has, of whatever process. */
uint64_t process_nonce(void);

/* A descriptor that outlives the call that opened it. */
struct descriptor {
	int fd;                                     /* -1: there is none */
	bool (*is_ours)(const struct descriptor *); /* NULL: it surely is */
	bool is_shared;                             /* children of fork(2) keep theirs */
	uint64_t generation; /* of the process that entered it, see process.c */
	struct descriptor *next, **link;
};

#define DESCRIPTOR_NONE  \
	{                \
		.fd = -1 \
	}

/*
 * The list of our descriptors.  One is opened and entered, and removed and
 * closed, with the list locked: a fork by another thread finds it either in the
 * list or not yet, or no longer, open.
 */
void process_lock_list(void);
void process_unlock_list(void);
void process_enter(struct descriptor *descriptor, int fd);

/* With the list locked: *to takes the place of *from, which becomes none. */
void process_move(struct descriptor *to, struct descriptor *from);

/* From now on a fork does not close it in the child. */
void process_share(struct descriptor *descriptor);

/* Removes it, and closes it if it is surely ours, or only if there is one at all. */
void process_leave(struct descriptor *descriptor, bool is_ours);
void process_close(struct descriptor *descriptor);

/* Did this process enter it, and not one that it was forked from? */
bool process_entered(const struct descriptor *descriptor);

/* Is there one of this process that matches? */
bool process_finds(bool (*matches)(const struct descriptor *, const void *), const void *what);

#endif
