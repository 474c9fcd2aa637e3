/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Processes that share a directory and little else: each pair has one from the
 * surroundings of the test and one from others, or two from others of a kind.
 */
#include <config.h>

#include "container.h"
#include "filter.h"
#include "pair.h"
#include "world.h"

#include <errno.h>
#include <lockfile-pid.h>
#include <poll.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define TEN_DAYS     (10 * 24 * 60 * 60)
#define FIRST_ID     100000 /* what root in a user namespace is outside */
#define ANOTHER_USER 5      /* one there who is not root */

struct place {
	const char *name;
	struct container container;
	uid_t owner;     /* of the directory */
	bool knows_pids; /* those of the test, and may look them up */
};

static const struct place host = { .name = "the test's own", .knows_pids = true };

static const struct place pids = {
	.name = "a PID namespace",
	.container = {
		.namespaces = CLONE_NEWPID | CLONE_NEWNS,
		.furnish = { { own_proc, 0 } },
	},
};

static const struct place pids_outer_proc = {
	.name = "a PID namespace with the /proc of the outer one",
	.container = { .namespaces = CLONE_NEWPID },
};

static const struct place pids_no_proc = {
	.name = "a PID namespace with an empty /proc",
	.container = {
		.namespaces = CLONE_NEWPID | CLONE_NEWNS,
		.furnish = { { empty_proc, 0 } },
	},
};

/* So are containers of old run-time systems on newer kernels. */
static const struct place pids_no_pidfds = {
	.name = "a PID namespace without pidfds and O_TMPFILE",
	.container = {
		.namespaces = CLONE_NEWPID | CLONE_NEWNS,
		.furnish = {
			{ own_proc, 0 },
			{ refuse_pidfd_open, EPERM },
			{ refuse_tmpfile, EOPNOTSUPP },
		},
	},
};

static const struct place mounts = {
	.name = "a mount namespace with another path",
	.container = { .namespaces = CLONE_NEWNS, .furnish = { { another_place, 0 } } },
	.knows_pids = true,
};

static const struct place missing_proc = {
	.name = "no /proc",
	.container = { .namespaces = CLONE_NEWNS, .furnish = { { no_proc, 0 } } },
};

static const struct place foreign_proc = {
	.name = "the /proc of a PID namespace that it is not in",
	.container = { .namespaces = CLONE_NEWNS, .furnish = { { proc_of_others, 0 } } },
};

static const struct place hidden_proc = {
	.name = "another user, and hidepid=2",
	.container = {
		.namespaces = CLONE_NEWNS,
		.furnish = { { own_proc, 2 } },
		.user = NOBODY,
	},
	.owner = NOBODY,
	.knows_pids = true,
};

static const struct place hidden_proc_no_pidfds = {
	.name = "another user, hidepid=2, and no pidfds",
	.container = {
		.namespaces = CLONE_NEWNS,
		.furnish = { { own_proc, 2 }, { refuse_pidfd_open, EPERM } },
		.user = NOBODY,
	},
	.owner = NOBODY,
	.knows_pids = true,
};

static const struct place users = {
	.name = "an unprivileged user of a user namespace",
	.container = { .namespaces = CLONE_NEWUSER, .first = FIRST_ID, .user = ANOTHER_USER },
	.owner = FIRST_ID + ANOTHER_USER,
	.knows_pids = true,
};

static const struct place users_and_pids = {
	.name = "user, PID and mount namespace",
	.container = {
		.namespaces = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS,
		.first = FIRST_ID,
		.furnish = { { own_proc, 0 } },
	},
	.owner = FIRST_ID,
};

static const struct place later = {
	.name = "a time namespace",
	.container = { .furnish = { { shifted_time, TEN_DAYS } } },
	.knows_pids = true,
};

#define WITH(place)                               \
	{ &host, &(place) }, { &(place), &host }, \
	{                                         \
		&(place), &(place)                \
	}

