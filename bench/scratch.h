/* SPDX-License-Identifier: BSD-2-Clause */
/* scratch - a directory for the lock files of those that are killed */
#ifndef SCRATCH_H
#define SCRATCH_H

#include <stddef.h>

/* Makes one, named after the process and the number; PATH is that of a lock file in it. */
void scratch_make(char *ret_path, size_t size, const char *dir, int number);

/* Removes it, with whatever is in it. */
void scratch_remove(const char *path);

#endif
