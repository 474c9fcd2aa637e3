/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whose wait queue is whose: a FIFO that another user could open is never opened,
 * written or removed, however it came to PATH.queue.  inotify(7) tells of each open.
 */
#include <config.h>

#include "handle.h"
#include "process.h"
#include "steer.h"
#include "sys.h"
#include "user.h"
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <lockfile-pid.h>
#include <poll.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#define FIFO  "x.pid.queue"
#define BUSY  LOCKFILE_PID_ERR_BUSY
#define OTHER 4242

/* Of files that are made; then our effective user decides. */
#define NO_OWNER ((uid_t)-1)

/* A FIFO, and whether anybody opened, read or wrote it since. */
struct watched {
	int inotify;
	struct stat before;
};

static struct watched watch(const char *name)
{
	struct watched watched = { .inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK) };

	ck_assert_int_ge(watched.inotify, 0);
	ck_assert_int_eq(lstat(name, &watched.before), 0);
	ck_assert_int_ge(inotify_add_watch(watched.inotify, name,
	                                   IN_OPEN | IN_ACCESS | IN_MODIFY | IN_DONT_FOLLOW),
	                 0);
	return watched;
}

/* Its removal is an event as well. */
static bool was_touched(struct watched *watched)
{
	struct inotify_event event = { .mask = 0 };
	uint32_t seen = 0;

	while (read(watched->inotify, &event, sizeof(event)) > 0)
		seen |= event.mask;
	close(watched->inotify);
	return (seen & (IN_OPEN | IN_ACCESS | IN_MODIFY)) != 0;
}

/* It is there as it was, and nobody has touched it. */
static void expect_untouched(struct watched *watched, const char *name)
{
	struct stat now;

	ck_assert(!was_touched(watched));
	ck_assert_int_eq(lstat(name, &now), 0);
	ck_assert_uint_eq(now.st_ino, watched->before.st_ino);
	ck_assert_uint_eq(now.st_mode, watched->before.st_mode);
	ck_assert_uint_eq(now.st_uid, watched->before.st_uid);
}

static struct lockfile_pid *held(void)
{
	struct lockfile_pid *lock = new_lock("x.pid");

	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	return lock;
}

static bool is_readable(const struct lockfile_pid *lock)
{
	struct pollfd p = { .fd = lockfile_pid_wait_fd(lock), .events = POLLIN };

	return poll(&p, 1, -1) == 1;
}

/* Until it has the lock, which somebody released. */
static void finish(struct lockfile_pid *lock)
{
	int r;

	do {
		ck_assert(is_readable(lock));
		r = lockfile_pid_wait_continue(lock);
	} while (r == BUSY);
	ck_assert_int_eq(r, 0);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
}

/* What was planted */

/* clang-format off: a row a line */
static const struct plant {
	mode_t mode;
	uid_t owner;
	bool has_two_names;
	bool is_ours;
} plants[] = {
	{ S_IFIFO | 0600, 0, false, true },       { S_IFIFO | 0600, OTHER, false, false },
	{ S_IFIFO | 0600, NOBODY, false, false }, { S_IFIFO | 0666, OTHER, false, false },
	{ S_IFIFO | 0640, 0, false, false },      { S_IFIFO | 0620, 0, false, false },
	{ S_IFIFO | 0604, 0, false, false },      { S_IFIFO | 0602, 0, false, false },
	{ S_IFIFO | 0700, 0, false, false },      { S_IFIFO | 01600, 0, false, false },
	{ S_IFIFO | 02600, 0, false, false },     { S_IFIFO | 04600, 0, false, false },
	{ S_IFIFO | 0600, 0, true, false },       { S_IFREG | 0600, 0, false, false },
	{ S_IFDIR | 0600, 0, false, false },      { S_IFSOCK | 0600, 0, false, false },
};
/* clang-format on */

static void make_plant(const struct plant *plant, const char *name)
{
	if (S_ISDIR(plant->mode))
		ck_assert_int_eq(mkdir(name, 0700), 0);
	else
		ck_assert_int_eq(mknod(name, plant->mode, 0), 0);
	ck_assert_int_eq(chown(name, plant->owner, plant->owner), 0);
	ck_assert_int_eq(chmod(name, plant->mode & 07777), 0);
	if (plant->has_two_names)
		ck_assert_int_eq(link(name, "second"), 0);
}

static void remove_plant(void)
{
	remove(FIFO);
	unlink("second");
}

