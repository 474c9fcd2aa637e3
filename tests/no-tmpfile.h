/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * no-tmpfile - a process whose kernel has no O_TMPFILE
 *
 * So do file systems look that lack it (many FUSE, NFS, overlayfs before 6.1),
 * and here it is to be had for one process among others that do have it.
 */
#ifndef NO_TMPFILE_H
#define NO_TMPFILE_H

#include <stdbool.h>

/*
 * For the calling process and its children, for good: opening with O_TMPFILE
 * fails with EOPNOTSUPP.  Returns 0, or -errno where a process cannot be
 * filtered.  @dir: a directory in which to make sure.
 */
int refuse_o_tmpfile(const char *dir);

/* Asks a child. */
bool can_refuse_o_tmpfile(const char *dir);

#endif
