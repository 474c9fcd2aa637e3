/* SPDX-License-Identifier: BSD-2-Clause */
/* documented - the results that include/lockfile-pid.h names for each function */
#ifndef DOCUMENTED_H
#define DOCUMENTED_H

#include <stdbool.h>

/* May this function, say "trylock", give that?  error: the errno that a call gave it, or 0. */
bool documented(const char *function, int r, int error);

/* Has this table a row for it? */
bool documented_has(const char *function);

#endif
