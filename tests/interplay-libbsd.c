/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "interplay.h"

#include <bsd/libutil.h>
#include <stddef.h>

static struct pidfh *file;

int interplay_take(const char *path)
{
	file = pidfile_open(path, 0644, NULL);
	return file ? pidfile_write(file) : -1;
}

int interplay_release(const char *path)
{
	(void)path;
	return pidfile_remove(file);
}
