/* SPDX-License-Identifier: BSD-2-Clause */
/* filesystem - what kind of file system a file is on */
#ifndef FILESYSTEM_H
#define FILESYSTEM_H

#include <stdbool.h>

/*
 * Whether the file open at fd is on a file system that may have users on other
 * machines, or that another program serves (network, FUSE; statfs(2)).  True also
 * where that cannot be found out.
 */
bool filesystem_is_network(int fd);

/* Whether a file on it may have another inode number when it is looked at again. */
bool filesystem_renumbers(int fd);

/* Whether read(2) of a regular file never waits for a write(2) that does not end. */
bool filesystem_reads_at_once(int fd);

#endif
