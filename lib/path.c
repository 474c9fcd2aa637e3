/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "path.h"

#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool ends_with(const char *name, const char *suffix)
{
	size_t length = strlen(name), tail = strlen(suffix);

	return length >= tail && strcmp(name + length - tail, suffix) == 0;
}

static const char *last_component(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static int check_name(const char *name)
{
	if (*name == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return -EINVAL;
	if (ends_with(name, PATH_TAKEOVER_SUFFIX) || ends_with(name, PATH_QUEUE_SUFFIX))
		return -EINVAL;
	if (strlen(name) + strlen(PATH_TAKEOVER_SUFFIX) > NAME_MAX)
		return -ENAMETOOLONG;
	return 0;
}

/* The current directory is kept by name, so that one made anew counts. */
static char *absolute(const char *given)
{
	char *cwd, *full = NULL;

	if (*given == '/')
		return strdup(given);
	cwd = getcwd(NULL, 0);
	if (cwd) {
		size_t size = strlen(cwd) + strlen(given) + sizeof("/");

		full = malloc(size);
		if (full)
			snprintf(full, size, "%s/%s", cwd, given);
	}
	free(cwd);
	return full;
}

int path_init(struct path *path, const char *given)
{
	int r = check_name(last_component(given));

	if (r < 0)
		return r;
	errno = ENOMEM;
	path->dir = NULL;
	path->given = strdup(given);
	path->full = absolute(given);
	if (path->given && path->full) {
		path->name = last_component(path->full);
		path->dir = strndup(path->full, (size_t)(path->name - path->full));
	}
	if (!path->dir) {
		r = -errno;
		path_release(path);
		return r;
	}
	snprintf(path->takeover, sizeof(path->takeover), "%s" PATH_TAKEOVER_SUFFIX, path->name);
	snprintf(path->queue, sizeof(path->queue), "%s" PATH_QUEUE_SUFFIX, path->name);
	return 0;
}

void path_release(struct path *path)
{
	free(path->given);
	free(path->full);
	free(path->dir);
}

int path_open_dir(const struct path *path)
{
	return sys_openat(AT_FDCWD, path->dir, O_PATH | O_DIRECTORY, 0);
}

int path_leads_to(int dirfd, const char *name, dev_t dev, ino_t ino)
{
	struct stat st;
	int r = sys_fstatat(dirfd, name, &st);

	if (r < 0)
		return is_removed(r) ? 0 : r;
	return st.st_dev == dev && st.st_ino == ino;
}