static const struct places {
	const struct place *a, *b;
} pairs[] = {
	WITH(pids),
	WITH(pids_outer_proc),
	WITH(pids_no_proc),
	WITH(pids_no_pidfds),
	WITH(mounts),
	WITH(missing_proc),
	WITH(foreign_proc),
	WITH(hidden_proc),
	WITH(hidden_proc_no_pidfds),
	WITH(users),
	WITH(users_and_pids),
	WITH(later),
	{ &users, &users_and_pids },
};

struct pair {
	struct holder a, b;
	pid_t seen; /* the PID of a, where it means something to b */
};

static void own_directory(const struct places *places)
{
	uid_t owner = places->a->owner ? places->a->owner : places->b->owner;

	if (owner != 0)
		ck_assert_int_eq(chown(".", owner, owner), 0);
	/* two whom the directory's owner does not unite */
	if (places->a->owner && places->b->owner && places->a->owner != places->b->owner)
		ck_assert_int_eq(chmod(".", 0777), 0);
}

static struct pair start_pair(const struct places *places, const char *path)
{
	struct pair pair;

	SKIP_UNLESS_ROOT();
	own_directory(places);
	pair.a = container_start(&places->a->container, path);
	pair.b = container_start(&places->b->container, path);
	pair.seen = places->a->knows_pids && places->b->knows_pids ? pair.a.pid : 0;
	return pair;
}

TEST_EACH(one_alone_holds, pairs)
{
	struct pair pair = start_pair(&pairs[_i], "x.pid");

	printf("# %d: %s; %s\n", _i, pairs[_i].a->name, pairs[_i].b->name);
	pair_excludes(&pair.a, &pair.b, pair.seen);
	holder_end(&pair.a);
	holder_end(&pair.b);
}

static const struct place *const places[] = {
	&host,   &pids,           &pids_outer_proc, &pids_no_proc, &pids_no_pidfds,
	&mounts, &missing_proc,   &foreign_proc,    &hidden_proc,  &hidden_proc_no_pidfds,
	&users,  &users_and_pids, &later,
};

/* The first process of a PID namespace is 1 there. */
TEST_EACH(each_is_told_its_own_pid, places)
{
	const struct places alone = { places[_i], &host };
	const struct container *container = &places[_i]->container;
	struct holder holder;

	SKIP_UNLESS_ROOT();
	own_directory(&alone);
	holder = container_start(container, "x.pid");
	ck_assert_int_eq(holder_do(&holder, "trylock"), 0);
	ck_assert_int_eq(holder_do(&holder, "check"), LOCKFILE_PID_ERR_BUSY);
	ck_assert_int_eq(holder_do(&holder, "pid"),
	                 container->namespaces & CLONE_NEWPID ? 1 : holder.pid);
	ck_assert_int_eq(holder_do(&holder, "unlock"), 0);
	holder_end(&holder);
}

TEST_EACH(a_release_wakes_a_waiter, pairs)
{
	struct pair pair = start_pair(&pairs[_i], "x.pid");

	pair_wakes(&pair.a, &pair.b);
	holder_end(&pair.a);
	holder_end(&pair.b);
}

TEST_EACH(the_dead_leave_their_lock_to_who_comes_next, pairs)
{
	struct pair pair = start_pair(&pairs[_i], "x.pid");

	pair_inherits(&pair.a, &pair.b, pair.seen);
	holder_end(&pair.b);
}

TEST_EACH(the_dead_leave_their_lock_to_who_waits_within_a_second, pairs)
{
	struct pair pair = start_pair(&pairs[_i], "x.pid");

	pair_notices(&pair.a, &pair.b);
	holder_end(&pair.b);
}

