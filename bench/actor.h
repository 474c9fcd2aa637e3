/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * actor - a process with a contender, which does what it is told
 *
 *	actor_start(&holder, &here, peer, path);
 *	actor_tell(&holder, TRY);		// 'y': it has the lock
 *	actor_kill(&holder);
 */
#ifndef ACTOR_H
#define ACTOR_H

#include "contender.h"

#include <stdbool.h>
#include <sys/types.h>

/* Where it lives, and as whom. */
struct place {
	bool container; /* as the first process of a PID namespace, with a /proc of it */
	bool below;     /* there, but not the first */
	uid_t user;     /* 0: stays who it is */
};

struct actor {
	pid_t pid;
	int to, from;
	int errors;       /* a file of what it said on stderr */
	const char *path; /* NULL: there is none */
};

enum word {
	TRY = 't',          /* trylock: 'y' or 'n' */
	FORK = 'f',         /* a child that does nothing, and outlives it: 'y' */
	FORK_AND_EXIT = 'x' /* a child that has called exit(3): 'y' */
};

/*
 * Returns 0, or the errno by which there is no such place.  Its contender is made
 * when it is told the first word.
 */
int actor_start(struct actor *actor, const struct place *place, const struct peer *peer,
                const char *path);

/* '\0': it met an error, and has ended. */
char actor_tell(struct actor *actor, enum word word);

/* Of an actor that has met one; static. */
const char *actor_error(const struct actor *actor);

/*
 * Kills it.  On return it is a zombie, and what programs it had started are gone, save
 * a child that it was told to fork.
 */
void actor_kill(struct actor *actor);

/* Waits for the zombie: then its PID is free, and 0 here. */
void actor_reap(struct actor *actor);

/* Closes what it could be told by, once: a child that it has forked ends then. */
void actor_forget(struct actor *actor);

/* A process that does nothing, with this very PID; -1 with errno. */
pid_t idler_start(pid_t pid);

#endif
