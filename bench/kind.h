/* SPDX-License-Identifier: BSD-2-Clause */
/* kind - the peers that are woken, by a number */
#ifndef KIND_H
#define KIND_H

#include "contender.h"

enum kind {
	OURS,
	FLOCK, /* flock(2) */
	OFD,   /* open file description locks, fcntl(2) */
	KINDS
};

static inline const struct peer *kind_peer(enum kind kind)
{
	return kind == OURS ? &ours_peer : kind == FLOCK ? &flock_peer : &ofd_peer;
}

static inline const char *kind_name(enum kind kind)
{
	return kind_peer(kind)->name;
}

#endif
