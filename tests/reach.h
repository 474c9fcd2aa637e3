/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reach - the helper program, for users who cannot enter the build directory
 */
#ifndef REACH_H
#define REACH_H

#include <stdbool.h>

/*
 * If root runs the tests, and other users cannot execute the program that HOLDER names or
 * read the library that SHARED_LIBRARY names: copies both to @dir, which all can enter,
 * and changes HOLDER and LD_LIBRARY_PATH.  Returns 0 or -errno.
 */
int reach_helper(const char *dir);

/* Can other users execute the program that HOLDER names? */
bool others_reach_helper(void);

#endif