TEST_EACH(a_waiter_opens_only_a_fifo_of_its_user, plants)
{
	struct lockfile_pid *holder, *lock;
	struct watched watched;

	SKIP_UNLESS_ROOT();
	holder = held();
	make_plant(&plants[_i], FIFO);
	watched = watch(FIFO);
	lock = new_lock("x.pid");
	steer_reset();
	ck_assert_int_eq(lockfile_pid_wait_begin(lock), BUSY);
	ck_assert_int_eq(steer_count("sys_mkfifoat"), 0);
	ck_assert_int_eq(lock->queue.fifo.fd >= 0, plants[_i].is_ours);
	ck_assert_int_eq(lockfile_pid_unlock(holder), 0);
	finish(lock);
	if (plants[_i].is_ours) {
		ck_assert(was_touched(&watched));
		ck_assert(!exists(FIFO));
	} else {
		expect_untouched(&watched, FIFO);
	}
	remove_plant();
	lockfile_pid_free(lock);
	lockfile_pid_free(holder);
}

TEST_EACH(a_release_opens_only_a_fifo_of_its_user, plants)
{
	struct lockfile_pid *lock;
	struct watched watched;

	SKIP_UNLESS_ROOT();
	lock = held();
	make_plant(&plants[_i], FIFO);
	watched = watch(FIFO);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	if (plants[_i].is_ours) {
		ck_assert(was_touched(&watched));
		ck_assert(!exists(FIFO));
	} else {
		expect_untouched(&watched, FIFO);
	}
	remove_plant();
	lockfile_pid_free(lock);
}

/* What takes the place of ours at any moment */

/*
 * Who may do so may just as well remove it: between the last look at the name and
 * unlink(2) nobody can tell.
 */
static bool is_removed_by_us;

static void exchange(void *unused)
{
	(void)unused;
	ck_assert_int_eq(rename("theirs", FIFO), 0);
	is_removed_by_us = strcmp(steer_call()->name, "sys_unlinkat") == 0;
}

static void expect_left(struct watched *theirs, bool happened)
{
	const char *name = happened ? FIFO : "theirs";

	if (happened && is_removed_by_us && !exists(FIFO)) {
		ck_assert(!was_touched(theirs));
		return;
	}
	expect_untouched(theirs, name);
	ck_assert_int_eq(unlink(name), 0);
}

static struct watched make_theirs(void)
{
	ck_assert_int_eq(mkfifo("theirs", 0600), 0);
	ck_assert_int_eq(chmod("theirs", 0666), 0);
	ck_assert_int_eq(chown("theirs", OTHER, OTHER), 0);
	return watch("theirs");
}

/* Whether there was such a call of the wait. */
static bool wait_while_exchanged(struct lockfile_pid *lock, int nth)
{
	struct watched theirs = make_theirs();
	bool happened;

	steer_reset();
	steer_before(ANY_CALL, nth, exchange, NULL);
	ck_assert_int_eq(lockfile_pid_wait_begin(lock), BUSY);
	ck_assert_int_eq(lockfile_pid_wait_cancel(lock), 0);
	happened = steer_count(ANY_CALL) >= nth;
	steer_reset();
	expect_left(&theirs, happened);
	return happened;
}

TEST(a_fifo_that_takes_the_place_of_ours_at_any_call_of_a_wait_is_not_touched)
{
	struct lockfile_pid *holder, *lock;
	int nth = 1;

	SKIP_UNLESS_ROOT();
	ck_assert_int_eq(chmod(".", 0777), 0);
	holder = held();
	lock = new_lock("x.pid");
	while (wait_while_exchanged(lock, nth))
		nth++;
	ck_assert_int_gt(nth, 20);
	lockfile_pid_free(lock);
	lockfile_pid_free(holder);
}

/* With one of ours there before, which a crash left, or not. */
static bool release_while_exchanged(struct lockfile_pid *lock, int nth, bool with_ours)
{
	struct watched theirs;
	bool happened;

	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	if (with_ours)
		ck_assert_int_eq(mkfifo(FIFO, 0600), 0);
	theirs = make_theirs();
	steer_reset();
	steer_before(ANY_CALL, nth, exchange, NULL);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	happened = steer_count(ANY_CALL) >= nth;
	steer_reset();
	expect_left(&theirs, happened);
	return happened;
}

static const bool with_ours[] = { true, false };

