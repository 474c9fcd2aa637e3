/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * outcome - what must be so after an operation of which a call failed (inject.h)
 *
 * Each of these checks the result, and that whoever comes next finds all in
 * order; nothing is left then.
 */
#ifndef OUTCOME_H
#define OUTCOME_H

void outcome_acquired(int r);          /* it was to get the lock */
void outcome_busy(int r);              /* it cannot have got it */
void outcome_released(int r);          /* it was to release it */
void outcome_kept(int r);              /* it was to change nothing; we hold */
void outcome_left(int r);              /* it was to change nothing, or to leave the line */
void outcome_adopted(int r);           /* in a child: to have the parent's */
void outcome_let_go(int r);            /* lockfile_pid_free() was; */
void outcome_let_go_in_the_end(int r); /* the file may stay as long as the process lives */

/* A call said what is not so: no harm is done for longer than this process. */
void outcome_of_lie(int r);

/* The process that did it has ended: the next one can have the lock, and nothing stays. */
void outcome_settled(void);

#endif
