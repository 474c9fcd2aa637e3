/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "contender.h"

#include "bench.h"

#include <stdio.h>
#include <string.h>

/* What configure has not found is named all the same. */
#if !defined(HAVE_LIBLOCKFILE) || !defined(HAVE_LIBBSD) || !defined(HAVE_LIBDAEMON)
static bool is_nowhere(void)
{
	return false;
}
#endif
#ifndef HAVE_LIBLOCKFILE
const struct peer liblockfile_peer = { .name = "liblockfile", .is_here = is_nowhere };
#endif
#ifndef HAVE_LIBBSD
const struct peer libbsd_peer = { .name = "libbsd pidfile", .is_here = is_nowhere };
#endif
#ifndef HAVE_LIBDAEMON
const struct peer libdaemon_peer = { .name = "libdaemon", .is_here = is_nowhere };
#endif

const struct peer *const peers[] = {
	&ours_peer,     &liblockfile_peer,   &libbsd_peer,      &libdaemon_peer,
	&flock_peer,    &ofd_peer,           &dotlockfile_peer, &lockfile_create_peer,
	&procmail_peer, &flock_command_peer, &filelock_peer,
};
const size_t peer_count = COUNT(peers);

bool peer_is_here(const struct peer *peer)
{
	static bool said[COUNT(peers)];

	if (!peer->is_here || peer->is_here())
		return true;
	for (size_t i = 0; i < COUNT(peers); i++)
		if (peers[i] == peer && !said[i]) {
			fprintf(stderr, "%s: not here, and left out\n", peer->name);
			said[i] = true;
		}
	return false;
}

const struct peer *peer_by_name(const char *name)
{
	for (size_t i = 0; i < COUNT(peers); i++)
		if (strcmp(peers[i]->name, name) == 0)
			return peers[i];
	return NULL;
}

void contender_open(struct contender *contender, const struct peer *peer, const char *path)
{
	*contender = (struct contender){ .peer = peer };
	snprintf(contender->path, sizeof(contender->path), "%s", path);
	peer->open(contender);
}

void contender_close(struct contender *contender)
{
	contender->peer->close(contender);
}

void contender_lock(struct contender *contender)
{
	contender->peer->lock(contender);
}

bool contender_trylock(struct contender *contender)
{
	return contender->peer->trylock(contender);
}

void contender_unlock(struct contender *contender)
{
	contender->peer->unlock(contender);
}

void contender_no_preparation(struct contender *contender)
{
	(void)contender;
}
