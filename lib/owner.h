/* SPDX-License-Identifier: BSD-2-Clause */
/* owner - which process is it, and is it alive? */
#ifndef OWNER_H
#define OWNER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define BOOT_ID_SIZE 8 /* of 16: the record has no room for more */

/*
 * What tells a process from every other, past and future ones included.
 * A member that is 0 is unknown.
 */
struct owner {
	pid_t pid;
	uint32_t pid_namespace;  /* inode number of /proc/self/ns/pid */
	uint32_t time_namespace; /* the one that start is counted in */
	uint64_t start;          /* clock ticks since boot, proc_pid_stat(5) */
	uint64_t pidfd_inode;    /* never reused in one boot, if there is a pidfs (Linux 6.9) */
	uint32_t image;          /* token of the program image (image.h) */
	unsigned char boot[BOOT_ID_SIZE];
};

/* Who this process is.  -EMFILE, -ENFILE, -ENOMEM, -EINTR: not now. */
int owner_self(struct owner *ret);

/*
 * Who another process is, as this one (self) sees it.  Its program image is not known.
 * -ESRCH: there is none, or only a zombie or a thread of that number; and those of
 * owner_self().
 */
int owner_of(pid_t pid, const struct owner *self, struct owner *ret);

/* Are these, which are of one boot, the same process?  What is unknown counts as equal. */
bool owner_is_same(const struct owner *a, const struct owner *b);

/* Does a process with this PID run?  One that cannot be asked does. */
bool owner_pid_alive(pid_t pid);

/* Is its boot known? */
bool owner_has_boot(const struct owner *owner);

/* Do a and b come from one boot of one kernel?  Unknown is a boot of its own. */
bool owner_same_boot(const struct owner *a, const struct owner *b);

/*
 * Did the process that has the PID of the record now start when the recorded one did, as
 * far as self can tell?  Of records of different boots that is rarely so; pidfd inodes
 * begin at the same number in each boot, and so are often the same.
 */
bool owner_has_same_start(const struct owner *recorded, const struct owner *self);

/* Do a and b, which are of one boot, live in one PID namespace? */
bool owner_same_pids(const struct owner *a, const struct owner *b);

enum owner_state {
	OWNER_UNKNOWN, /* not comparable from here */
	OWNER_DEAD,    /* or the PID is another process's by now */
	OWNER_ALIVE
};

/* Is it one process, and still the program that it was?  Unknown is none. */
bool owner_same_image(const struct owner *a, const struct owner *b);

/*
 * Is the process of this pidfd, which was opened by the PID of a record of this boot, the
 * recorded one?  Unlike owner_state(), OWNER_ALIVE only if that is certain.
 */
enum owner_state owner_identify(const struct owner *recorded, const struct owner *self, int pidfd);

/* Is this the real or the saved user of the process, so that this user may signal it? */
bool owner_is_of_user(pid_t pid, uid_t user);

/* What has become of the process that a record of this boot names, as seen by self? */
enum owner_state owner_state(const struct owner *recorded, const struct owner *self);

#endif
