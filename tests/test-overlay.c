/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The file system of most containers: overlayfs, where what is there at first
 * belongs to a lower layer, and is only covered when it is replaced or removed.
 */
#include <config.h>

#include "container.h"
#include "filter.h"
#include "pair.h"
#include "world.h"

#include <errno.h>
#include <lockfile-pid.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

static const struct container host = { .user = 0 };

/* Before Linux 6.1 overlayfs had no O_TMPFILE. */
static const struct container host_before = {
	.furnish = { { refuse_tmpfile, EOPNOTSUPP } },
};

static const struct container pod = {
	.namespaces = CLONE_NEWPID | CLONE_NEWNS,
	.furnish = { { own_proc, 0 } },
};

static const struct container pod_before = {
	.namespaces = CLONE_NEWPID | CLONE_NEWNS,
	.furnish = { { own_proc, 0 }, { refuse_tmpfile, EOPNOTSUPP } },
};

static const struct container *const everybody[] = { &host, &host_before, &pod, &pod_before };

/* The lower layer, with what the test put there, below an upper one of another file system. */
static void pile_up(void)
{
	mount_tmpfs("new", "size=1m");
	ck_assert_int_eq(mkdir("new/upper", 0755), 0);
	ck_assert_int_eq(mkdir("new/work", 0755), 0);
	ck_assert_int_eq(mkdir("all", 0755), 0);
	if (mount("none", "all", "overlay", 0,
	          "lowerdir=lower,upperdir=new/upper,workdir=new/work") < 0) {
		ck_assert(errno == ENODEV || errno == EPERM || errno == EINVAL);
		rmdir("all");
		unmount("new");
		rmdir("new");
		unlink("lower/x.pid");
		rmdir("lower");
		SKIP("cannot mount an overlay: %s", strerror(errno));
	}
}

static void begin(void)
{
	SKIP_UNLESS_ROOT();
	private_mounts();
	ck_assert_int_eq(mkdir("lower", 0755), 0);
}

static void end(void)
{
	ck_assert_str_eq(list_dir("all"), "");
	unmount("all");
	ck_assert_int_eq(rmdir("all"), 0);
	unmount("new");
	ck_assert_int_eq(rmdir("new"), 0);
	unlink("lower/x.pid");
	ck_assert_int_eq(rmdir("lower"), 0);
}

static const struct {
	const struct container *a, *b;
} pairs[] = {
	{ &host, &host },        { &host_before, &host_before },
	{ &host, &host_before }, { &host_before, &host },
	{ &host, &pod },         { &pod, &host },
	{ &pod, &pod },          { &pod_before, &pod_before },
};

TEST_EACH(a_lock_is_one_for_all_who_share_the_overlay, pairs)
{
	bool same_pids = !pairs[_i].a->namespaces && !pairs[_i].b->namespaces;
	struct holder a, b;

	begin();
	pile_up();
	a = container_start(pairs[_i].a, "all/x.pid");
	b = container_start(pairs[_i].b, "all/x.pid");
	pair_excludes(&a, &b, same_pids ? a.pid : 0);
	pair_wakes(&a, &b);
	pair_inherits(&a, &b, same_pids ? a.pid : 0);
	a = container_start(pairs[_i].a, "all/x.pid");
	pair_notices(&a, &b);
	holder_end(&b);
	end();
}

/* What an image may have in its lower layer. */

static void leave_nothing(void)
{
}

static void leave_garbage(void)
{
	write_file("lower/x.pid", "none\n");
}

static void leave_foreign(void)
{
	char content[16];

	snprintf(content, sizeof(content), "%d\n", (int)dead_pid());
	write_file("lower/x.pid", content);
}

static void leave_by(const struct container *container)
{
	struct holder holder = container_start(container, "lower/x.pid");

	ck_assert_int_eq(holder_do(&holder, "trylock"), 0);
	holder_kill(&holder);
}

static void leave_ours(void)
{
	leave_by(&host);
}

