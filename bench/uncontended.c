/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What does a lock cost that nobody else wants?
 *
 *	uncontended [DIRECTORY...]
 *
 * Anything that appears and disappears as a file costs at least a create, write,
 * close and unlink; locking and unlocking is compared with this floor.  Short
 * batches of each take turns, so that what else happens on the machine happens
 * to all of them.  Then both are done step by step, with a clock around each
 * system call, to see where the time goes.
 */
#include <config.h>

#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <lockfile-pid.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define BATCHES 41
#define CYCLES  1000

struct bench {
	const char *dir;
	char path[PATH_MAX];
	char content[16];
	size_t length;
	struct lockfile_pid *lock;
	int fd, dirfd;
};

/* The system calls of a cycle, one by one: 0 or -1 with errno. */

static int create(struct bench *b)
{
	b->fd = open(b->path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
	return b->fd;
}

static int write_pid(struct bench *b)
{
	return (int)pwrite(b->fd, b->content, b->length, 0);
}

static int close_file(struct bench *b)
{
	return close(b->fd);
}

static int unlink_path(struct bench *b)
{
	return unlink(b->path);
}

static int create_unnamed(struct bench *b)
{
	b->fd = open(b->dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0644);
	return b->fd;
}

static int seek_file(struct bench *b)
{
	return (int)lseek(b->fd, 1 << 20, SEEK_SET);
}

static int stat_file(struct bench *b)
{
	struct stat st;

	return fstat(b->fd, &st);
}

/* Of the library's size; some file systems have no such attributes. */
static int set_attribute(struct bench *b)
{
	char value[56] = "";
	int r = fsetxattr(b->fd, "user.lockfile_pid", value, sizeof(value), 0);

	return r < 0 && errno == EOPNOTSUPP ? 0 : r;
}

static int lock_file(struct bench *b)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };

	return fcntl(b->fd, F_OFD_SETLK, &lock);
}

/* As the library does: by the descriptor, which takes privilege before Linux 6.10. */
static int link_file(struct bench *b)
{
	char self[32];
	int r = linkat(b->fd, "", AT_FDCWD, b->path, AT_EMPTY_PATH);

	if (r == 0 || errno != ENOENT)
		return r;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", b->fd);
	return linkat(AT_FDCWD, self, AT_FDCWD, b->path, AT_SYMLINK_FOLLOW);
}