/* To take a dead one for alive is the lesser evil. */
TEST(a_zombie_that_can_be_neither_asked_nor_seen_counts_as_alive)
{
	struct holder contender;
	pid_t pid = idle_child();
	char content[16];

	SKIP_UNLESS_ROOT();
	ck_assert_int_eq(chmod(".", 0777), 0);
	contender = container_start(&hidden_proc_no_pidfds.container, "x.pid");
	snprintf(content, sizeof(content), "%d\n", (int)pid);
	write_file("x.pid", content);
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	await_zombie(pid);
	ck_assert_int_eq(holder_do(&contender, "check"), LOCKFILE_PID_ERR_BUSY);
	ck_assert_int_eq(holder_do(&contender, "trylock"), LOCKFILE_PID_ERR_BUSY);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	ck_assert_int_eq(holder_do(&contender, "check"), LOCKFILE_PID_ERR_PROCESS_DEAD);
	ck_assert_int_eq(holder_do(&contender, "trylock"), 0);
	holder_end(&contender);
}

/* It is the first process of a container that is told to go; the others go with it. */
TEST(the_end_of_a_container_ends_the_lock_of_any_process_in_it)
{
	struct holder holder, waiter = holder_start("x.pid");
	pid_t first;
	int fd;

	SKIP_UNLESS_ROOT();
	first = make_pids(&fd);
	join_pids(fd);
	close(fd);
	holder = container_start(&host.container, "x.pid");
	ck_assert_int_eq(holder_do(&holder, "lock"), 0);
	assert_content("x.pid", "%d\n", 2);
	holder_ask(&waiter, "lock");
	await_blocked(&waiter);
	ck_assert_int_eq(kill(first, SIGKILL), 0);
	ck_assert_int_eq(holder_answer(&waiter), 0);
	/* the first waits for the others, and they for us */
	ck_assert_int_eq(waitpid(holder.pid, NULL, 0), holder.pid);
	ck_assert_int_eq(waitpid(first, NULL, 0), first);
	holder_end(&waiter);
}

/* All have the same PID there, and know it from the file. */
TEST(of_many_containers_whose_holders_are_killed_each_has_its_turn)
{
	struct holder holders[4];

	SKIP_UNLESS_ROOT();
	for (int i = 0; i < 4; i++) {
		holders[i] = container_start(&pids.container, "x.pid");
		holder_ask(&holders[i], "lock");
		if (i > 0)
			await_blocked(&holders[i]);
		else
			ck_assert_int_eq(holder_answer(&holders[0]), 0);
	}
	holder_kill(&holders[0]);
	for (int left = 3, i = 1; left > 0; i = i % 3 + 1) {
		if (holders[i].pid == 0 || !has_answer(&holders[i])) {
			poll(NULL, 0, 1);
			continue;
		}
		ck_assert_int_eq(holder_answer(&holders[i]), 0);
		ck_assert_int_eq(holder_do(&holders[i], "pid"), 1);
		assert_content("x.pid", "%d\n", 1);
		if (--left > 0)
			holder_kill(&holders[i]);
		else
			holder_end(&holders[i]);
		holders[i].pid = 0;
	}
}

/* A container of the same path and PIDs, but a directory of its own. */
TEST(a_lock_in_a_directory_that_is_not_shared_is_another)
{
	struct holder inside, outside = holder_start("own/x.pid");

	SKIP_UNLESS_ROOT();
	ck_assert_int_eq(mkdir("own", 0755), 0);
	ck_assert_int_eq(holder_do(&outside, "trylock"), 0);
	private_mounts();
	ck_assert_int_eq(mount("none", "own", "tmpfs", 0, ""), 0);
	inside = container_start(&pids.container, "own/x.pid");
	ck_assert_int_eq(holder_do(&inside, "trylock"), 0);
	ck_assert_int_eq(holder_do(&inside, "verify"), 0);
	ck_assert_int_eq(holder_do(&outside, "verify"), 0);
	holder_end(&inside);
	unmount("own");
	assert_content("own/x.pid", "%d\n", outside.pid);
	holder_end(&outside);
	ck_assert_int_eq(rmdir("own"), 0);
}
