/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dynasty - processes that inherit a handle from each other by fork(2), and do
 * with it what they are told
 *
 *	dynasty_start();			// member 0, with a handle for LOCK
 *	tell(0, "inheritable");
 *	ck_assert_int_eq(tell(0, "trylock"), 0);
 *	dynasty_fork(0, 1);		// member 1 is its child, with the same handle
 *	dynasty_kill(0);
 *	ck_assert_int_eq(tell(1, "adopt"), 0);
 *	dynasty_end();			// all that live exit with 0
 *
 * Other processes of the test are started after the dynasty, which would have
 * copies of the ends of their pipes.
 */
#ifndef DYNASTY_H
#define DYNASTY_H

#include "world.h"

#define LOCK        "x.pid"
#define MEMBERS_MAX 4

/*
 * The words, each with its result; those without a comment are lockfile_pid_...():
 * trylock, adopt, verify, unlock, check
 *	pid		the PID that check finds
 *	free		frees the handle; the member has none then
 *	inheritable, private	set_inheritable() 1 or 0
 *	closefrom	closes every descriptor above 2
 *	exec		becomes cat(1), which says what it is told
 *	exit		exits with 0, with the handle as it is
 */
void dynasty_start(void);
/* Member @parent forks, and its child becomes the member @child. */
void dynasty_fork(int parent, int child);
int tell(int member, const char *word);
/* Without waiting for a result. */
void ask(int member, const char *word);
pid_t pid_of(int member);
/* It is dead on return, whoever its parent is. */
void dynasty_kill(int member);
/* It has exited with 0 on return. */
void dynasty_exit(int member);
void dynasty_end(void);

#endif
