/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "contender.h"

static bool is_here(void)
{
	return false;
}

const struct peer dotlockfile_peer = { .name = "dotlockfile", .is_here = is_here };
const struct peer lockfile_create_peer = { .name = "lockfile-create", .is_here = is_here };
const struct peer procmail_peer = { .name = "procmail lockfile", .is_here = is_here };
const struct peer flock_command_peer = { .name = "flock(1)", .is_here = is_here };
