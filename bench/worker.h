/* SPDX-License-Identifier: BSD-2-Clause */
/* worker - a process of a benchmark */
#ifndef WORKER_H
#define WORKER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Memory of zeros that workers have in common, until the program ends. */
void *worker_share(size_t size);

pid_t worker_start(void (*work)(void *argument), void *argument);

/* Waits until it sleeps, and each program that it has started, or has slept at some time since. */
void worker_await_sleep(pid_t worker);

/* Processor time up to now. */
int64_t worker_cpu_ns(pid_t worker);

/* Waits for its end, which must be a good one. */
void worker_join(pid_t worker);

/* With the programs that it has started.  Returns now_ns() just before. */
int64_t worker_kill(pid_t worker);

#endif
