/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * heir - a process becomes two: the holder of the lock (scene.h), inheritably,
 * and its child, in which these return
 *
 * The first ends as the child does, whatever it was to do itself.
 */
#ifndef HEIR_H
#define HEIR_H

void heir_of_the_living(void);
void heir_of_who_let_go(void);
void heir_of_the_dead(void);
void heir_for_good(void); /* its own lock is not to be inherited */
void heir_without_descriptor(void);
void heir_while_third_waits(void);

#endif
