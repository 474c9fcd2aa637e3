/* SPDX-License-Identifier: BSD-2-Clause */
/* proc - what a file under /proc says */
#ifndef PROC_H
#define PROC_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Reads the start of a file as text, as far as @ret has room for it; "" where that is not
 * possible, and -errno.
 */
int proc_read(const char *path, char *ret, size_t size);

/* A line "NAME:\tvalue" of a file. */
struct proc_field {
	const char *name;
	char value[40]; /* its start; "" if there is no such line; three user IDs fit */
	bool is_found;
};

/*
 * Looks for lines in a file of any length; -errno if it cannot be read to where the last of
 * them is.  A name counts at the start of a line only.
 */
int proc_read_fields(const char *path, struct proc_field *fields, size_t count);

#endif