TEST_EACH(a_fifo_that_takes_the_place_of_ours_at_any_call_of_a_release_is_not_touched, with_ours)
{
	struct lockfile_pid *lock;
	int nth = 1;

	SKIP_UNLESS_ROOT();
	ck_assert_int_eq(chmod(".", 0777), 0);
	lock = new_lock("x.pid");
	while (release_while_exchanged(lock, nth, with_ours[_i]))
		nth++;
	ck_assert_int_gt(nth, 5);
	lockfile_pid_free(lock);
}

/* Without /proc, or without a descriptor for it */

/* clang-format off: a row a line */
static const struct directory {
	mode_t mode;
	uid_t owner;
	bool keeps_names; /* of files of root's */
} directories[] = {
	{ 0755, 0, true },  { 0700, 0, true },      { 01777, 0, true },
	{ 01775, 0, true }, { 0775, 0, false },     { 0757, 0, false },
	{ 0777, 0, false }, { 0755, OTHER, false }, { 01777, OTHER, false },
};
/* clang-format on */

static void make_directory(int row)
{
	ck_assert_int_eq(chown(".", directories[row].owner, 0), 0);
	ck_assert_int_eq(chmod(".", directories[row].mode), 0);
}

TEST_EACH(without_proc_a_fifo_is_opened_only_where_nobody_can_have_replaced_it, directories)
{
	struct lockfile_pid *holder, *lock;

	SKIP_UNLESS_ROOT();
	make_directory(_i);
	steer_reset();
	/* who we are is looked up once, and needs /proc */
	holder = held();
	steer_no_proc();
	lock = new_lock("x.pid");
	ck_assert_int_eq(lockfile_pid_wait_begin(lock), BUSY);
	ck_assert_int_eq(lock->queue.fifo.fd >= 0, directories[_i].keeps_names);
	ck_assert_int_eq(lockfile_pid_unlock(holder), 0);
	finish(lock);
	ck_assert(!exists(FIFO));
	steer_reset();
	lockfile_pid_free(lock);
	lockfile_pid_free(holder);
}

static int wake_in(int row, const struct lockfile_pid *lock)
{
	int dirfd, r;

	make_directory(row);
	dirfd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	r = queue_wake(dirfd, &lock->path, NO_OWNER);
	close(dirfd);
	return r;
}

static void cannot_be_looked_at(void)
{
	steer_result("sys_fstat", 1, -EIO);
}

static void is_on_a_network(void)
{
	steer_file_system(0x6969); /* NFS */
}

static void (*const doubts[])(void) = { cannot_be_looked_at, is_on_a_network };

TEST_EACH(without_proc_no_fifo_is_opened_in_a_directory_that_nobody_can_tell_of, doubts)
{
	struct lockfile_pid *lock;

	SKIP_UNLESS_ROOT();
	lock = new_lock("x.pid");
	steer_reset();
	ck_assert_int_eq(mkfifo(FIFO, 0600), 0);
	steer_no_proc();
	doubts[_i]();
	ck_assert_int_eq(wake_in(0, lock), 0);
	ck_assert_int_eq(steer_count("sys_write"), 0);
	steer_reset();
	ck_assert_int_eq(unlink(FIFO), 0);
	lockfile_pid_free(lock);
}

TEST_EACH(a_release_with_one_descriptor_wakes_where_nobody_can_have_replaced_the_fifo, directories)
{
	struct lockfile_pid *lock;

	SKIP_UNLESS_ROOT();
	lock = new_lock("x.pid");
	ck_assert_int_eq(mkfifo(FIFO, 0600), 0);
	steer_reset();
	steer_result("sys_reopen", 1, -EMFILE);
	ck_assert_int_eq(wake_in(_i, lock), directories[_i].keeps_names ? 0 : -EMFILE);
	ck_assert_int_eq(steer_count("sys_write"), directories[_i].keeps_names);
	steer_reset();
	/* nobody waited: it was left by a crash */
	ck_assert_int_eq(exists(FIFO), !directories[_i].keeps_names);
	unlink(FIFO);
	lockfile_pid_free(lock);
}

static const int lacks[] = { -EMFILE, -ENFILE };

TEST_EACH(a_release_without_descriptors_says_so_where_there_is_a_queue, lacks)
{
	struct lockfile_pid *lock = new_lock("x.pid");

	steer_reset();
	steer_result("sys_openat", EVERY, lacks[_i]);
	ck_assert_int_eq(queue_wake(AT_FDCWD, &lock->path, NO_OWNER), 0);
	ck_assert_int_eq(mkfifo(FIFO, 0600), 0);
	ck_assert_int_eq(queue_wake(AT_FDCWD, &lock->path, NO_OWNER), lacks[_i]);
	steer_reset();
	ck_assert_int_eq(unlink(FIFO), 0);
	lockfile_pid_free(lock);
}

