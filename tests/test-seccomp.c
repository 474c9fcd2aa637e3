/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sandboxes: a system call that the library would like to make is refused, to
 * the holder, to the contender, or to both.
 */
#include <config.h>

#include "container.h"
#include "filter.h"
#include "pair.h"
#include "world.h"

#include <errno.h>
#include <lockfile-pid.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#define EITHER_ERROR(refuse)                      \
	{ .furnish = { { refuse, EPERM } } },     \
	{                                         \
		.furnish = { { refuse, ENOSYS } } \
	}

static const struct container free_world = { .user = 0 };

/* There are other ways to do what these do. */
static const struct container sandboxes[] = {
	EITHER_ERROR(refuse_pidfd_open),
	EITHER_ERROR(refuse_tmpfile),
	{ .furnish = { { refuse_pidfd_open, ENOSYS }, { refuse_tmpfile, EPERM } } },
};

struct pair {
	struct holder a, b;
};

/* Which of them is in the sandbox: a, b, or both. */
#define WAYS 3

static struct pair start_pair(const struct container *sandbox, int way)
{
	struct pair pair = {
		container_start(way == 1 ? &free_world : sandbox, "x.pid"),
		container_start(way == 0 ? &free_world : sandbox, "x.pid"),
	};

	return pair;
}

static void end_pair(struct pair *pair)
{
	holder_end(&pair->a);
	holder_end(&pair->b);
	assert_nothing_left();
}

TEST_EACH(one_alone_holds, sandboxes)
{
	for (int way = 0; way < WAYS; way++) {
		struct pair pair = start_pair(&sandboxes[_i], way);

		pair_excludes(&pair.a, &pair.b, pair.a.pid);
		end_pair(&pair);
	}
}

TEST_EACH(a_release_wakes_a_waiter, sandboxes)
{
	for (int way = 0; way < WAYS; way++) {
		struct pair pair = start_pair(&sandboxes[_i], way);

		pair_wakes(&pair.a, &pair.b);
		end_pair(&pair);
	}
}

TEST_EACH(the_dead_leave_their_lock_to_who_comes_next, sandboxes)
{
	for (int way = 0; way < WAYS; way++) {
		struct pair pair = start_pair(&sandboxes[_i], way);

		pair_inherits(&pair.a, &pair.b, pair.a.pid);
		holder_end(&pair.b);
		assert_nothing_left();
	}
}

TEST_EACH(the_dead_leave_their_lock_to_who_waits_within_a_second, sandboxes)
{
	for (int way = 0; way < WAYS; way++) {
		struct pair pair = start_pair(&sandboxes[_i], way);

		pair_notices(&pair.a, &pair.b);
		holder_end(&pair.b);
		assert_nothing_left();
	}
}

/* Mode, content and attribute are as anywhere. */
TEST_EACH(a_lock_file_is_complete, sandboxes)
{
	struct holder holder = container_start(&sandboxes[_i], "x.pid");
	struct stat st;

	ck_assert_int_eq(holder_do(&holder, "mode 640"), 0);
	ck_assert_int_eq(holder_do(&holder, "trylock"), 0);
	assert_content("x.pid", "%d\n", holder.pid);
	ck_assert_int_eq(stat("x.pid", &st), 0);
	ck_assert_uint_eq(st.st_mode, S_IFREG | 0640);
	ck_assert(getxattr("x.pid", "user.lockfile_pid", NULL, 0) > 0 || errno == ENOTSUP);
	ck_assert_str_eq(list_dir("."), "x.pid ");
	holder_end(&holder);
}

/* A zombie has a number still, and kill(2) finds it. */
TEST_EACH(a_zombie_is_dead, sandboxes)
{
	struct holder contender = container_start(&sandboxes[_i], "x.pid");
	char content[16];
	pid_t pid = idle_child();

	snprintf(content, sizeof(content), "%d\n", (int)pid);
	write_file("x.pid", content);
	ck_assert_int_eq(holder_do(&contender, "trylock"), LOCKFILE_PID_ERR_BUSY);
	holder_ask(&contender, "lock");
	await_blocked(&contender);
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	await_zombie(pid);
	ck_assert_int_eq(holder_answer(&contender), 0);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	holder_end(&contender);
}

TEST_EACH(a_holder_whose_descriptors_were_closed_still_holds, sandboxes)
{
	for (int way = 0; way < WAYS; way++) {
		struct pair pair = start_pair(&sandboxes[_i], way);

		ck_assert_int_eq(holder_do(&pair.a, "trylock"), 0);
		ck_assert_int_eq(holder_do(&pair.a, "closefrom"), 0);
		ck_assert_int_eq(holder_do(&pair.b, "trylock"), LOCKFILE_PID_ERR_BUSY);
		ck_assert_int_eq(holder_do(&pair.b, "check"), LOCKFILE_PID_ERR_BUSY);
		ck_assert_int_eq(holder_do(&pair.a, "verify"), 0);
		ck_assert_int_eq(holder_do(&pair.a, "unlock"), 0);
		end_pair(&pair);
	}
}

