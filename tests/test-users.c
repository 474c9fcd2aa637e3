/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Holders and waiters of different users, in each kind of directory: the table of
 * lockfile-pid(7), cell by cell.
 */
#include <config.h>

#include "handle.h"
#include "steer.h"
#include "user.h"
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <lockfile-pid.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define BUSY     LOCKFILE_PID_ERR_BUSY
#define DIR      "d"
#define PATH     DIR "/x.pid"
#define ROOT     0
#define DAEMON   VICTIM
#define STRANGER ATTACKER

static const struct directory {
	mode_t mode;
	uid_t owner;
	gid_t group;
} own = { 0755, DAEMON, DAEMON }, roots = { 0755, ROOT, DAEMON }, sticky = { 01777, ROOT, ROOT };

enum told {
	BY_RELEASE, /* by the byte that the holder writes */
	LOOKS,      /* every 1 to 50 ms */
	SECOND,     /* looks once a second */
	REFUSED,    /* it does not wait: it may make no file there */
};

/* clang-format off: a row a line */
static const struct cell {
	const struct directory *directory;
	uid_t holder, waiter;
	enum told told;
	int after_release, after_kill;
} cells[] = {
	{ &own, ROOT, ROOT, BY_RELEASE, 0, 0 },
	{ &own, ROOT, DAEMON, LOOKS, 0, 0 },
	{ &own, ROOT, STRANGER, REFUSED, -EACCES, -EACCES },
	{ &own, DAEMON, ROOT, LOOKS, 0, 0 },
	{ &own, DAEMON, DAEMON, BY_RELEASE, 0, 0 },
	{ &own, DAEMON, STRANGER, REFUSED, -EACCES, -EACCES },
	{ &roots, ROOT, ROOT, BY_RELEASE, 0, 0 },
	{ &roots, ROOT, DAEMON, REFUSED, -EACCES, -EACCES },
	{ &roots, ROOT, STRANGER, REFUSED, -EACCES, -EACCES },
	{ &sticky, ROOT, ROOT, BY_RELEASE, 0, 0 },
	{ &sticky, ROOT, DAEMON, LOOKS, 0, -EPERM },
	{ &sticky, ROOT, STRANGER, LOOKS, 0, -EPERM },
	{ &sticky, DAEMON, ROOT, LOOKS, 0, -EPERM },
	{ &sticky, DAEMON, DAEMON, BY_RELEASE, 0, 0 },
	{ &sticky, DAEMON, STRANGER, LOOKS, 0, -EPERM },
	{ &sticky, STRANGER, ROOT, LOOKS, 0, -EPERM },
	{ &sticky, STRANGER, DAEMON, LOOKS, 0, -EPERM },
	{ &sticky, STRANGER, STRANGER, BY_RELEASE, 0, 0 },
};
/* clang-format on */

static void make_directory(const struct directory *directory)
{
	SKIP_UNLESS_ROOT();
	ck_assert_int_eq(chmod(".", 0755), 0);
	ck_assert_int_eq(mkdir(DIR, 0700), 0);
	ck_assert_int_eq(chown(DIR, directory->owner, directory->group), 0);
	ck_assert_int_eq(chmod(DIR, directory->mode), 0);
}

/* The daemon has its group. */
static void become(uid_t user)
{
	REQUIRE(setgroups(0, NULL) == 0);
	REQUIRE(setresgid(user, user, user) == 0);
	REQUIRE(setresuid(user, user, user) == 0);
}

/* What a waiter of this process's user says while it waits, and in the end. */
struct waiter {
	uid_t user;
	enum told told;
	bool by_pidfd; /* that the holder is dead it is told at once */
	int answer;    /* pipe ends */
};

static void answer(const struct waiter *waiter, int r)
{
	REQUIRE(write(waiter->answer, &r, sizeof(r)) == sizeof(r));
}

/* Until one event of its descriptor. */
static int wait_for_event(struct lockfile_pid *lock)
{
	struct pollfd p = { .fd = lockfile_pid_wait_fd(lock), .events = POLLIN };

	REQUIRE(poll(&p, 1, -1) == 1);
	return lockfile_pid_wait_continue(lock);
}

