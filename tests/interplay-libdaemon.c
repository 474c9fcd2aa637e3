/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "interplay.h"

#include <libdaemon/dlog.h>
#include <libdaemon/dpid.h>

static const char *file;

static const char *path_of_file(void)
{
	return file;
}

int interplay_take(const char *path)
{
	file = path;
	daemon_pid_file_proc = path_of_file;
	daemon_log_use = DAEMON_LOG_STDERR;
	if (daemon_pid_file_is_running() >= 0)
		return -1;
	return daemon_pid_file_create();
}

int interplay_release(const char *path)
{
	(void)path;
	return daemon_pid_file_remove();
}
