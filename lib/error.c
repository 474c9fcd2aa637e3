/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "public.h"

#include <string.h>

/* strerror(3) need not be thread-safe. */
static const char *system_error(int number)
{
#ifdef HAVE_STRERRORDESC_NP
	const char *text = strerrordesc_np(number);
#else
	const char *text = strerror(number);
#endif

	return text ? text : "unknown error";
}

const char *lockfile_pid_strerror(int error)
{
	switch (error) {
	case 0:
		return "success";
	case LOCKFILE_PID_ERR_BUSY:
		return "held by another living process";
	case LOCKFILE_PID_ERR_INVALID_PID:
		return "not a PID file";
	case LOCKFILE_PID_ERR_PROCESS_DEAD:
		return "the recorded process does not exist any more";
	case LOCKFILE_PID_ERR_ROGUE_DELETION:
		return "the lock file is not ours: removed, replaced or never held";
	case LOCKFILE_PID_ERR_RESERVED_NAME:
		return "names that end in .queue or .takeover are reserved: choose another name";
	}
	/* the negative of INT_MIN does not exist */
	return error < 0 && error > -4096 ? system_error(-error) : "unknown error";
}

const char *lockfile_pid_version(void)
{
	return LOCKFILE_PID_VERSION;
}