TEST(a_queue_that_cannot_be_opened_for_another_reason_is_none)
{
	struct lockfile_pid *lock = new_lock("x.pid");

	ck_assert_int_eq(mkfifo(FIFO, 0600), 0);
	steer_reset();
	steer_result("sys_openat", EVERY, -EACCES);
	ck_assert_int_eq(queue_wake(AT_FDCWD, &lock->path, NO_OWNER), 0);
	steer_reset();
	ck_assert_int_eq(unlink(FIFO), 0);
	lockfile_pid_free(lock);
}

/* Where files that we make are not ours (root_squash, setfsuid(2)), others could open the FIFO. */

TEST(who_makes_files_of_another_owner_has_no_queue)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	struct queue queue;
	struct watched watched;

	steer_reset();
	ck_assert_int_eq(queue_join(&queue, &lock->path, geteuid() + 1, false), 0);
	ck_assert_int_lt(queue.fifo.fd, 0);
	ck_assert_int_eq(steer_count("sys_mkfifoat"), 0);
	queue_leave(&queue, &lock->path, true);
	ck_assert_int_eq(mkfifo(FIFO, 0600), 0);
	watched = watch(FIFO);
	ck_assert_int_eq(queue_wake(AT_FDCWD, &lock->path, geteuid() + 1), 0);
	expect_untouched(&watched, FIFO);
	ck_assert_int_eq(unlink(FIFO), 0);
	lockfile_pid_free(lock);
}

TEST(the_owner_of_files_is_that_of_the_first_one_made)
{
	struct lockfile_pid *lock = new_lock("x.pid"), *holder;

	ck_assert_uint_eq(lock->file.owner, NO_OWNER);
	holder = held();
	ck_assert_int_eq(lockfile_pid_trylock(lock), BUSY);
	ck_assert_uint_eq(lock->file.owner, geteuid());
	ck_assert_uint_eq(holder->file.owner, geteuid());
	lockfile_pid_free(lock);
	lockfile_pid_free(holder);
}

/* A holder that dropped its privileges. */
static void release_as_other(void *lock)
{
	struct watched watched = watch(FIFO);

	REQUIRE(setresuid(OTHER, OTHER, OTHER) == 0);
	REQUIRE(lockfile_pid_unlock(lock) == 0);
	REQUIRE(!was_touched(&watched));
}

static void hold_and_release_as_other(void *unused)
{
	struct lockfile_pid *lock = held();

	(void)unused;
	REQUIRE(mkfifo(FIFO, 0600) == 0);
	release_as_other(lock);
	lockfile_pid_free(lock);
}

TEST(who_dropped_privileges_leaves_the_queue_of_root_alone)
{
	SKIP_UNLESS_ROOT();
	ck_assert_int_eq(chmod(".", 0777), 0);
	ck_assert_int_eq(in_child(hold_and_release_as_other, NULL), 0);
	ck_assert_int_eq(unlink(FIFO), 0);
}

/* The umask */

static void wait_with_umask(void *lock)
{
	REQUIRE(setresuid(OTHER, OTHER, OTHER) == 0);
	umask(0777);
	REQUIRE(lockfile_pid_timedlock(lock, 20) == -ETIMEDOUT);
	REQUIRE(!exists(FIFO));
	umask(0);
	REQUIRE(lockfile_pid_wait_begin(lock) == BUSY);
	REQUIRE(((struct lockfile_pid *)lock)->queue.fifo.fd >= 0);
	REQUIRE(lockfile_pid_wait_cancel(lock) == 0);
	REQUIRE(!exists(FIFO));
}

TEST(a_umask_that_shuts_out_everybody_leaves_no_fifo)
{
	struct lockfile_pid *holder, *lock;

	SKIP_UNLESS_ROOT();
	ck_assert_int_eq(chmod(".", 0777), 0);
	holder = held();
	lock = new_lock("x.pid");
	ck_assert_int_eq(in_child(wait_with_umask, lock), 0);
	lockfile_pid_free(lock);
	lockfile_pid_free(holder);
}

/* Copies of a waiter's descriptors, in a child by clone(2), say */