static void leave_a_containers(void)
{
	leave_by(&pod);
}

static void (*const leftovers[])(void) = {
	leave_nothing, leave_garbage, leave_foreign, leave_ours, leave_a_containers,
};

static void take_and_leave(struct holder *holder, bool fresh)
{
	ck_assert_int_eq(holder_do(holder, fresh ? "trylock" : "lock"), 0);
	ck_assert_int_eq(holder_do(holder, "verify"), 0);
	ck_assert_int_eq(holder_do(holder, "check"), LOCKFILE_PID_ERR_BUSY);
	ck_assert_str_eq(list_dir("all"), "x.pid ");
	ck_assert_int_eq(holder_do(holder, "unlock"), 0);
	ck_assert_str_eq(list_dir("all"), "");
	ck_assert_int_eq(holder_do(holder, "check"), 0);
}

TEST_EACH(a_stale_file_of_the_lower_layer_is_replaced_and_stays_below, leftovers)
{
	for (size_t i = 0; i < sizeof(everybody) / sizeof(everybody[0]); i++) {
		struct holder holder;
		char before[16];

		begin();
		leftovers[_i]();
		strcpy(before, exists("lower/x.pid") ? read_file("lower/x.pid") : "");
		pile_up();
		holder = container_start(everybody[i], "all/x.pid");
		take_and_leave(&holder, true);
		/* where the lower file is covered */
		take_and_leave(&holder, false);
		holder_end(&holder);
		ck_assert_str_eq(exists("lower/x.pid") ? read_file("lower/x.pid") : "", before);
		end();
	}
}

TEST(a_living_process_of_a_file_in_the_lower_layer_is_respected)
{
	struct holder holder;
	char content[16];
	pid_t pid;

	begin();
	pid = idle_child();
	snprintf(content, sizeof(content), "%d\n", (int)pid);
	write_file("lower/x.pid", content);
	pile_up();
	holder = container_start(&host, "all/x.pid");
	ck_assert_int_eq(holder_do(&holder, "trylock"), LOCKFILE_PID_ERR_BUSY);
	ck_assert_int_eq(holder_do(&holder, "pid"), pid);
	holder_ask(&holder, "lock");
	await_blocked(&holder);
	kill_child(pid);
	ck_assert_int_eq(holder_answer(&holder), 0);
	holder_end(&holder);
	end();
}

/* Kernel locks are of a layer; the record is not. */
TEST(a_holder_in_the_lower_layer_is_known_by_its_record)
{
	struct holder below, above;

	begin();
	below = holder_start("lower/x.pid");
	ck_assert_int_eq(holder_do(&below, "trylock"), 0);
	pile_up();
	above = container_start(&host, "all/x.pid");
	ck_assert_int_eq(holder_do(&above, "trylock"), LOCKFILE_PID_ERR_BUSY);
	ck_assert_int_eq(holder_do(&above, "pid"), below.pid);
	holder_ask(&above, "lock");
	await_blocked(&above);
	holder_kill(&below);
	ck_assert_int_eq(holder_answer(&above), 0);
	holder_end(&above);
	end();
}

/* The line is on the device of its layer, its directory on that of the overlay. */
TEST(the_last_to_leave_a_line_removes_it)
{
	struct holder holder, waiter;

	begin();
	pile_up();
	holder = container_start(&host, "all/x.pid");
	waiter = container_start(&host, "all/x.pid");
	ck_assert_int_eq(holder_do(&holder, "trylock"), 0);
	ck_assert_int_eq(holder_do(&waiter, "begin"), LOCKFILE_PID_ERR_BUSY);
	ck_assert_str_eq(list_dir("all"), "x.pid x.pid.queue ");
	ck_assert_int_eq(holder_do(&waiter, "cancel"), 0);
	ck_assert_str_eq(list_dir("all"), "x.pid ");
	holder_end(&waiter);
	holder_end(&holder);
	end();
}
