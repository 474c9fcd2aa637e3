/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What stands at PATH.takeover already: another's candidate, what a crash left
 * behind, or something that somebody put there.
 */
#include <config.h>

#include "common.h"
#include "forge.h"
#include "process.h"
#include "rival.h"
#include "steer.h"
#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <lockfile-pid.h>
#include <signal.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#define PATH     "x.pid"
#define TAKEOVER PATH ".takeover"
#define BUSY     LOCKFILE_PID_ERR_BUSY

/* With O_TMPFILE, and without; and which open(2) is that of the leftover. */
static const struct {
	int error, open;
} ways[] = { { 0, 4 }, { EOPNOTSUPP, 7 } };

static struct lockfile_pid *begin(int way)
{
	struct lockfile_pid *lock;
	struct owner self;

	steer_reset();
	ck_assert_int_eq(lockfile_pid_new(&lock, PATH), 0);
	process_self(&self);
	steer_reset();
	steer_no_tmpfile(ways[way].error);
	forge_foreign(PATH, dead_pid());
	return lock;
}

static void end(struct lockfile_pid *lock)
{
	steer_reset();
	lockfile_pid_free(lock);
	unlink(PATH);
	assert_nothing_left();
}

static void (*between)(void);
static int acted;

static void act(void *unused)
{
	(void)unused;
	acted++;
	between();
}

static void do_before(const char *call, int nth, void (*action)(void))
{
	acted = 0;
	between = action;
	steer_before(call, nth, act, NULL);
}

static void assert_busy_and_untouched(struct lockfile_pid *lock)
{
	ck_assert_int_eq(lockfile_pid_trylock(lock), BUSY);
	ck_assert_str_eq(list_dir("."), PATH " " TAKEOVER " ");
	/* found out at once, and not by trying again */
	ck_assert_int_lt(steer_count(ANY_CALL), 100);
}

static void remove_takeover(void)
{
	ck_assert_int_eq(remove(TAKEOVER), 0);
}

/* Regular files. */

static const struct {
	const char *content;
	mode_t mode;
} leftovers[] = { { "", 0600 }, { "1\n", 0600 }, { "1\n", 0644 }, { "somebody's data\n", 0400 } };

TEST_EACH(file_without_a_lock_is_removed, leftovers)
{
	/* what we may not write is of one at work, for all that others can tell */
	if (!(leftovers[_i].mode & S_IWUSR))
		SKIP_UNLESS_ROOT();

	for (int i = 0; i < 2; i++) {
		struct lockfile_pid *lock = begin(i);

		write_file(TAKEOVER, leftovers[_i].content);
		ck_assert_int_eq(chmod(TAKEOVER, leftovers[_i].mode), 0);
		ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
		ck_assert_str_eq(list_dir("."), PATH " ");
		end(lock);
	}
}

TEST_EACH(leftover_is_not_cleared_where_the_path_is_free_or_held, ways)
{
	struct lockfile_pid *lock = begin(_i);

	forge_foreign(PATH, 1);
	write_file(TAKEOVER, "1\n");
	assert_busy_and_untouched(lock);
	remove_takeover();
	end(lock);
}

TEST_EACH(file_with_a_lock_is_of_one_at_work, ways)
{
	struct lockfile_pid *lock = begin(_i);
	int before, fd;

	write_file(TAKEOVER, "");
	fd = forge_lock(TAKEOVER);
	before = count_descriptors();
	assert_busy_and_untouched(lock);
	ck_assert_int_eq(count_descriptors(), before);
	close(fd);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	end(lock);
}

static bool is_locked(const char *name)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC), r;

	ck_assert_int_ge(fd, 0);
	r = sys_is_write_locked(fd);
	close(fd);
	return r == 1;
}

/* A live rival that was stopped with the right to replace. */
TEST_EACH(maker_that_is_stopped_blocks_until_it_is_gone, ways)
{
	struct rival rival = rival_start(PATH, ways[_i].error);
	struct lockfile_pid *lock = begin(_i);

	/* until it has the right, and its candidate is locked */
	for (int stop = 1; rival_trylock(&rival, stop) == RIVAL_STOPPED; stop++) {
		if (exists(TAKEOVER) && is_locked(TAKEOVER))
			break;
		ck_assert_int_eq(rival_go_on(&rival), 0);
		ck_assert_int_eq(rival_unlock(&rival), 0);
		forge_foreign(PATH, dead_pid());
	}
	assert_busy_and_untouched(lock);
	rival_kill(&rival);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	end(lock);
}

