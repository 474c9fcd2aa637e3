/* SPDX-License-Identifier: BSD-2-Clause */
/* family - a worker and the programs that it has started */
#ifndef FAMILY_H
#define FAMILY_H

#include <stdint.h>
#include <sys/types.h>

/* The calling worker is the first of one. */
void family_begin(void);

/* Processor time up to now of those that are there; see family_gone_ns() for the others. */
int64_t family_cpu_ns(pid_t worker);

/* Of those that the calling process has waited for, and they for. */
int64_t family_gone_ns(void);

/* Kills all of them; the worker must not have failed before.  Then wait for it. */
void family_kill(pid_t worker);
void family_bury(pid_t worker);

#endif