TEST(a_copy_of_the_fifo_of_a_waiter_that_left_keeps_nothing)
{
	struct lockfile_pid *holder = held(), *lock = new_lock("x.pid"), *next = new_lock("x.pid");
	int copy;

	ck_assert_int_eq(lockfile_pid_wait_begin(lock), BUSY);
	ck_assert_int_eq(lockfile_pid_wait_begin(next), BUSY);
	ck_assert(lock->queue.first && !next->queue.first);
	copy = dup(lock->queue.fifo.fd);
	ck_assert_int_eq(lockfile_pid_wait_cancel(lock), 0);
	ck_assert_int_eq(lockfile_pid_wait_continue(next), BUSY);
	ck_assert(next->queue.first);
	ck_assert_int_eq(lockfile_pid_wait_cancel(next), 0);
	ck_assert(!exists(FIFO));
	close(copy);
	lockfile_pid_free(next);
	lockfile_pid_free(lock);
	lockfile_pid_free(holder);
}

static void copy_fifo(void *ret_copy)
{
	*(int *)ret_copy = dup(steer_call()->fd);
}

/* It could not remove the name, either. */
TEST(a_copy_of_the_fifo_of_one_who_wakes_keeps_nobody_out)
{
	struct lockfile_pid *holder, *lock = new_lock("x.pid");
	int copy = -1;

	ck_assert_int_eq(mkfifo(FIFO, 0600), 0);
	steer_reset();
	steer_after("sys_lock_byte", 1, copy_fifo, &copy);
	steer_result("sys_unlinkat", 1, -EACCES);
	ck_assert_int_eq(queue_wake(AT_FDCWD, &lock->path, NO_OWNER), 0);
	ck_assert_int_ge(copy, 0);
	steer_reset();
	holder = held();
	ck_assert_int_eq(lockfile_pid_wait_begin(lock), BUSY);
	ck_assert_int_ge(lock->queue.fifo.fd, 0);
	close(copy);
	lockfile_pid_free(lock);
	lockfile_pid_free(holder);
}

/* Two users at once; each looks by itself at what the other has. */

static void have_queue(const char *unused)
{
	struct lockfile_pid *lock;

	(void)unused;
	REQUIRE(lockfile_pid_new(&lock, "x.pid") == 0);
	REQUIRE(lockfile_pid_wait_begin(lock) == BUSY);
	user_is_ready();
}

TEST(who_finds_the_queue_of_another_user_looks_often)
{
	struct lockfile_pid *holder, *lock;
	struct watched watched;
	pid_t other;

	SKIP_UNLESS_ROOT();
	ck_assert_int_eq(chmod(".", 01777), 0);
	holder = held();
	other = start_as_user(OTHER, have_queue, NULL);
	ck_assert(exists(FIFO));
	watched = watch(FIFO);
	lock = new_lock("x.pid");
	ck_assert_int_eq(lockfile_pid_wait_begin(lock), BUSY);
	ck_assert_int_lt(lock->queue.fifo.fd, 0);
	for (int i = 0; i < 10; i++) {
		ck_assert_int_le(lock->queue.pause_ms, 50);
		ck_assert_int_eq(lockfile_pid_wait_continue(lock), BUSY);
	}
	/* the holder's death wakes it all the same */
	ck_assert_int_ge(lock->queue.pidfd.fd, 0);
	ck_assert_int_eq(lockfile_pid_unlock(holder), 0);
	/* outside of a queue there is no head to leave it to */
	ck_assert(!queue_defers(&lock->queue, &lock->path));
	finish(lock);
	expect_untouched(&watched, FIFO);
	kill_child(other);
	ck_assert_int_eq(unlink(FIFO), 0);
	lockfile_pid_free(lock);
	lockfile_pid_free(holder);
}

/* The lock file's owner is another; nobody else is in the queue. */
TEST(who_waits_for_another_user_looks_often)
{
	struct lockfile_pid *lock;
	struct holder holder;

	SKIP_UNLESS_ROOT();
	ck_assert_int_eq(chmod(".", 0777), 0);
	holder = holder_of_user(OTHER, "x.pid");
	ck_assert_int_eq(holder_do(&holder, "trylock"), 0);
	lock = new_lock("x.pid");
	ck_assert_int_eq(lockfile_pid_wait_begin(lock), BUSY);
	ck_assert_int_ge(lock->queue.fifo.fd, 0);
	ck_assert_int_ge(lock->queue.pidfd.fd, 0);
	for (int i = 0; i < 10; i++) {
		ck_assert_int_le(lock->queue.pause_ms, 50);
		ck_assert_int_eq(lockfile_pid_wait_continue(lock), BUSY);
	}
	ck_assert_int_eq(holder_do(&holder, "unlock"), 0);
	finish(lock);
	lockfile_pid_free(lock);
	holder_end(&holder);
}