static void wait_as_user(void *argument)
{
	const struct waiter *waiter = argument;
	struct lockfile_pid *lock;
	int r;

	become(waiter->user);
	alarm(DEFAULT_TIMEOUT_S);
	steer_reset();
	if (waiter->told == BY_RELEASE || waiter->by_pidfd)
		steer_result("sys_timer_set", EVERY, 0);
	REQUIRE(lockfile_pid_new(&lock, PATH) == 0);
	r = lockfile_pid_wait_begin(lock);
	if (waiter->told == REFUSED) {
		REQUIRE(lockfile_pid_trylock(lock) == BUSY);
		REQUIRE(lockfile_pid_timedlock(lock, 0) == BUSY);
		REQUIRE(lockfile_pid_timedlock(lock, 60000) == r);
		REQUIRE(lockfile_pid_lock(lock) == r);
		REQUIRE(lockfile_pid_holder(lock) > 0);
	} else {
		REQUIRE(r == BUSY);
		REQUIRE((lock->queue.pause_ms <= 50) == (waiter->told == LOOKS));
	}
	/* it has tried */
	answer(waiter, BUSY);
	while (r == BUSY)
		r = wait_for_event(lock);
	answer(waiter, r);
	lockfile_pid_free(lock);
}

static int read_answer(int fd)
{
	int r = 1;

	ck_assert_int_eq(read(fd, &r, sizeof(r)), sizeof(r));
	return r;
}

/* Returns the other end of its answers. */
static int start_waiter(const struct cell *cell, bool by_pidfd, pid_t *ret_pid)
{
	struct waiter waiter = { .user = cell->waiter, .told = cell->told, .by_pidfd = by_pidfd };
	int ends[2];

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	waiter.answer = ends[1];
	*ret_pid = checked_fork();
	if (*ret_pid == 0) {
		wait_as_user(&waiter);
		_exit(0);
	}
	close(ends[1]);
	ck_assert_int_eq(read_answer(ends[0]), BUSY);
	return ends[0];
}

static void end_waiter(int fd, pid_t pid)
{
	int status;

	close(fd);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}

static void clear(void)
{
	unlink(PATH);
	ck_assert_str_eq(list_dir(DIR), "");
	ck_assert_int_eq(rmdir(DIR), 0);
}

/* The holder may have given its file to the daemon's user. */
static struct holder start_holder(const struct cell *cell, bool gives)
{
	struct holder holder;
	char word[32];

	make_directory(cell->directory);
	holder = holder_of_user(cell->holder, PATH);
	ck_assert_int_eq(holder_do(&holder, "trylock"), 0);
	snprintf(word, sizeof(word), "chown %u", (unsigned int)DAEMON);
	if (gives)
		ck_assert_int_eq(holder_do(&holder, word), 0);
	return holder;
}

static void check_release(const struct cell *cell, bool gives)
{
	struct holder holder = start_holder(cell, gives);
	pid_t pid;
	int fd = start_waiter(cell, false, &pid);

	ck_assert_int_eq(holder_do(&holder, "unlock"), 0);
	ck_assert_int_eq(read_answer(fd), cell->after_release);
	end_waiter(fd, pid);
	holder_end(&holder);
	clear();
}

static void check_death(const struct cell *cell, bool gives)
{
	struct holder holder;
	pid_t pid;
	int fd;

	skip_without_pidfds();
	holder = start_holder(cell, gives);
	fd = start_waiter(cell, true, &pid);
	holder_kill(&holder);
	ck_assert_int_eq(read_answer(fd), cell->after_kill);
	end_waiter(fd, pid);
	clear();
}

TEST_EACH(a_waiter_is_told_of_a_release_as_the_table_says, cells)
{
	check_release(&cells[_i], false);
}

TEST_EACH(a_waiter_is_told_of_the_death_of_the_holder_at_once, cells)
{
	check_death(&cells[_i], false);
}

/* A holder that gave its file to the user that the daemon becomes, by fchown(2). */

static const struct cell given[] = {
	{ &own, ROOT, ROOT, LOOKS, 0, 0 },
	{ &own, ROOT, DAEMON, SECOND, 0, 0 },
	{ &own, ROOT, STRANGER, REFUSED, -EACCES, -EACCES },
	{ &sticky, ROOT, ROOT, LOOKS, 0, -EPERM },
	{ &sticky, ROOT, DAEMON, SECOND, 0, 0 },
	{ &sticky, ROOT, STRANGER, LOOKS, 0, -EPERM },
};

