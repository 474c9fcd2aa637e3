/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * locker - what races: the library, and a naive locker that the detector has to
 * catch
 *
 * Results are the library's.
 */
#ifndef LOCKER_H
#define LOCKER_H

#include <stdbool.h>

struct locker {
	const char *name;
	bool trusted; /* anything else than expected is a failure */
	int (*open)(void **ret_handle, const char *path);
	int (*trylock)(void *handle);
	int (*lock)(void *handle);
	int (*unlock)(void *handle);
	void (*close)(void *handle);
};

extern const struct locker library_locker;
extern const struct locker naive_locker;

#endif
