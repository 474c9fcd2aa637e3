/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "steps.h"

#include "bench.h"
#include "contender.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define CYCLES 1000

/* What the calls are about. */
struct scene {
	const char *dir;
	char path[PATH_MAX], queue[PATH_MAX];
	char content[16];
	size_t length;
	int fd, dirfd;
};

/* The system calls, one by one: 0 or more, or -1 with errno. */

static int create(struct scene *scene)
{
	scene->fd = open(scene->path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
	return scene->fd;
}

static int write_pid(struct scene *scene)
{
	return (int)pwrite(scene->fd, scene->content, scene->length, 0);
}

static int close_file(struct scene *scene)
{
	return close(scene->fd);
}

static int unlink_path(struct scene *scene)
{
	return unlink(scene->path);
}

static int create_unnamed(struct scene *scene)
{
	scene->fd = open(scene->dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0644);
	return scene->fd;
}

/* The library marks its descriptor by a number, and looks for it before it trusts it. */
static int mark_descriptor(struct scene *scene)
{
	return (int)lseek(scene->fd, 1 << 20, SEEK_SET);
}

static int ask_for_mark(struct scene *scene)
{
	return (int)lseek(scene->fd, 0, SEEK_CUR);
}

static int stat_file(struct scene *scene)
{
	struct stat st;

	return fstat(scene->fd, &st);
}

/* Of the library's size; some file systems have no such attributes. */
static int set_attribute(struct scene *scene)
{
	char value[56] = "";
	int r = fsetxattr(scene->fd, "user.lockfile_pid", value, sizeof(value), 0);

	return r < 0 && errno == EOPNOTSUPP ? 0 : r;
}

static int lock_file(struct scene *scene)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };

	return fcntl(scene->fd, F_OFD_SETLK, &lock);
}

/* As the library does: by the descriptor, which takes privilege before Linux 6.10. */
static int link_file(struct scene *scene)
{
	char self[32];
	int r = linkat(scene->fd, "", AT_FDCWD, scene->path, AT_EMPTY_PATH);

	if (r == 0 || errno != ENOENT)
		return r;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", scene->fd);
	return linkat(AT_FDCWD, self, AT_FDCWD, scene->path, AT_SYMLINK_FOLLOW);
}

static int open_dir(struct scene *scene)
{
	scene->dirfd = open(scene->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return scene->dirfd;
}

static const char *name_in(const char *path)
{
	return strrchr(path, '/') + 1;
}

static int stat_path(struct scene *scene)
{
	struct stat st;

	return fstatat(scene->dirfd, name_in(scene->path), &st, AT_SYMLINK_NOFOLLOW);
}

static int read_pid(struct scene *scene)
{
	char content[16];

	return (int)pread(scene->fd, content, sizeof(content), 0);
}

static int unlink_in_dir(struct scene *scene)
{
	return unlinkat(scene->dirfd, name_in(scene->path), 0);
}

static int look_for_line(struct scene *scene)
{
	struct stat st;
	int r = fstatat(scene->dirfd, name_in(scene->queue), &st, AT_SYMLINK_NOFOLLOW);

	return r < 0 && errno == ENOENT ? 0 : r;
}

static int close_dir(struct scene *scene)
{
	return close(scene->dirfd);
}

struct step {
	const char *what;
	int (*run)(struct scene *scene);
};

static const struct step floor_steps[] = {
	{ "open O_CREAT|O_EXCL", create },
	{ "write", write_pid },
	{ "close", close_file },
	{ "unlink", unlink_path },
};

/* As the library has them from the second cycle of a process on. */
static const struct step lock_steps[] = {
	{ "open O_TMPFILE", create_unnamed },
	{ "lseek SEEK_SET", mark_descriptor },
	{ "fstat", stat_file },
	{ "pwrite", write_pid },
	{ "fsetxattr", set_attribute },
	{ "fcntl F_OFD_SETLK", lock_file },
	{ "linkat", link_file },
	{ "open directory O_PATH", open_dir },
	{ "lseek SEEK_CUR", ask_for_mark },
	{ "fstatat", stat_path },
	{ "pread", read_pid },
	{ "unlinkat", unlink_in_dir },
	{ "fstatat of the line", look_for_line },
	{ "close directory", close_dir },
	{ "close", close_file },
};

#define MOST_STEPS COUNT(lock_steps)

static void run_steps(struct scene *scene, const char *peer, const struct step *steps, size_t count)
{
	int64_t ns[MOST_STEPS] = { 0 }, before, after;
	int cycles = quick ? 10 : CYCLES;

	for (int i = 0; i < cycles; i++) {
		before = now_ns();
		for (size_t step = 0; step < count; step++, before = after) {
			if (steps[step].run(scene) < 0)
				fail(scene->dir, steps[step].what, strerror(errno));
			after = now_ns();
			ns[step] += after - before;
		}
	}
	for (size_t step = 0; step < count; step++)
		print_sample("step", scene->dir, peer, steps[step].what, "ns",
		             (double)ns[step] / cycles);
}

void steps_measure(const char *dir)
{
	struct scene scene = { .dir = dir };

	bench_path(scene.path, sizeof(scene.path), dir, ".pid");
	bench_path(scene.queue, sizeof(scene.queue), dir, ".pid.queue");
	scene.length =
		(size_t)snprintf(scene.content, sizeof(scene.content), "%d\n", (int)getpid());
	run_steps(&scene, floor_peer.name, floor_steps, COUNT(floor_steps));
	run_steps(&scene, ours_peer.name, lock_steps, COUNT(lock_steps));
}
