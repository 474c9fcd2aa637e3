/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "contender.h"

#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

const char *kind_name(enum kind kind)
{
	static const char *const names[] = { "lockfile-pid", "flock", "OFD" };

	return names[kind];
}

/* 0 or -1 with errno */
static int ofd(const struct contender *contender, int command, short type)
{
	struct flock lock = { .l_type = type, .l_whence = SEEK_SET, .l_len = 1 };

	return fcntl(contender->fd, command, &lock);
}

static int done(const struct contender *contender, const char *what, int r)
{
	if (r < 0)
		fail(contender->path, what,
		     contender->kind == OURS ? lockfile_pid_strerror(r) : strerror(errno));
	return r;
}

void contender_open(struct contender *contender, enum kind kind, const char *path)
{
	*contender = (struct contender){ .kind = kind, .fd = -1 };
	snprintf(contender->path, sizeof(contender->path), "%s", path);
	if (kind == OURS) {
		done(contender, "new", lockfile_pid_new(&contender->lock, path));
	} else {
		contender->fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0644);
		done(contender, "open", contender->fd);
	}
}

void contender_close(struct contender *contender)
{
	if (contender->kind == OURS)
		lockfile_pid_free(contender->lock);
	else
		close(contender->fd);
}

void contender_lock(struct contender *contender)
{
	int r = contender->kind == OURS  ? lockfile_pid_lock(contender->lock) :
	        contender->kind == FLOCK ? flock(contender->fd, LOCK_EX) :
	                                   ofd(contender, F_OFD_SETLKW, F_WRLCK);

	done(contender, "lock", r);
}

bool contender_trylock(struct contender *contender)
{
	int r = contender->kind == OURS  ? lockfile_pid_trylock(contender->lock) :
	        contender->kind == FLOCK ? flock(contender->fd, LOCK_EX | LOCK_NB) :
	                                   ofd(contender, F_OFD_SETLK, F_WRLCK);

	if (contender->kind == OURS ? r == LOCKFILE_PID_ERR_BUSY : r < 0 && errno == EAGAIN)
		return false;
	return done(contender, "trylock", r) == 0;
}

void contender_unlock(struct contender *contender)
{
	int r = contender->kind == OURS  ? lockfile_pid_unlock(contender->lock) :
	        contender->kind == FLOCK ? flock(contender->fd, LOCK_UN) :
	                                   ofd(contender, F_OFD_SETLK, F_UNLCK);

	done(contender, "unlock", r);
}
