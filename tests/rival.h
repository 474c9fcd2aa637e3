/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rival - another process that contends for the lock and can be stopped, or
 * killed, before any of its calls (steer.h)
 */
#ifndef RIVAL_H
#define RIVAL_H

#include <sys/types.h>

#define RIVAL_STOPPED 1

struct rival {
	pid_t pid;
	int to, from;
};

/* no_tmpfile: an errno as for steer_no_tmpfile(), or 0. */
struct rival rival_start(const char *path, int no_tmpfile);

/* The result; or RIVAL_STOPPED, before its call number stop_at (0: none) of this attempt. */
int rival_trylock(struct rival *rival, int stop_at);
int rival_go_on(struct rival *rival);
int rival_unlock(struct rival *rival);
int rival_verify(struct rival *rival);

/* They are waited for. */
void rival_end(struct rival *rival);
void rival_kill(struct rival *rival);

#endif
