/* SPDX-License-Identifier: BSD-2-Clause */
/* The locks of the kernel itself: of a file that stays, and that says nothing. */
#include <config.h>

#include "bench.h"
#include "contender.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static void check(const struct contender *contender, const char *what, int r)
{
	if (r < 0)
		fail(contender->path, what, strerror(errno));
}

/* For flock(2) to read is enough, of a file that may be another user's. */
static void open_to_read(struct contender *contender)
{
	contender->fd = open(contender->path, O_CREAT | O_RDONLY | O_CLOEXEC, 0644);
	check(contender, "open", contender->fd);
}

/*
 * A lock of fcntl(2) that excludes others asks for writing: a file that users have in
 * common is one that all of them may write.  Another may have made it meanwhile.
 */
static int create_for_all(const char *path)
{
	int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0666);

	if (fd >= 0 && fchmod(fd, 0666) < 0 && errno != EPERM) {
		close(fd);
		return -1;
	}
	return fd;
}

static void open_to_write(struct contender *contender)
{
	contender->fd = open(contender->path, O_RDWR | O_CLOEXEC);
	if (contender->fd < 0 && errno == ENOENT)
		contender->fd = create_for_all(contender->path);
	check(contender, "open", contender->fd);
}

static void close_file(struct contender *contender)
{
	close(contender->fd);
}

/* Was it had? */
static bool had(const struct contender *contender, int r)
{
	if (r < 0 && errno == EAGAIN)
		return false;
	check(contender, "trylock", r);
	return true;
}

static void flock_lock(struct contender *contender)
{
	check(contender, "lock", flock(contender->fd, LOCK_EX));
}

static bool flock_trylock(struct contender *contender)
{
	return had(contender, flock(contender->fd, LOCK_EX | LOCK_NB));
}

static void flock_unlock(struct contender *contender)
{
	check(contender, "unlock", flock(contender->fd, LOCK_UN));
}

/* 0 or -1 with errno */
static int ofd(const struct contender *contender, int command, short type)
{
	struct flock lock = { .l_type = type, .l_whence = SEEK_SET, .l_len = 1 };

	return fcntl(contender->fd, command, &lock);
}

static void ofd_lock(struct contender *contender)
{
	check(contender, "lock", ofd(contender, F_OFD_SETLKW, F_WRLCK));
}

static bool ofd_trylock(struct contender *contender)
{
	return had(contender, ofd(contender, F_OFD_SETLK, F_WRLCK));
}

static void ofd_unlock(struct contender *contender)
{
	check(contender, "unlock", ofd(contender, F_OFD_SETLK, F_UNLCK));
}

const struct peer flock_peer = {
	.name = "flock(2)",
	.waits = true,
	.open = open_to_read,
	.close = close_file,
	.lock = flock_lock,
	.trylock = flock_trylock,
	.unlock = flock_unlock,
};

const struct peer ofd_peer = {
	.name = "OFD lock",
	.waits = true,
	.open = open_to_write,
	.close = close_file,
	.lock = ofd_lock,
	.trylock = ofd_trylock,
	.unlock = ofd_unlock,
};
