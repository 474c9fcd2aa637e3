/* SPDX-License-Identifier: BSD-2-Clause */
/* documented - the results that include/lockfile-pid.h names for each function */
#ifndef DOCUMENTED_H
#define DOCUMENTED_H

#include <stdbool.h>

/* Whether this function, for example "trylock", is documented to return that. */
bool documented(const char *function, int r);

/* Has this table a row for it? */
bool documented_has(const char *function);

#endif
