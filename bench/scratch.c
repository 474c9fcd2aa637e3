/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "scratch.h"

#include "bench.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TRIES    1000
#define PAUSE_US 10000

void scratch_make(char *ret_path, size_t size, const char *dir, int number)
{
	char suffix[32];

	snprintf(suffix, sizeof(suffix), "-%d.d", number);
	bench_path(ret_path, size, dir, suffix);
	if (mkdir(ret_path, 0755) < 0)
		fail(ret_path, "mkdir", strerror(errno));
	strncat(ret_path, "/lock", size - strlen(ret_path) - 1);
}

static void empty(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		unlinkat(dirfd(dir), entry->d_name, 0);
	if (dir)
		closedir(dir);
}

/* What was killed a moment ago may still be in a last system call. */
void scratch_remove(const char *path)
{
	char dir[PATH_MAX];
	int tries = 0;

	snprintf(dir, sizeof(dir), "%.*s", (int)(strrchr(path, '/') - path), path);
	for (empty(dir); rmdir(dir) < 0; empty(dir)) {
		if (++tries == TRIES)
			fail(dir, "rmdir", strerror(errno));
		sleep_us(PAUSE_US);
	}
}
