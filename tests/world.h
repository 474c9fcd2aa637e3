/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * world - what surrounds a lock in the tests: other users, other processes'
 * states, time, mounts
 */
#ifndef WORLD_H
#define WORLD_H

#include "common.h"

#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#define NOBODY 65534

/* For children, where Check's assertions have no place: in_child() is not 0 then. */
#define REQUIRE(condition)                                                                \
	do {                                                                              \
		if (!(condition)) {                                                       \
			fprintf(stderr, "# %s:%d: %s\n", __FILE__, __LINE__, #condition); \
			_exit(1);                                                         \
		}                                                                         \
	} while (0)

/* A handle, or the test fails. */
struct lockfile_pid *new_lock(const char *path);

/* Returns when it has read what it was asked, and sleeps with no answer given. */
void await_blocked(const struct holder *holder);
bool has_answer(const struct holder *holder);

/* The letter of proc_pid_stat(5), of a process or of a thread of ours; 0: none. */
char process_state(pid_t pid);
char thread_state(pid_t tid);

/* Returns when it is dead, and leaves it unreaped. */
void await_zombie(pid_t pid);
/* Kills a child and reaps it. */
void kill_child(pid_t pid);
/* fork(2), and the child is through its handlers for forks when the parent goes on. */
pid_t settled_fork(void);
/* A child that does nothing until it is killed. */
pid_t idle_child(void);

int64_t now_ms(void); /* monotonic, rounded down */
/* Moves the last change of a file so many seconds back. */
void age_file(const char *name, int seconds);

/* in_child(), as a user who owns nothing; needs root. */
int as_nobody(void (*f)(void *), void *argument);
/* Makes this process, for good, one that cannot change the current directory. */
void lose_permission(void);

/*
 * The file system of the current directory.  Where it has no user attributes
 * some promises are weaker, see the public header.  Where it may have users on
 * other machines, a dead PID that another program wrote may live there, and
 * counts as alive.
 */
void skip_without_attributes(void);
bool is_shared(void);
void skip_if_shared(void);

/* The call that a process sleeps in; -1: it runs, or it cannot be seen. */
long system_call_of(pid_t pid);
/* Does another make our calls, with numbers, descriptors and threads of its own? */
bool is_emulated(void);
/* It makes our calls as they are, but not every clone(2). */
bool is_under_valgrind(void);

/* Where there are none a waiter notices a death when it looks by itself. */
void skip_without_pidfds(void);

/* From here on this process sees mounts of its own; skips the test where it may not. */
/* The second is for a namespace of mounts that was just made: 0, or -errno. */
void private_mounts(void);
int make_mounts_private(void);
/* Mounts a small tmpfs at a new directory of that name. */
void mount_tmpfs(const char *name, const char *options);
void make_read_only(const char *name);
void unmount(const char *name);
/* Leaves no room in the file system of a file that it makes. */
void fill_up(const char *name);

/*
 * chroot(2) in a child, and back before it ends: where coverage is counted the counts
 * go to files outside.  The first returns what the second needs.
 */
int enter_root(const char *dir);
void leave_root(int outside);

#endif
