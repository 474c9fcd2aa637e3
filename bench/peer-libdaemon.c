/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "bench.h"
#include "contender.h"

#include <errno.h>
#include <libdaemon/dlog.h>
#include <libdaemon/dpid.h>
#include <string.h>

/* The library asks for the path, and does not say for whom. */
static const char *path;

static const char *current_path(void)
{
	return path;
}

static void prepare(struct contender *contender)
{
	(void)contender;
	/* it would say so each time that it is kept out */
	daemon_log_use = 0;
	daemon_pid_file_proc = current_path;
}

/* Between the question and the file there is room for another. */
static bool trylock(struct contender *contender)
{
	path = contender->path;
	if (daemon_pid_file_is_running() >= 0)
		return false;
	if (daemon_pid_file_create() == 0)
		return true;
	if (errno == EEXIST)
		return false;
	fail(path, "daemon_pid_file_create", strerror(errno));
}

static void unlock(struct contender *contender)
{
	path = contender->path;
	/* another that took it for stale may have removed it: bench/races counts that */
	if (daemon_pid_file_remove() < 0 && errno != ENOENT)
		fail(path, "daemon_pid_file_remove", strerror(errno));
}

const struct peer libdaemon_peer = {
	.name = "libdaemon",
	.open = prepare,
	.close = contender_no_preparation,
	.trylock = trylock,
	.unlock = unlock,
};
