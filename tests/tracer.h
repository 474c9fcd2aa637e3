/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tracer - the system calls that a process makes, and who comes from it, in the
 * order in which they begin (ptrace(2))
 *
 * For tests and benchmarks alike.  It needs PTRACE_GET_SYSCALL_INFO, which came
 * with Linux 5.3 and is the same on all machines.
 */
#ifndef TRACER_H
#define TRACER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct call {
	long number;
	uint64_t arguments[6];
	int process;    /* that made it, in the order in which they came; 0: the first */
	int image;      /* so many programs it has executed by then, or who made it had */
	int marks;      /* so many were set before */
	bool by_loader; /* it was the dynamic loader of a program that made it */
};

struct trace {
	struct call *calls; /* marks aside */
	size_t count;
	int status; /* of the first process, as by waitpid(2) */
};

/*
 * Runs f in a child, until it and all who came from it have ended.  0, or -errno
 * where they cannot be traced.  The caller frees ret->calls.
 */
int trace(struct trace *ret, void (*f)(void *), void *argument);

/* In f: tells what comes before from what comes after. */
void trace_mark(void);

#endif