static void read_busy_as_nobody(void *way)
{
	struct lockfile_pid *lock;

	if (setresuid(65534, 65534, 65534) < 0)
		_exit(2);
	steer_reset();
	steer_no_tmpfile(*(const int *)way);
	ck_assert_int_eq(lockfile_pid_new(&lock, PATH), 0);
	assert_busy_and_untouched(lock);
	lockfile_pid_free(lock);
}

TEST_EACH(file_that_we_may_not_open_is_of_one_at_work, ways)
{
	struct lockfile_pid *lock = begin(_i);
	int error = ways[_i].error;

	SKIP_UNLESS_ROOT();
	write_file(TAKEOVER, "1\n");
	ck_assert_int_eq(chmod(TAKEOVER, 0600), 0);
	ck_assert_int_eq(chmod(".", 0777), 0);
	ck_assert_int_eq(in_child(read_busy_as_nobody, &error), 0);
	remove_takeover();
	end(lock);
}

static void find_no_business_here(void *way)
{
	struct lockfile_pid *lock;

	if (setresuid(65534, 65534, 65534) < 0)
		_exit(2);
	steer_reset();
	steer_no_tmpfile(*(const int *)way);
	ck_assert_int_eq(lockfile_pid_new(&lock, PATH), 0);
	ck_assert_int_eq(lockfile_pid_trylock(lock), -EACCES);
	lockfile_pid_free(lock);
}

/* Busy would be waited for, in vain. */
TEST_EACH(file_that_we_may_not_open_in_a_directory_that_we_may_not_write, ways)
{
	struct lockfile_pid *lock = begin(_i);
	int error = ways[_i].error;

	SKIP_UNLESS_ROOT();
	write_file(TAKEOVER, "1\n");
	ck_assert_int_eq(chmod(TAKEOVER, 0600), 0);
	ck_assert_int_eq(chmod(".", 0755), 0);
	ck_assert_int_eq(in_child(find_no_business_here, &error), 0);
	remove_takeover();
	end(lock);
}

static void fail_as_nobody(void *way)
{
	struct lockfile_pid *lock;

	if (setresuid(65534, 65534, 65534) < 0)
		_exit(2);
	steer_reset();
	steer_no_tmpfile(*(const int *)way);
	ck_assert_int_eq(lockfile_pid_new(&lock, PATH), 0);
	ck_assert_int_eq(lockfile_pid_trylock(lock), -EPERM);
	lockfile_pid_free(lock);
}

TEST_EACH(file_that_we_may_lock_but_not_remove_is_an_error, ways)
{
	struct lockfile_pid *lock = begin(_i);
	int error = ways[_i].error;

	SKIP_UNLESS_ROOT();
	write_file(TAKEOVER, "1\n");
	ck_assert_int_eq(chmod(TAKEOVER, 0666), 0);
	ck_assert_int_eq(chmod(".", 01777), 0);
	ck_assert_int_eq(in_child(fail_as_nobody, &error), 0);
	ck_assert_str_eq(list_dir("."), PATH " " TAKEOVER " ");
	remove_takeover();
	end(lock);
}

/* Only who has its lock removes it, and has it until that is done. */

static void assert_leftover_is_locked(void)
{
	ck_assert(is_locked(TAKEOVER));
}

TEST_EACH(leftover_is_removed_before_its_lock_is_let_go, ways)
{
	struct lockfile_pid *lock = begin(_i);

	write_file(TAKEOVER, "1\n");
	do_before("sys_unlinkat", 1, assert_leftover_is_locked);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(acted, 1);
	end(lock);
}

static int their_fd;

/* Another has cleared it, and works. */
static void be_made_anew(void)
{
	remove_takeover();
	write_file(TAKEOVER, "");
	their_fd = forge_lock(TAKEOVER);
}

/* Which lock is that of the leftover, after that of our candidate, if it has one. */
TEST_EACH(name_that_leads_elsewhere_when_we_have_the_lock_is_kept, ways)
{
	struct lockfile_pid *lock = begin(_i);

	write_file(TAKEOVER, "1\n");
	do_before("sys_write_lock", ways[_i].error ? 1 : 2, be_made_anew);
	assert_busy_and_untouched(lock);
	ck_assert_int_eq(acted, 1);
	ck_assert_int_eq(steer_count("sys_unlinkat"), 0);
	close(their_fd);
	remove_takeover();
	end(lock);
}

