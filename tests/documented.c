/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "documented.h"

#include <errno.h>
#include <lockfile-pid.h>
#include <stddef.h>
#include <string.h>

#define BUSY    LOCKFILE_PID_ERR_BUSY
#define INVALID LOCKFILE_PID_ERR_INVALID_PID
#define DEAD    LOCKFILE_PID_ERR_PROCESS_DEAD
#define ROGUE   LOCKFILE_PID_ERR_ROGUE_DELETION

#define RESERVED LOCKFILE_PID_ERR_RESERVED_NAME

#define MAX_RESULTS 24

/* What the section "Results" says of nearly all. */
static const int general[] = {
	-ENOENT,  -ENOTDIR, -ELOOP, -EACCES, -ENAMETOOLONG, -EROFS,  -ENOSPC, -EDQUOT, -EIO,
	-ESTALE,  -EFBIG,   -EBUSY, -ENOMEM, -EMFILE,       -ENFILE, -ENOLCK, -EBADF,  -EINTR,
	-ENOTSUP, -EINVAL,  -EPERM, -ENOSYS, -ENODEV,       -EAGAIN, -EEXIST, -EISDIR, -EMLINK,
	-ENXIO,   -ETXTBSY, -EXDEV, -E2BIG,  -ERANGE,       0,
};

/* Beside these. */
static const struct {
	const char *function;
	int results[MAX_RESULTS];
	bool general;
} table[] = {
	{ "new",
	  { -EINVAL, RESERVED, -ENAMETOOLONG, -ENOMEM, -ENOENT, -EACCES, -EIO, -ELOOP, -EMFILE,
	    -ENFILE, -ENOTDIR, -EPERM, -ESTALE, -ENOSYS },
	  false },
	{ "open",
	  { -EINVAL, RESERVED, -ENAMETOOLONG, -ENOMEM, -ENOENT, -EACCES, -EIO, -ELOOP, -EMFILE,
	    -ENFILE, -ENOTDIR, -EPERM, -ESTALE, -ENOSYS, BUSY, INVALID, -EEXIST, -EROFS, -EINTR },
	  true },
	{ "free", { 0 }, false },
	{ "path", { 0 }, false },
	{ "set_mode", { -EINVAL, -EBUSY }, false },
	{ "set_inheritable", { -EINVAL, -EBUSY }, false },
	{ "set_cluster_locks", { -EINVAL, -EBUSY }, false },
	{ "set_process", { -EINVAL, -EBUSY, -ESRCH, -EMFILE, -ENFILE, -ENOMEM, -EINTR }, false },
	{ "trylock", { BUSY, -EINPROGRESS, INVALID, -EPERM, -EEXIST, -EINTR }, true },
	{ "lock",
	  { -EINPROGRESS, INVALID, -EPERM, -EEXIST, -EINTR, -EDEADLK, -EACCES, -EROFS },
	  true },
	{ "timedlock",
	  { BUSY, -EINPROGRESS, INVALID, -EPERM, -EEXIST, -EINTR, -EDEADLK, -ETIMEDOUT },
	  true },
	{ "unlock", { ROGUE, -EINPROGRESS, -EAGAIN, -EEXIST }, true },
	{ "must_unlock", { 0 }, false },
	{ "verify", { ROGUE }, true },
	{ "check", { BUSY, DEAD, INVALID }, true },
	{ "holder", { 0 }, false },
	{ "signal", { ROGUE, DEAD, INVALID, -EPERM, -ESRCH, -ENOSYS, -EINVAL, -EAGAIN }, true },
	{ "adopt", { ROGUE, -EPERM, -EAGAIN, -EINPROGRESS, -EEXIST, -EINTR }, true },
	{ "fileno", { -EBADF }, false },
	{ "wait_begin", { BUSY, -EINPROGRESS, INVALID, -EPERM, -EEXIST, -EDEADLK }, true },
	{ "wait_fd", { -EBADF }, false },
	{ "wait_continue", { BUSY, -EINVAL, INVALID, -EPERM, -EEXIST }, true },
	{ "wait_cancel", { -EINVAL }, false },
	{ "strerror", { 0 }, false },
	{ "version", { 0 }, false },
};
#define ROWS ((int)(sizeof(table) / sizeof(table[0])))

static int row_of(const char *function)
{
	for (int i = 0; i < ROWS; i++)
		if (strcmp(table[i].function, function) == 0)
			return i;
	return -1;
}

bool documented_has(const char *function)
{
	return row_of(function) >= 0;
}

static bool is_in(const int *list, int r)
{
	for (; *list; list++)
		if (*list == r)
			return true;
	return false;
}

bool documented(const char *function, int r)
{
	int row = row_of(function);

	return row >= 0 && (r == 0 || is_in(table[row].results, r) ||
	                    (table[row].general && is_in(general, r)));
}
