/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "bench.h"
#include "contender.h"

#include <lockfile-pid.h>

static void check(const struct contender *contender, const char *what, int r)
{
	if (r < 0)
		fail(contender->path, what, lockfile_pid_strerror(r));
}

static void new_lock(struct contender *contender)
{
	check(contender, "new", lockfile_pid_new(&contender->lock, contender->path));
}

static void free_lock(struct contender *contender)
{
	lockfile_pid_free(contender->lock);
}

static void lock(struct contender *contender)
{
	check(contender, "lock", lockfile_pid_lock(contender->lock));
}

static bool trylock(struct contender *contender)
{
	int r = lockfile_pid_trylock(contender->lock);

	if (r == LOCKFILE_PID_ERR_BUSY)
		return false;
	check(contender, "trylock", r);
	return true;
}

static void unlock(struct contender *contender)
{
	check(contender, "unlock", lockfile_pid_unlock(contender->lock));
}

const struct peer ours_peer = {
	.name = "lockfile-pid",
	.waits = true,
	.open = new_lock,
	.close = free_lock,
	.lock = lock,
	.trylock = trylock,
	.unlock = unlock,
};
