/* SPDX-License-Identifier: BSD-2-Clause */
/* contender - one for a lock of ours, or for one of those that it is compared with */
#ifndef CONTENDER_H
#define CONTENDER_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

struct contender;
struct lockfile_pid;

/*
 * A library or a program that has locks, used as its own manual says.  What fails
 * ends the benchmark.
 */
struct peer {
	const char *name;      /* as in the report */
	bool waits;            /* by its manual lock() waits until it has the lock */
	double looks_s;        /* how long it sleeps between looks, at first; 0: it is woken */
	bool (*is_here)(void); /* NULL: always */
	void (*open)(struct contender *contender), (*close)(struct contender *contender);
	void (*lock)(struct contender *contender); /* NULL where it does not wait */
	bool (*trylock)(struct contender *contender);
	void (*unlock)(struct contender *contender);
	void (*forked)(struct contender *contender); /* in a child of the holder; NULL: nothing */
};

struct contender {
	const struct peer *peer;
	char path[PATH_MAX];
	union {
		struct lockfile_pid *lock;
		void *handle;
		int fd;
	};
};

/* In the order of the report; some may not be here. */
extern const struct peer *const peers[];
extern const size_t peer_count;

/* Can it be used here?  Where it cannot, stderr has a line about it, once. */
bool peer_is_here(const struct peer *peer);

/* NULL where there is none of that name. */
const struct peer *peer_by_name(const char *name);

/* In the process that is to contend: hardly a lock survives a fork as one of its own. */
void contender_open(struct contender *contender, const struct peer *peer, const char *path);
void contender_close(struct contender *contender);

void contender_lock(struct contender *contender);
bool contender_trylock(struct contender *contender);
void contender_unlock(struct contender *contender);

/* For those that need nothing before they lock, or after. */
void contender_no_preparation(struct contender *contender);

extern const struct peer ours_peer;
extern const struct peer liblockfile_peer;
extern const struct peer libbsd_peer;
extern const struct peer libdaemon_peer;
extern const struct peer flock_peer; /* flock(2) */
extern const struct peer ofd_peer;   /* open file description locks, fcntl(2) */
extern const struct peer dotlockfile_peer;
extern const struct peer lockfile_create_peer;
extern const struct peer procmail_peer;
extern const struct peer flock_command_peer; /* flock(1) */
extern const struct peer filelock_peer;      /* of Python */

/*
 * What every lock that is a file costs at least: create, write and close one, and
 * unlink it.  No lock, since it waits for nobody, and not among the peers.
 */
extern const struct peer floor_peer;

#endif
