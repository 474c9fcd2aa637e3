/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "bench.h"
#include "contender.h"

#include <bsd/libutil.h>
#include <errno.h>
#include <string.h>

static bool trylock(struct contender *contender)
{
	contender->handle = pidfile_open(contender->path, 0644, NULL);
	if (!contender->handle && errno == EEXIST)
		return false;
	if (!contender->handle && errno == EACCES)
		decline(contender->path, "kept out: may not open the file");
	if (!contender->handle)
		fail(contender->path, "pidfile_open", strerror(errno));
	if (pidfile_write(contender->handle) < 0)
		fail(contender->path, "pidfile_write", strerror(errno));
	return true;
}

static void unlock(struct contender *contender)
{
	if (pidfile_remove(contender->handle) < 0)
		fail(contender->path, "pidfile_remove", strerror(errno));
}

/* As in the example of pidfile(3bsd). */
static void close_in_child(struct contender *contender)
{
	pidfile_close(contender->handle);
}

const struct peer libbsd_peer = {
	.name = "libbsd pidfile",
	.open = contender_no_preparation,
	.close = contender_no_preparation,
	.trylock = trylock,
	.unlock = unlock,
	.forked = close_in_child,
};
