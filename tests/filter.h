/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * filter - a process to which the kernel refuses some calls, as in a sandbox
 *
 * For the calling process, what it executes and its children, for good.  All
 * return 0, or -errno where a process cannot be filtered.
 */
#ifndef FILTER_H
#define FILTER_H

#include <stddef.h>
#include <stdint.h>

/* Calls that end with an error: one or, where last is set, all up to that number, */
struct refusal {
	unsigned int call, last;
	int error;
	enum {
		WHATEVER_IT_IS, /* and here an argument decides: it is this value, or has a bit of it */
		IF_IT_IS,
		IF_IT_HAS,
	} when;
	unsigned int argument; /* 0 is the first */
	uint32_t value;
};

/* The first refusal that fits a call counts. */
int refuse(const struct refusal *refusals, size_t count);

int refuse_pidfd_open(int error);
int refuse_fsetxattr(int error);
/* Locks of open file descriptions; others are given. */
int refuse_ofd_locks(int error);
/* To open a file with O_TMPFILE; others are opened. */
int refuse_tmpfile(int error);

#endif
