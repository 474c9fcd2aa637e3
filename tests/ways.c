/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "ways.h"

#include "steer.h"

#include <lockfile-pid.h>

void set_way(int row)
{
	steer_reset();
	steer_no_tmpfile(no_tmpfile[row]);
}

void write_stale(const char *name)
{
	char content[16];

	snprintf(content, sizeof(content), "%d\n", (int)dead_pid());
	write_file(name, content);
}

int trylock(const char *path)
{
	struct lockfile_pid *lock = new_lock(path);
	int r = lockfile_pid_trylock(lock);

	lockfile_pid_free(lock);
	return r;
}
