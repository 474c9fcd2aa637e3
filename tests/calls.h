/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * calls - lists of system calls in words: "open lseek stat"
 *
 * A call is named by what it does, since C libraries and machines have several
 * for one purpose: open is openat(2) as well.  Left out is what a C library does
 * for itself, or, by its version, without the kernel: memory, mutexes, clocks,
 * random numbers.
 *
 * In an expected list "stat?" may be missing: not every kernel comes to it.
 */
#ifndef CALLS_H
#define CALLS_H

#include "tracer.h"

#define CALLS_SIZE 8192

/* Which calls of a trace: those that fit this. */
struct selection {
	int process;
	int image;
	int marks;
};

/* Without those of loaders. */
void calls_list(char ret[CALLS_SIZE], const struct trace *trace, const struct selection *selection);

/* The test fails with both lists if they differ. */
void assert_calls(const char *what, const char *seen, const char *expected);

#endif
