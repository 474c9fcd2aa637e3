/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "bench.h"
#include "contender.h"

#include <errno.h>
#include <lockfile.h>
#include <stdio.h>
#include <string.h>

/* More than a benchmark has time for: they come 5 s, 10 s, 15 s ... after each other. */
#define FOR_EVER 1000000

static bool create(const struct contender *contender, int retries)
{
	char why[64];
	int r = lockfile_create(contender->path, retries, L_PID);

	if (r == L_SUCCESS || r == L_MAXTRYS)
		return r == L_SUCCESS;
	snprintf(why, sizeof(why), "status %d, %s", r, strerror(errno));
	fail(contender->path, "lockfile_create", why);
}

static void lock(struct contender *contender)
{
	if (!create(contender, FOR_EVER))
		fail(contender->path, "lockfile_create", "retried for ever");
}

static bool trylock(struct contender *contender)
{
	return create(contender, 0);
}

static void unlock(struct contender *contender)
{
	if (lockfile_remove(contender->path) < 0)
		fail(contender->path, "lockfile_remove", strerror(errno));
}

const struct peer liblockfile_peer = {
	.name = "liblockfile",
	.waits = true,
	.looks_s = 5,
	.open = contender_no_preparation,
	.close = contender_no_preparation,
	.lock = lock,
	.trylock = trylock,
	.unlock = unlock,
};