static int open_dir(struct bench *b)
{
	b->dirfd = open(b->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return b->dirfd;
}

static int stat_path(struct bench *b)
{
	struct stat st;

	return fstatat(b->dirfd, strrchr(b->path, '/') + 1, &st, AT_SYMLINK_NOFOLLOW);
}

static int read_pid(struct bench *b)
{
	char content[16];

	return (int)pread(b->fd, content, sizeof(content), 0);
}

static int unlink_in_dir(struct bench *b)
{
	return unlinkat(b->dirfd, strrchr(b->path, '/') + 1, 0);
}

static int close_dir(struct bench *b)
{
	return close(b->dirfd);
}

struct step {
	const char *what;
	int (*run)(struct bench *b);
};

static const struct step floor_steps[] = {
	{ "open O_CREAT|O_EXCL", create },
	{ "write", write_pid },
	{ "close", close_file },
	{ "unlink", unlink_path },
};

static const struct step lock_steps[] = {
	{ "open O_TMPFILE", create_unnamed },
	{ "lseek", seek_file },
	{ "fstat", stat_file },
	{ "pwrite", write_pid },
	{ "fsetxattr", set_attribute },
	{ "fcntl F_OFD_SETLK", lock_file },
	{ "linkat", link_file },
	{ "open directory O_PATH", open_dir },
	{ "lseek", seek_file },
	{ "fstatat", stat_path },
	{ "pread", read_pid },
	{ "unlinkat", unlink_in_dir },
	{ "close directory", close_dir },
	{ "lseek", seek_file },
	{ "close", close_file },
};

/* Whole cycles */

static void run_floor(struct bench *b)
{
	size_t i;

	for (i = 0; i < COUNT(floor_steps); i++)
		if (floor_steps[i].run(b) < 0)
			fail(b->dir, floor_steps[i].what, strerror(errno));
}

static void run_lock(struct bench *b)
{
	int r = lockfile_pid_trylock(b->lock);

	if (r == 0)
		r = lockfile_pid_unlock(b->lock);
	if (r < 0)
		fail(b->dir, "lock and unlock", lockfile_pid_strerror(r));
}

static void run_new_lock(struct bench *b)
{
	struct lockfile_pid *kept = b->lock;
	int r = lockfile_pid_new(&b->lock, b->path);

	if (r < 0)
		fail(b->dir, "new", lockfile_pid_strerror(r));
	run_lock(b);
	lockfile_pid_free(b->lock);
	b->lock = kept;
}

struct cycle {
	const char *what;
	void (*run)(struct bench *b);
};

static const struct cycle cycles[] = {
	{ "create, write, close, unlink", run_floor },
	{ "trylock, unlock", run_lock },
	{ "new, trylock, unlock, free", run_new_lock },
};

/* In us a cycle or step, by batch. */
static double cycle_us[COUNT(cycles)][BATCHES];
static double floor_us[COUNT(floor_steps)][BATCHES];
static double lock_us[COUNT(lock_steps)][BATCHES];

static double run_batch(struct bench *b, const struct cycle *cycle)
{
	int64_t begin = now_ns();
	int i;

	for (i = 0; i < CYCLES; i++)
		cycle->run(b);
	return (double)(now_ns() - begin) / (1000.0 * CYCLES);
}

static void run_steps(struct bench *b, const struct step *steps, size_t count, double us[][BATCHES],
                      int batch)
{
	int64_t before = now_ns(), after;
	size_t step;
	int i;

	for (i = 0; i < CYCLES; i++)
		for (step = 0; step < count; step++, before = after) {
			if (steps[step].run(b) < 0)
				fail(b->dir, steps[step].what, strerror(errno));
			after = now_ns();
			us[step][batch] += (double)(after - before) / (1000.0 * CYCLES);
		}
}

static void measure(struct bench *b)
{
	size_t i;
	int batch;

	memset(floor_us, 0, sizeof(floor_us));
	memset(lock_us, 0, sizeof(lock_us));
	for (batch = 0; batch < BATCHES; batch++) {
		for (i = 0; i < COUNT(cycles); i++)
			cycle_us[i][batch] = run_batch(b, &cycles[i]);
		run_steps(b, floor_steps, COUNT(floor_steps), floor_us, batch);
		run_steps(b, lock_steps, COUNT(lock_steps), lock_us, batch);
	}
}

static void print_cycle(size_t i)
{
	struct spread spread = spread_of(cycle_us[i], BATCHES);

	printf("  %-30s %7.2f  %7.2f ..%7.2f  %7.2f  %7.2f\n", cycles[i].what, spread.median,
	       spread.low, spread.high, spread.least,
	       spread.median / spread_of(cycle_us[0], BATCHES).median);
}

static void print_steps(const char *title, const struct step *steps, size_t count,
                        double us[][BATCHES])
{
	double sum = 0;
	size_t i;

	printf("\n  %-30s %7s\n", title, "median");
	for (i = 0; i < count; i++) {
		double median = spread_of(us[i], BATCHES).median;

		printf("    %-28s %7.2f\n", steps[i].what, median);
		sum += median;
	}
	printf("    %-28s %7.2f\n", "sum", sum);
}

static void report(const struct bench *b)
{
	size_t i;

	printf("%s: us a cycle, %d batches of %d\n\n", b->dir, BATCHES, CYCLES);
	printf("  %-30s %7s  %18s  %7s  %7s\n", "", "median", "quartiles", "least", "ratio");
	for (i = 0; i < COUNT(cycles); i++)
		print_cycle(i);
	print_steps("floor, by system call", floor_steps, COUNT(floor_steps), floor_us);
	print_steps("lock and unlock, likewise", lock_steps, COUNT(lock_steps), lock_us);
	printf("\n");
}

static void bench(const char *dir)
{
	struct bench b = { .dir = dir };
	int r;

	bench_path(b.path, sizeof(b.path), dir, ".pid");
	b.length = (size_t)snprintf(b.content, sizeof(b.content), "%d\n", (int)getpid());
	r = lockfile_pid_new(&b.lock, b.path);
	if (r < 0)
		fail(dir, "new", lockfile_pid_strerror(r));
	measure(&b);
	report(&b);
	lockfile_pid_free(b.lock);
}

int main(int argc, char **argv)
{
	(void)argc;
	stay_on_one_processor();
	measure_in(argv + 1, bench);
	return EXIT_SUCCESS;
}
