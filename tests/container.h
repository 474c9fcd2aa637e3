/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * container - a process that lives in namespaces of its own, and how these are
 * furnished
 *
 *	static const struct container pod = {
 *		.namespaces = CLONE_NEWPID | CLONE_NEWNS,
 *		.furnish = { { own_proc, 0 } },
 *	};
 *	struct holder h = container_start(&pod, "x.pid");	// PID 1 there
 *
 * The mounts of a mount namespace are its own, and go with it.
 */
#ifndef CONTAINER_H
#define CONTAINER_H

#include "common.h"

#include <sched.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

#define CONTAINER_STEPS 3

struct container {
	unsigned int namespaces; /* CLONE_NEWPID and so on; 0: those of the test */
	pid_t pid;               /* of the process, as seen from inside; 0: any */
	uid_t user;              /* that it becomes at last, likewise; 0: stays */
	uid_t first;             /* with CLONE_NEWUSER: what 0 inside is outside */
	struct {
		int (*f)(int argument); /* 0 or -errno */
		int argument;
	} furnish[CONTAINER_STEPS]; /* in this order */
};

/* What they say for furnish, and so do the functions of filter.h. */
int own_proc(int hidepid);      /* a /proc of its PID namespace */
int no_proc(int unused);        /* nothing there, */
int empty_proc(int unused);     /* an empty directory, */
int proc_of_others(int unused); /* or the /proc of another PID namespace */
int another_place(int unused);  /* the current directory is found at another path alone */
int another_boot(int unused);   /* the boot ID is another */
int shifted_time(int seconds);  /* a time namespace with other clocks */

/*
 * A helper in there.  As holder_start(); the test is skipped where the system
 * refuses us this.
 */
struct holder container_start(const struct container *container, const char *path);

/* As in_child(), with the function in there. */
int in_container(const struct container *container, void (*f)(void *), void *argument);

/* A process in there that does nothing until it is killed. */
pid_t container_idle(const struct container *container);

/*
 * A PID namespace for other processes, which goes with its first one: an idle
 * one, which is returned.  And: from here on our children are in there.
 */
pid_t make_pids(int *ret_namespace);
void join_pids(int namespace);

#endif
