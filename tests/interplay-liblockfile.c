/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "interplay.h"

#include <lockfile.h>

int interplay_take(const char *path)
{
	return lockfile_create(path, 0, L_PID) == L_SUCCESS ? 0 : -1;
}

int interplay_release(const char *path)
{
	return lockfile_remove(path);
}
