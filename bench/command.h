/* SPDX-License-Identifier: BSD-2-Clause */
/* command - a program, of another package or of this one */
#ifndef COMMAND_H
#define COMMAND_H

#include <sys/types.h>

/* Its path, of those that the system itself searches; NULL if it is not installed. */
const char *command_find(const char *name);

/* The tool of this package: what LOCKFILE_PID names in the environment, or the build's. */
const char *command_find_ours(void);

/* Descriptors that are to be its standard streams; -1 for our own. */
struct streams {
	int in, out, err;
};

/*
 * Starts it by its path, in an environment of nothing but PATH: as little as there is
 * for it, and for its loader, to look for.  Dies with the thread that started it,
 * unless it has a set-group-ID bit, as those for mail have (prctl(2) says that).
 */
pid_t command_start(const char *const *argv, const struct streams *streams);

/* Waits for its end; the exit status, -1 if there is none. */
int command_wait(pid_t command);

/* Starts it, and waits for its end, which must be of status 0. */
void command_run(const char *const *argv);

/* Without its words on stderr; the exit status. */
int command_ask(const char *const *argv);

#endif