/*
 * A process that may not set attributes locks without them, as on a file system that
 * has none.  One that runs out of room gets an error and leaves nothing behind.
 */

static const struct {
	struct container sandbox;
	int expected;
} attributes[] = {
	{ { .furnish = { { refuse_fsetxattr, EOPNOTSUPP } } }, 0 },
	{ { .furnish = { { refuse_fsetxattr, EPERM } } }, 0 },
	{ { .furnish = { { refuse_fsetxattr, EACCES } } }, 0 },
	{ { .furnish = { { refuse_fsetxattr, ENOSYS } } }, 0 },
	{ { .furnish = { { refuse_fsetxattr, EPERM }, { refuse_tmpfile, ENOSYS } } }, 0 },
	{ { .furnish = { { refuse_fsetxattr, ENOSYS }, { refuse_tmpfile, EPERM } } }, 0 },
	{ { .furnish = { { refuse_fsetxattr, ENOSPC } } }, -ENOSPC },
	{ { .furnish = { { refuse_fsetxattr, EDQUOT } } }, -EDQUOT },
	{ { .furnish = { { refuse_fsetxattr, ENOSPC }, { refuse_tmpfile, ENOSYS } } }, -ENOSPC },
};

TEST_EACH(held_lock_is_busy_for_a_process_that_cannot_set_attributes, attributes)
{
	struct pair pair = { holder_start("x.pid"),
		             container_start(&attributes[_i].sandbox, "x.pid") };

	ck_assert_int_eq(holder_do(&pair.a, "trylock"), 0);
	ck_assert_int_eq(holder_do(&pair.b, "trylock"), LOCKFILE_PID_ERR_BUSY);
	ck_assert_int_eq(holder_do(&pair.b, "check"), LOCKFILE_PID_ERR_BUSY);
	ck_assert_int_eq(holder_do(&pair.b, "pid"), pair.a.pid);
	ck_assert_int_eq(holder_do(&pair.b, "timedlock 20"), -ETIMEDOUT);
	end_pair(&pair);
}

TEST_EACH(refused_attributes_are_done_without_and_no_room_is_an_error, attributes)
{
	struct holder contender = container_start(&attributes[_i].sandbox, "x.pid");
	int expected = attributes[_i].expected;

	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(holder_do(&contender, "trylock"), expected);
		ck_assert_str_eq(list_dir("."), expected == 0 ? "x.pid " : "");
		if (expected == 0)
			ck_assert_int_eq(holder_do(&contender, "unlock"), 0);
	}
	holder_end(&contender);
}

TEST_EACH(process_without_room_for_attributes_leaves_a_stale_lock_to_others, attributes)
{
	struct holder contender = container_start(&attributes[_i].sandbox, "x.pid"),
		      other = holder_start("x.pid");
	int expected = attributes[_i].expected;

	ck_assert_int_eq(holder_do(&other, "trylock"), 0);
	holder_kill(&other);
	ck_assert_int_eq(holder_do(&contender, "check"), LOCKFILE_PID_ERR_PROCESS_DEAD);
	ck_assert_int_eq(holder_do(&contender, "trylock"), expected);
	assert_content("x.pid", "%d\n", expected == 0 ? contender.pid : other.pid);
	ck_assert_str_eq(list_dir("."), "x.pid ");
	holder_end(&contender);
	if (expected != 0)
		ck_assert_int_eq(unlink("x.pid"), 0);
}

/* It does not delay the next waiter. */
TEST_EACH(waiter_without_room_for_attributes_gets_the_error_when_it_is_woken, attributes)
{
	struct holder holder = holder_start("x.pid"),
		      first = container_start(&attributes[_i].sandbox, "x.pid"),
		      second = holder_start("x.pid");

	ck_assert_int_eq(holder_do(&holder, "lock"), 0);
	holder_ask(&first, "lock");
	await_blocked(&first);
	holder_ask(&second, "lock");
	await_blocked(&second);
	ck_assert_int_eq(holder_do(&holder, "unlock"), 0);
	ck_assert_int_eq(holder_answer(&first), attributes[_i].expected);
	holder_end(&first);
	ck_assert_int_eq(holder_answer(&second), 0);
	holder_end(&second);
	holder_end(&holder);
}
