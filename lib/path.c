/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "path.h"

#include "public.h"
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
		return LOCKFILE_PID_ERR_RESERVED_NAME;
	if (strlen(name) + strlen(PATH_TAKEOVER_SUFFIX) > NAME_MAX)
		return -ENAMETOOLONG;
	return 0;
}

/* No name begins with it: "./x", so that the directory part is never empty. */
static char *join(const char *dir, const char *given)
{
	size_t size = strlen(dir) + strlen(given) + sizeof("/");
	char *full = malloc(size);

	if (full)
		snprintf(full, size, "%s/%s", dir, given);
	return full;
}

/*
 * Where the marks are: no program has a reason to open a directory with these three, and
 * fcntl(2) tells them.  A name that ends in a slash is followed all the same.
 */
#define DIR_MARKS (O_PATH | O_DIRECTORY | O_NOFOLLOW)

int path_open_dir(const struct path *path)
{
	return sys_openat(path_base(path), path->dir, DIR_MARKS, 0);
}

bool path_is_kept_dir(const struct descriptor *dir)
{
	int flags = sys_flags(dir->fd);

	return flags >= 0 && (flags & DIR_MARKS) == DIR_MARKS;
}

static int track_dir(struct descriptor *ret, int base, const char *name)
{
	uintptr_t pass;
	int fd;

	*ret = (struct descriptor)DESCRIPTOR_NONE;
	ret->is_ours = path_is_kept_dir;
	pass = gate_enter();
	fd = sys_openat(base, name, DIR_MARKS, 0);
	if (fd >= 0)
		fd_track(ret, fd);
	gate_leave(pass);
	return fd < 0 ? fd : 0;
}

int path_keep_dir(const struct path *path, struct descriptor *ret)
{
	return track_dir(ret, path_base(path), path->dir);
}

int path_keep_dir_at(int dirfd, struct descriptor *ret)
{
	return track_dir(ret, dirfd, "./");
}

static bool has_same_number(const struct descriptor *descriptor, const void *dir)
{
	return descriptor != dir && descriptor->fd == ((const struct descriptor *)dir)->fd;
}

void path_drop_dir(struct descriptor *dir, bool may_share)
{
	bool is_ours;

	if (dir->fd < 0)
		return;
	is_ours = path_is_kept_dir(dir);
	if (is_ours && may_share)
		is_ours = !fd_any(has_same_number, dir);
	fd_untrack(dir, is_ours);
}

static int get_root(struct root *ret)
{
	struct stat st;
	int r = sys_fstatat(AT_FDCWD, "/", &st);

	*ret = (struct root){ 0 };
	if (r == 0)
		*ret = (struct root){ st.st_dev, st.st_ino, sys_mount_id("/") };
	return r;
}

bool path_has_other_root(const struct path *path)
{
	const struct root *then = &path->root;
	struct root now;

	return get_root(&now) == 0 && then->ino != 0 &&
	       (now.dev != then->dev || now.ino != then->ino || now.mount != then->mount);
}

static bool is_directory_at(const char *name, const struct stat *dir)
{
	struct stat st;

	return sys_fstatat(AT_FDCWD, name, &st) == 0 && st.st_dev == dir->st_dev &&
	       st.st_ino == dir->st_ino;
}

/*
 * The current directory is kept by its name, so that one that is made again counts, and a
 * program may close descriptors that it does not know.  If the name does not lead there
 * (we may not search a directory above it, or it is too long), by a descriptor.
 */
static int find_base(struct path *path, const char *given)
{
	char *cwd = getcwd(NULL, 0);
	struct stat st;
	int r = cwd || errno != ENOMEM ? sys_fstatat(AT_FDCWD, ".", &st) : -ENOMEM;

	if (r == 0 && cwd && strlen(cwd) + strlen(given) + sizeof("/") <= PATH_MAX &&
	    is_directory_at(cwd, &st)) {
		path->full = join(cwd, given);
		free(cwd);
		return path->full ? 0 : -ENOMEM;
	}
	free(cwd);
	if (r == 0 && st.st_nlink == 0)
		r = -ENOENT;
	if (r == 0)
		r = path_keep_dir_at(AT_FDCWD, &path->base.descriptor);
	if (r < 0)
		return r;
	fd_keep_in_child(&path->base.descriptor);
	path->base.dev = st.st_dev;
	path->base.ino = st.st_ino;
	path->full = join(".", given);
	return path->full ? 0 : -ENOMEM;
}

static bool has_base(const struct path *path)
{
	return path->base.descriptor.fd >= 0;
}

static bool is_base_open(const struct path *path)
{
	struct stat st;

	return sys_fstat(path->base.descriptor.fd, &st) == 0 && st.st_dev == path->base.dev &&
	       st.st_ino == path->base.ino;
}

int path_base(const struct path *path)
{
	if (!has_base(path))
		return AT_FDCWD;
	return is_base_open(path) ? path->base.descriptor.fd : -EBADF;
}

static int set_names(struct path *path, const char *given)
{
	int r = 0;

	path->given = strdup(given);
	if (!path->given)
		return -ENOMEM;
	if (*given == '/')
		path->full = strdup(given);
	else
		r = find_base(path, given);
	if (r < 0 || !path->full)
		return r < 0 ? r : -ENOMEM;
	path->name = last_component(path->full);
	path->dir = strndup(path->full, (size_t)(path->name - path->full));
	return path->dir ? 0 : -ENOMEM;
}

int path_init(struct path *path, const char *given)
{
	int r = check_name(last_component(given));

	if (r < 0)
		return r;
	*path = (struct path){ .base.descriptor = DESCRIPTOR_NONE };
	r = set_names(path, given);
	if (r < 0) {
		path_release(path);
		return r;
	}
	get_root(&path->root);
	snprintf(path->takeover, sizeof(path->takeover), "%s" PATH_TAKEOVER_SUFFIX, path->name);
	snprintf(path->queue, sizeof(path->queue), "%s" PATH_QUEUE_SUFFIX, path->name);
	return 0;
}

void path_release(struct path *path)
{
	if (has_base(path))
		fd_untrack(&path->base.descriptor, is_base_open(path));
	free(path->given);
	free(path->full);
	free(path->dir);
}

int path_leads_to(int dirfd, const char *name, dev_t dev, ino_t ino)
{
	struct stat st;
	int r = sys_fstatat(dirfd, name, &st);

	if (r < 0)
		return is_removed(r) ? 0 : r;
	return st.st_dev == dev && st.st_ino == ino;
}
