/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * filter - a process to which the kernel refuses some calls, as in a sandbox
 *
 * For the calling process, what it executes and its children, for good.  All
 * return 0, or -errno where a process cannot be filtered.
 */
#ifndef FILTER_H
#define FILTER_H

int refuse_pidfd_open(int error);
int refuse_fsetxattr(int error);
/* Locks of open file descriptions; others are given. */
int refuse_ofd_locks(int error);
/* To open a file with O_TMPFILE; others are opened. */
int refuse_tmpfile(int error);

#endif