/* What is no regular file has no maker. */

static void make_link(void)
{
	ck_assert_int_eq(symlink("victim", TAKEOVER), 0);
}

static void make_directory(void)
{
	ck_assert_int_eq(mkdir(TAKEOVER, 0700), 0);
}

static void make_fifo(void)
{
	ck_assert_int_eq(mkfifo(TAKEOVER, 0600), 0);
}

static void make_socket(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = TAKEOVER };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);
}

static void make_device(void)
{
	SKIP_UNLESS_ROOT();
	if (mknod(TAKEOVER, S_IFCHR | 0600, makedev(1, 3)) < 0)
		SKIP("no devices here");
}

static void (*const makers[])(void) = {
	make_link, make_directory, make_fifo, make_socket, make_device,
};

TEST_EACH(other_kinds_are_removed_unopened, makers)
{
	for (int i = 0; i < 2; i++) {
		struct lockfile_pid *lock = begin(i);

		makers[_i]();
		steer_watch_opens(TAKEOVER);
		ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
		/* the candidate itself, where it has that name from the start: in vain, and again */
		ck_assert_int_eq(steer_opens(), ways[i].error ? 2 : 0);
		ck_assert_str_eq(list_dir("."), PATH " ");
		end(lock);
	}
}

/* Opened by way of a link it would be known to this. */
static int watch_victim(void)
{
	int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

	write_file("victim", "data\n");
	ck_assert_int_ge(inotify_add_watch(fd, "victim", IN_OPEN), 0);
	return fd;
}

static void assert_victim_untouched(int fd)
{
	char event[256];

	ck_assert_int_lt(read(fd, event, sizeof(event)), 0);
	assert_content("victim", "data\n");
	unlink("victim");
	close(fd);
}

static void (*becomes)(void);

static void become_other(void)
{
	remove_takeover();
	becomes();
}

TEST_EACH(file_that_becomes_another_kind_before_it_is_opened, makers)
{
	for (int i = 0; i < 2; i++) {
		int victim = watch_victim();
		struct lockfile_pid *lock = begin(i);

		write_file(TAKEOVER, "1\n");
		becomes = makers[_i];
		do_before("sys_openat", ways[i].open, become_other);
		ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
		ck_assert_int_eq(acted, 1);
		assert_victim_untouched(victim);
		ck_assert_str_eq(list_dir("."), PATH " ");
		end(lock);
	}
}

TEST_EACH(file_that_vanishes_before_it_is_opened, ways)
{
	struct lockfile_pid *lock = begin(_i);

	write_file(TAKEOVER, "1\n");
	do_before("sys_openat", ways[_i].open, remove_takeover);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(acted, 1);
	end(lock);
}

TEST_EACH(directory_that_is_in_use_is_an_error, ways)
{
	struct lockfile_pid *lock = begin(_i);
	int before = count_descriptors();

	make_directory();
	write_file(TAKEOVER "/data", "");
	ck_assert_int_eq(lockfile_pid_trylock(lock), -ENOTEMPTY);
	ck_assert_int_eq(count_descriptors(), before);
	ck_assert_str_eq(list_dir("."), PATH " " TAKEOVER " ");
	ck_assert_str_eq(list_dir(TAKEOVER), "data ");
	unlink(TAKEOVER "/data");
	remove_takeover();
	end(lock);
}

/* Two that remove one take turns, or the second would remove what came after it. */

TEST_EACH(removal_of_other_kinds_takes_turns, ways)
{
	struct lockfile_pid *lock = begin(_i);
	int fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	make_fifo();
	ck_assert_int_eq(sys_flock(fd), 0);
	assert_busy_and_untouched(lock);
	close(fd);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	end(lock);
}

TEST_EACH(file_that_came_in_place_of_another_kind_is_kept, ways)
{
	struct lockfile_pid *lock = begin(_i);

	make_fifo();
	do_before("sys_flock", 1, be_made_anew);
	assert_busy_and_untouched(lock);
	ck_assert_int_eq(acted, 1);
	ck_assert_int_eq(steer_count("sys_unlinkat"), 0);
	close(their_fd);
	remove_takeover();
	end(lock);
}

