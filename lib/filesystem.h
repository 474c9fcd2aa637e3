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

#endif