TEST_EACH(a_waiter_is_told_of_the_release_of_a_file_that_was_given_away, given)
{
	check_release(&given[_i], true);
}

TEST_EACH(a_waiter_is_told_of_the_death_of_who_gave_its_file_away, given)
{
	check_death(&given[_i], true);
}

/* And then it becomes that user, in whose directory the file is. */
TEST(a_daemon_that_gave_its_file_to_its_user_releases_it_as_that_user)
{
	const struct cell cell = { &own, ROOT, ROOT, LOOKS, 0, 0 };
	struct holder holder = start_holder(&cell, true);
	char word[32];

	snprintf(word, sizeof(word), "user %u", (unsigned int)DAEMON);
	ck_assert_int_eq(holder_do(&holder, word), 0);
	ck_assert_int_eq(holder_do(&holder, "verify"), 0);
	ck_assert_int_eq(holder_do(&holder, "unlock"), 0);
	ck_assert_str_eq(list_dir(DIR), "");
	holder_end(&holder);
	clear();
}

static const char *const changes[] = { "chmod 0600", "chmod 0640", "chmod 0666", "chmod 0444",
	                               "chmod 0" };

TEST_EACH(a_file_whose_mode_was_changed_is_held_and_released, changes)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	struct holder holder = holder_start("x.pid");

	ck_assert_int_eq(holder_do(&holder, "trylock"), 0);
	ck_assert_int_eq(holder_do(&holder, changes[_i]), 0);
	ck_assert_int_eq(holder_do(&holder, "verify"), 0);
	ck_assert_int_eq(lockfile_pid_trylock(lock), BUSY);
	ck_assert_int_eq(holder_do(&holder, "unlock"), 0);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	lockfile_pid_free(lock);
	holder_end(&holder);
}

/* Who is no row of the table. */

static const struct {
	const struct directory *directory;
	uid_t user;
} outsiders[] = { { &own, STRANGER }, { &roots, DAEMON }, { &roots, STRANGER } };

TEST_EACH(who_may_not_write_the_directory_is_no_holder, outsiders)
{
	struct holder holder;

	make_directory(outsiders[_i].directory);
	holder = holder_of_user(outsiders[_i].user, PATH);
	ck_assert_int_eq(holder_do(&holder, "trylock"), -EACCES);
	holder_end(&holder);
	clear();
}

/* A holder that became another user after it had locked. */

static const struct cell dropped[] = {
	{ &own, DAEMON, ROOT, BY_RELEASE, 0, 0 },
	{ &own, DAEMON, DAEMON, LOOKS, 0, 0 },
	{ &own, DAEMON, STRANGER, REFUSED, -EACCES, -EACCES },
};

static bool ends_with(int fd, pid_t pid, int expected)
{
	int r = read_answer(fd);

	end_waiter(fd, pid);
	return r == expected;
}

/* Its waiters of the former user look by themselves, once a second. */
TEST_EACH(a_holder_that_changed_its_user_wakes_nobody_and_all_get_the_lock, dropped)
{
	struct cell cell = dropped[_i];
	struct holder holder;
	char word[32];
	pid_t pid;
	int fd;

	make_directory(cell.directory);
	holder = holder_start(PATH);
	ck_assert_int_eq(holder_do(&holder, "trylock"), 0);
	snprintf(word, sizeof(word), "user %u", (unsigned int)cell.holder);
	ck_assert_int_eq(holder_do(&holder, word), 0);
	/* with its timer, which is the only one to tell it */
	if (cell.told == BY_RELEASE)
		cell.told = LOOKS;
	if (cell.waiter == ROOT) {
		struct lockfile_pid *lock = new_lock(PATH);

		ck_assert_int_eq(lockfile_pid_wait_begin(lock), BUSY);
		ck_assert_int_eq(lock->queue.pause_ms, 1000);
		ck_assert_int_eq(holder_do(&holder, "unlock"), 0);
		while (wait_for_event(lock) == BUSY)
			;
		ck_assert_int_eq(lockfile_pid_verify(lock), 0);
		lockfile_pid_free(lock);
	} else {
		fd = start_waiter(&cell, false, &pid);
		ck_assert_int_eq(holder_do(&holder, "unlock"), 0);
		ck_assert(ends_with(fd, pid, cell.after_release));
	}
	holder_end(&holder);
	clear();
}