static int turn_fd;

static void become_fifo_in_anothers_turn(void)
{
	remove_takeover();
	make_fifo();
	turn_fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_eq(sys_flock(turn_fd), 0);
}

TEST_EACH(file_that_becomes_another_kind_waits_for_its_turn, ways)
{
	struct lockfile_pid *lock = begin(_i);

	write_file(TAKEOVER, "");
	do_before("sys_openat", ways[_i].open, become_fifo_in_anothers_turn);
	assert_busy_and_untouched(lock);
	ck_assert_int_eq(acted, 1);
	close(turn_fd);
	remove_takeover();
	end(lock);
}

/* It is not waited for: the lease of a stranger would take it as long as he likes. */
TEST_EACH(leftover_with_a_lease_on_it_is_busy, ways)
{
	struct lockfile_pid *lock = begin(_i);
	int fd;

	write_file(TAKEOVER, "");
	fd = open(TAKEOVER, O_RDONLY | O_CLOEXEC);
	signal(SIGIO, SIG_IGN);
	if (fcntl(fd, F_SETLEASE, F_RDLCK) < 0) {
		close(fd);
		remove_takeover();
		end(lock);
		SKIP("no leases here");
	}
	ck_assert_int_eq(lockfile_pid_trylock(lock), BUSY);
	ck_assert(exists(TAKEOVER));
	close(fd);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	end(lock);
}

static void assert_directory_locked(void)
{
	int fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	ck_assert_int_eq(sys_flock(fd), -EWOULDBLOCK);
	close(fd);
}

TEST_EACH(turn_ends_when_the_name_is_gone, ways)
{
	struct lockfile_pid *lock = begin(_i);

	make_fifo();
	do_before("sys_unlinkat", 1, assert_directory_locked);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(acted, 1);
	end(lock);
}

static const struct {
	const char *call;
	int error;
} failures[] = {
	{ "sys_flock", EINTR },
	{ "sys_flock", ENOLCK },
	{ "sys_unlinkat", EROFS },
	{ "sys_unlinkat", EBUSY },
};

TEST_EACH(failure_to_remove_another_kind_is_told, failures)
{
	for (int i = 0; i < 2; i++) {
		struct lockfile_pid *lock = begin(i);
		int before = count_descriptors();

		make_fifo();
		steer_result(failures[_i].call, 1, -failures[_i].error);
		ck_assert_int_eq(lockfile_pid_trylock(lock), -failures[_i].error);
		ck_assert_int_eq(count_descriptors(), before);
		remove_takeover();
		end(lock);
	}
}

static const int open_errors[] = { EACCES, EMFILE };

TEST_EACH(directory_that_cannot_be_opened_for_a_turn_is_told, open_errors)
{
	for (int i = 0; i < 2; i++) {
		struct lockfile_pid *lock = begin(i);
		int before = count_descriptors();

		make_fifo();
		/* in place of the leftover */
		steer_result("sys_openat", ways[i].open, -open_errors[_i]);
		ck_assert_int_eq(lockfile_pid_trylock(lock), -open_errors[_i]);
		ck_assert_int_eq(steer_count("sys_flock"), 0);
		ck_assert_int_eq(count_descriptors(), before);
		ck_assert_str_eq(list_dir("."), PATH " " TAKEOVER " ");
		remove_takeover();
		end(lock);
	}
}

static const struct {
	const char *call;
	int nth, error;
} file_failures[] = {
	{ "sys_write_lock", 2, ENOLCK },
	{ "sys_unlinkat", 1, EIO },
	{ "sys_openat", 4, EMFILE },
	{ "sys_fstatat", 3, EIO }, /* after two looks at PATH */
};

TEST_EACH(failure_to_clear_a_leftover_is_told, file_failures)
{
	struct lockfile_pid *lock = begin(0);
	int before = count_descriptors();

	write_file(TAKEOVER, "");
	steer_result(file_failures[_i].call, file_failures[_i].nth, -file_failures[_i].error);
	ck_assert_int_eq(lockfile_pid_trylock(lock), -file_failures[_i].error);
	ck_assert_int_eq(count_descriptors(), before);
	remove_takeover();
	end(lock);
}
