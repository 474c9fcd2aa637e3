/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kernel - a process whose kernel has less than ours
 *
 * What cannot be taken away by a filter of calls it still has: among others
 * EPOLLEXCLUSIVE, which came with Linux 4.5, and what is in /proc.
 */
#ifndef KERNEL_H
#define KERNEL_H

/*
 * One of kernel.c, by its name.  For the calling process, what it executes and its children, for good.
 * Returns 0, -ENOENT: there is no such kernel, or -errno where a process cannot
 * be filtered.
 */
int kernel_enter(const char *name);

#endif
