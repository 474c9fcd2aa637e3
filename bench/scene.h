/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * scene - a holder and who contends with it, in a directory of their own, and what
 * is seen
 */
#ifndef SCENE_H
#define SCENE_H

#include "actor.h"
#include "contender.h"

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

struct scene {
	const struct peer *peer;
	char path[PATH_MAX];
	struct actor holder, contender;
	pid_t idler;
	char answer[256];
};

void scene_set(struct scene *scene, const struct peer *peer, const char *dir);
/* Ends all that live, and waits for them; the answer stays. */
void scene_strike(struct scene *scene);

void scene_answer(struct scene *scene, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Both have an answer where they return false: it was an error, or not tried. */
bool scene_hold(struct scene *scene, const struct place *place);
bool scene_told(struct scene *scene, struct actor *actor, enum word word, char *ret);

/* The answer is one of these, by a process that tries once. */
void scene_judge(struct scene *scene, const struct place *place, const char *free,
                 const char *busy);

/*
 * The same where the holder is dead.  One that is kept out tries again when an obstacle
 * that may be in the way is gone, and with an older file at last: some wait for no
 * process, but for a time to pass.
 */
void scene_succeed(struct scene *scene, const struct place *place, void (*clear)(struct scene *),
                   const char *obstacle);

#endif
