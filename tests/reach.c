/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "reach.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* Of the file and of each directory above it. */
static bool others_may(const char *path, mode_t mode)
{
	char name[PATH_MAX];
	struct stat st;

	if (!realpath(path, name) || stat(name, &st) < 0 || (st.st_mode & mode) != mode)
		return false;
	for (char *slash = strrchr(name, '/'); slash && slash != name; slash = strrchr(name, '/')) {
		*slash = '\0';
		if (stat(name, &st) < 0 || !(st.st_mode & S_IXOTH))
			return false;
	}
	return true;
}

static int copy(int to, int from)
{
	char buffer[65536];
	ssize_t n;

	while ((n = read(from, buffer, sizeof(buffer))) > 0)
		if (write(to, buffer, (size_t)n) != n)
			return -EIO;
	return n < 0 ? -errno : 0;
}

/* Whatever mode the umask would give it. */
static int copy_file(const char *from, const char *dir, const char *name)
{
	char path[PATH_MAX];
	int in = open(from, O_RDONLY | O_CLOEXEC), out, r;

	if (in < 0)
		return -errno;
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	out = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
	r = out < 0 ? -errno : copy(out, in);
	if (r == 0 && fchmod(out, 0755) < 0)
		r = -errno;
	close(in);
	close(out);
	return r;
}

/* A static build has no shared library. */
static int copy_library(const char *dir)
{
	const char *library = getenv("SHARED_LIBRARY"), *others = getenv("LD_LIBRARY_PATH");
	char path[PATH_MAX];
	int r;

	if (!library || access(library, F_OK) < 0)
		return 0;
	r = copy_file(library, dir, strrchr(library, '/') + 1);
	snprintf(path, sizeof(path), "%s%s%s", dir, others ? ":" : "", others ? others : "");
	return r < 0 || setenv("LD_LIBRARY_PATH", path, 1) == 0 ? r : -errno;
}

static bool may_execute_in(const char *dir)
{
	struct statvfs fs;

	return statvfs(dir, &fs) == 0 && !(fs.f_flag & ST_NOEXEC);
}

static bool others_read_library(void)
{
	const char *library = getenv("SHARED_LIBRARY");

	return !library || access(library, F_OK) < 0 || others_may(library, S_IROTH);
}

bool others_reach_helper(void)
{
	const char *helper = getenv("HOLDER");

	return !helper || others_may(helper, S_IXOTH);
}

int reach_helper(const char *dir)
{
	const char *helper = getenv("HOLDER");
	char path[PATH_MAX];
	int r;

	if (geteuid() != 0 || !helper || !may_execute_in(dir) ||
	    (others_reach_helper() && others_read_library()))
		return 0;
	r = copy_file(helper, dir, "helper");
	if (r == 0)
		r = copy_library(dir);
	snprintf(path, sizeof(path), "%s/helper", dir);
	return r < 0 || setenv("HOLDER", path, 1) == 0 ? r : -errno;
}
