/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * scene - who has what at "d/x.pid" while a call of ours fails: a handle of our
 * own, another process that may hold the lock, and a third that may wait for it
 *
 * What others do is known to children of the test as well, which may be the ones
 * that had them do it.
 */
#ifndef SCENE_H
#define SCENE_H

#include "world.h"

#include <stdbool.h>

#define SCENE_PATH "d/x.pid"

extern struct lockfile_pid *lock;

void scene_begin(void);
void scene_end(void);

/* Before. */
void scene_other_holds(void);
void scene_other_closes_all(void); /* its descriptors, and holds without */
void scene_holds_and_third_waits(void);
void scene_third_waits(void);  /* while we hold */
void scene_stale(void);        /* its holder was killed */
void scene_mortal_holds(void); /* a process that can be killed */

/* Meanwhile: for hooks. */
void scene_let_go(void *unused); /* who holds releases, and so does the third */
void scene_kill_mortal(void *unused);
void scene_remove_file(void *unused); /* by hand */
bool scene_is_held(void);             /* by another? */
bool scene_was_left(void);            /* has any of that happened? */

/* After: whoever has anything lets go of it. */
void scene_settle(void);

/* How does another fare that wants it now? */
int scene_rival_tries(void);
int scene_rival_releases(void);

/* Whose PID stands in the file? */
pid_t scene_holder(void);

#endif
