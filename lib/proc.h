/* SPDX-License-Identifier: BSD-2-Clause */
/* proc - what a file under /proc says */
#ifndef PROC_H
#define PROC_H

#define PROC_TEXT_SIZE 4096

/* Reads the start of a file as text; "" where that is not possible, and -errno. */
int proc_read(const char *path, char ret[PROC_TEXT_SIZE]);

/* The value in a line "NAME:\tvalue" that is not the first, or NULL. */
const char *proc_field(const char *text, const char *name);

#endif
