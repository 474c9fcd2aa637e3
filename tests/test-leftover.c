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
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#define PATH     "x.pid"
#define TAKEOVER PATH ".takeover"
#define BUSY     LOCKFILE_PID_ERR_BUSY

/* With O_TMPFILE, and without. */
static const struct {
	int error;
} ways[] = { { 0 }, { EOPNOTSUPP } };

/* Of PATH, and then of PATH.takeover. */
#define FIND_TAKEOVER 2

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

/* Regular files that a crash may have left. */

static const struct {
	const char *content;
	mode_t mode;
} leftovers[] = {
	{ "", 0600 },          { "1\n", 0600 },        { "1\n", 0644 }, { "1", 0600 },
	{ "4194304\n", 0600 }, { "0000012345", 0600 }, { "1\n", 0400 },
};

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

/* Our record says whose it is, whatever was written to it. */
TEST_EACH(file_with_our_record_is_removed_whatever_it_holds, ways)
{
	struct record record = forge_dead_record();
	struct lockfile_pid *lock = begin(_i);

	write_file(TAKEOVER, "somebody's data\n");
	forge_attribute(TAKEOVER, &record);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_str_eq(list_dir("."), PATH " ");
	end(lock);
}

/* Somebody's data is left alone, and whoever needs the name is told. */
static const char *const data[] = {
	"somebody's data\n", "x", "0\n", "-1\n", "1\n2\n", "1\n\n", "12345678901", "         1\n",
};

static void assert_told_and_untouched(struct lockfile_pid *lock, int result)
{
	int descriptors = count_descriptors();

	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(lockfile_pid_trylock(lock), result);
		ck_assert_str_eq(list_dir("."), PATH " " TAKEOVER " ");
		ck_assert_int_eq(steer_count("sys_unlinkat"), 0);
	}
	ck_assert_int_eq(lockfile_pid_timedlock(lock, 10), result == BUSY ? -ETIMEDOUT : result);
	ck_assert_str_eq(list_dir("."), PATH " " TAKEOVER " ");
	ck_assert_int_eq(count_descriptors(), descriptors);
}

TEST_EACH(file_that_is_none_of_ours_is_left_alone, data)
{
	for (int i = 0; i < 2; i++) {
		struct lockfile_pid *lock = begin(i);

		write_file(TAKEOVER, data[_i]);
		assert_told_and_untouched(lock, -EEXIST);
		assert_content(TAKEOVER, "%s", data[_i]);
		remove_takeover();
		end(lock);
	}
}

/* cp -a of a lock file */
TEST_EACH(file_with_a_record_of_another_file_is_left_alone, ways)
{
	struct record record = forge_dead_record();
	struct lockfile_pid *lock = begin(_i);

	write_file(TAKEOVER, "somebody's data\n");
	record.inode = 1;
	forge_attribute(TAKEOVER, &record);
	assert_told_and_untouched(lock, -EEXIST);
	remove_takeover();
	end(lock);
}

static const off_t large[] = { 11, 1 << 20 };

TEST_EACH(large_file_is_left_alone, large)
{
	struct lockfile_pid *lock = begin(0);

	write_file(TAKEOVER, "1\n");
	ck_assert_int_eq(truncate(TAKEOVER, large[_i]), 0);
	assert_told_and_untouched(lock, -EEXIST);
	remove_takeover();
	end(lock);
}

TEST_EACH(release_without_a_descriptor_tells_what_is_in_its_way, ways)
{
	struct lockfile_pid *lock = begin(_i);

	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	close(lockfile_pid_fileno(lock));
	write_file(TAKEOVER, "somebody's data\n");
	ck_assert_int_eq(lockfile_pid_unlock(lock), -EEXIST);
	assert_content(TAKEOVER, "somebody's data\n");
	remove_takeover();
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	end(lock);
}

/*
 * A leaked descriptor of the maker, as a process made by clone(2) has, keeps byte 0
 * locked.  The record tells whether the maker lives.
 */
static void unchanged(struct record *record)
{
	(void)record;
}

static void reuse_pid(struct record *record)
{
	record->owner.start--;
	record->owner.pidfd_inode -= record->owner.pidfd_inode != 0;
}

static void live_elsewhere(struct record *record)
{
	record->owner.pid_namespace++;
}

static void hide_namespace(struct record *record)
{
	record->owner.pid_namespace = 0;
}

static void hide_boot(struct record *record)
{
	memset(record->owner.boot, 0, BOOT_ID_SIZE);
}

/* Its maker is another process, which nobody knows. */
static void be_for_owner(struct record *record)
{
	record->for_owner = true;
}

static void be_copied(struct record *record)
{
	record->inode = 1;
}

#define NFS 0x6969UL

static const struct {
	struct record (*make)(void);
	void (*change)(struct record *record);
	unsigned long file_system;
	bool no_attribute;
	bool cleared;
} makers_of[] = {
	{ forge_dead_record, unchanged, 0, false, true },
	{ forge_zombie_record, unchanged, 0, false, true },
	{ forge_living_record, reuse_pid, 0, false, true },
	{ forge_dead_record, hide_boot, 0, false, true },
	{ forge_living_record, unchanged, 0, false, false },
	{ forge_own_record, unchanged, 0, false, false },
	/* a living maker in another PID namespace may have this number */
	{ forge_dead_record, live_elsewhere, 0, false, false },
	{ forge_dead_record, hide_namespace, 0, false, false },
	{ forge_dead_record, be_copied, 0, false, false },
	{ forge_dead_record, be_for_owner, 0, false, false },
	/* the content is written first */
	{ forge_dead_record, unchanged, 0, true, false },
	/* its rename may still arrive */
	{ forge_dead_record, unchanged, NFS, false, false },
};

TEST_EACH(leaked_descriptor_of_a_dead_maker_blocks_nobody, makers_of)
{
	for (int i = 0; i < 2; i++) {
		struct record record = makers_of[_i].make();
		struct lockfile_pid *lock = begin(i);
		int fd;

		makers_of[_i].change(&record);
		forge_foreign(TAKEOVER, record.owner.pid);
		if (!makers_of[_i].no_attribute)
			forge_attribute(TAKEOVER, &record);
		fd = forge_lock(TAKEOVER);
		/* PATH is stale by another rule there */
		if (makers_of[_i].file_system) {
			write_file(PATH, "x");
			steer_file_system(makers_of[_i].file_system);
		}
		if (makers_of[_i].cleared) {
			ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
			ck_assert_str_eq(list_dir("."), PATH " ");
		} else {
			assert_busy_and_untouched(lock);
			remove_takeover();
		}
		close(fd);
		end(lock);
		forge_end();
	}
}

/* Who clears has byte 1, whichever rule says that the maker is gone. */

static void assert_byte_1_is_locked(void)
{
	int fd = open(TAKEOVER, O_RDWR | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(sys_is_byte_locked(fd, 1), 1);
	close(fd);
}

TEST_EACH(byte_1_is_locked_while_the_name_is_removed, ways)
{
	for (int leaked = 0; leaked < 2; leaked++) {
		struct record record = forge_dead_record();
		struct lockfile_pid *lock = begin(_i);
		int fd = -1;

		forge_file(TAKEOVER, &record);
		if (leaked)
			fd = forge_lock(TAKEOVER);
		do_before("sys_unlinkat", 1, assert_byte_1_is_locked);
		ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
		ck_assert_int_eq(acted, 1);
		if (fd >= 0)
			close(fd);
		end(lock);
	}
}

TEST_EACH(one_that_is_cleared_by_another_is_busy, ways)
{
	struct record record = forge_dead_record();
	struct lockfile_pid *lock = begin(_i);
	int maker, clearer;

	forge_file(TAKEOVER, &record);
	maker = forge_lock(TAKEOVER);
	clearer = open(TAKEOVER, O_RDWR | O_CLOEXEC);
	ck_assert_int_eq(sys_lock_byte(clearer, F_WRLCK, 1), 0);
	assert_busy_and_untouched(lock);
	close(clearer);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	close(maker);
	end(lock);
}

static int leaked_fd;

static void leak_descriptor(void)
{
	leaked_fd = dup(steer_call()->fd);
}

/* clone(2) copies the descriptor of one that clears, and that one goes on. */
TEST_EACH(leaked_descriptor_of_one_that_cleared_locks_nothing, ways)
{
	struct lockfile_pid *lock = begin(_i);
	int maker, fd;

	write_file(TAKEOVER, "");
	maker = forge_lock(TAKEOVER);
	acted = 0;
	between = leak_descriptor;
	steer_after("sys_lock_byte", 1, act, NULL);
	assert_busy_and_untouched(lock);
	ck_assert_int_eq(acted, 1);
	close(maker);
	fd = open(TAKEOVER, O_RDWR | O_CLOEXEC);
	ck_assert_int_eq(sys_is_byte_locked(fd, 0), 0);
	ck_assert_int_eq(sys_is_byte_locked(fd, 1), 0);
	close(fd);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	close(leaked_fd);
	end(lock);
}

/* A program may have been executed by mistake. */
TEST_EACH(file_that_is_being_executed_is_busy, ways)
{
	struct lockfile_pid *lock = begin(_i);

	write_file(TAKEOVER, "");
	steer_result("sys_reopen", FIND_TAKEOVER, -ETXTBSY);
	ck_assert_int_eq(lockfile_pid_trylock(lock), BUSY);
	ck_assert(exists(TAKEOVER));
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	end(lock);
}

/* A stranger's file in a sticky directory: root does not touch it either. */
TEST_EACH(file_of_a_stranger_in_a_sticky_directory_is_not_for_root_to_touch, ways)
{
	struct lockfile_pid *lock;
	int fd;

	SKIP_UNLESS_ROOT();
	lock = begin(_i);
	ck_assert_int_eq(chmod(".", 01777), 0);
	write_file(TAKEOVER, "");
	ck_assert_int_eq(chown(TAKEOVER, 65533, 65533), 0);
	assert_told_and_untouched(lock, -EPERM);
	ck_assert_int_eq(steer_count("sys_lock_byte"), 0);
	fd = forge_lock(TAKEOVER);
	assert_told_and_untouched(lock, BUSY);
	close(fd);
	/* that of the directory's owner is */
	ck_assert_int_eq(chown(".", 65533, 65533), 0);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(chown(".", 0, 0), 0);
	ck_assert_int_eq(chmod(".", 0755), 0);
	end(lock);
}

static const struct {
	const char *call;
	int nth;
} looks_at_a_stranger[] = {
	{ "sys_fstatat", 3 }, /* of the directory, after two of links */
	{ "sys_is_write_locked", 2 },
};

TEST_EACH(failure_to_look_at_a_strangers_file_is_told, looks_at_a_stranger)
{
	struct lockfile_pid *lock;
	int before;

	SKIP_UNLESS_ROOT();
	lock = begin(0);
	before = count_descriptors();
	ck_assert_int_eq(chmod(".", 01777), 0);
	write_file(TAKEOVER, "");
	ck_assert_int_eq(chown(TAKEOVER, 65533, 65533), 0);
	steer_result(looks_at_a_stranger[_i].call, looks_at_a_stranger[_i].nth, -EIO);
	ck_assert_int_eq(lockfile_pid_trylock(lock), -EIO);
	ck_assert_int_eq(count_descriptors(), before);
	ck_assert_int_eq(chmod(".", 0755), 0);
	remove_takeover();
	end(lock);
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

/* Byte 0 of the stale one; a prepared file without a name was locked before. */
TEST_EACH(name_that_leads_elsewhere_when_we_have_the_lock_is_kept, ways)
{
	struct lockfile_pid *lock = begin(_i);

	write_file(TAKEOVER, "1\n");
	do_before("sys_lock_byte", 1, be_made_anew);
	assert_busy_and_untouched(lock);
	ck_assert_int_eq(acted, 1);
	ck_assert_int_eq(steer_count("sys_unlinkat"), 0);
	close(their_fd);
	remove_takeover();
	end(lock);
}

/* What is no regular file is none of ours. */

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

TEST_EACH(other_kinds_are_left_alone_unopened, makers)
{
	for (int i = 0; i < 2; i++) {
		struct lockfile_pid *lock = begin(i);

		makers[_i]();
		steer_watch_opens(TAKEOVER);
		ck_assert_int_eq(lockfile_pid_trylock(lock), -EEXIST);
		/* the prepared file itself, where it has that name from the start: in vain */
		ck_assert_int_eq(steer_opens(), ways[i].error ? 1 : 0);
		assert_told_and_untouched(lock, -EEXIST);
		remove_takeover();
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

static const struct {
	const char *call;
	int nth, result;
} moments[] = {
	/* it is what it is found as */
	{ "sys_open_path", FIND_TAKEOVER, -EEXIST },
	/* what was found is opened, and the name leads elsewhere by then: look again */
	{ "sys_reopen", FIND_TAKEOVER, -EEXIST },
	{ "sys_lock_byte", 1, -EEXIST },
};

TEST_EACH(file_that_becomes_another_kind, moments)
{
	for (size_t j = 0; j < 2 * sizeof(makers) / sizeof(makers[0]); j++) {
		int victim = watch_victim();
		struct lockfile_pid *lock = begin(j % 2);

		write_file(TAKEOVER, "1\n");
		becomes = makers[j / 2];
		do_before(moments[_i].call, moments[_i].nth, become_other);
		ck_assert_int_eq(lockfile_pid_trylock(lock), moments[_i].result);
		ck_assert_int_eq(acted, 1);
		assert_victim_untouched(victim);
		ck_assert_str_eq(list_dir("."), PATH " " TAKEOVER " ");
		remove_takeover();
		end(lock);
	}
}

TEST_EACH(file_that_vanishes_before_it_is_opened, ways)
{
	struct lockfile_pid *lock = begin(_i);

	write_file(TAKEOVER, "1\n");
	do_before("sys_reopen", FIND_TAKEOVER, remove_takeover);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(acted, 1);
	end(lock);
}

/*
 * Without /proc a file is opened by its name, but only where no stranger can have changed
 * what that leads to.
 */
static const struct {
	mode_t mode;
	uid_t directory, file;
	int result;
} without_proc[] = {
	{ 0755, 0, 0, 0 },         { 0755, 0, 65533, 0 },     { 01777, 0, 0, 0 },
	{ 0777, 0, 0, BUSY },      { 0775, 0, 0, BUSY },      { 0755, 65533, 0, BUSY },
	{ 01777, 65533, 0, BUSY }, { 01777, 0, 65533, BUSY },
};

TEST_EACH(file_is_opened_by_name_only_where_names_are_safe, without_proc)
{
	struct lockfile_pid *lock;

	SKIP_UNLESS_ROOT();
	lock = begin(0);
	write_file(TAKEOVER, "");
	ck_assert_int_eq(chown(TAKEOVER, without_proc[_i].file, 0), 0);
	ck_assert_int_eq(chown(".", without_proc[_i].directory, 0), 0);
	ck_assert_int_eq(chmod(".", without_proc[_i].mode), 0);
	write_file(PATH, "x");
	ck_assert_int_eq(chown(PATH, without_proc[_i].file, 0), 0);
	steer_result("sys_reopen", EVERY, -ENOENT);
	ck_assert_int_eq(lockfile_pid_trylock(lock), without_proc[_i].result);
	ck_assert_int_eq(chown(".", 0, 0), 0);
	ck_assert_int_eq(chmod(".", 0755), 0);
	unlink(TAKEOVER);
	end(lock);
}

TEST(directory_that_cannot_be_looked_at_is_not_safe)
{
	struct lockfile_pid *lock = begin(0);

	write_file(PATH, "x");
	steer_result("sys_reopen", EVERY, -ENOENT);
	/* after one look at what the link led to */
	steer_result("sys_fstatat", 2, -EIO);
	ck_assert_int_eq(lockfile_pid_trylock(lock), BUSY);
	end(lock);
}

static const char *const swaps[] = { "sys_openat", "sys_fstatat" };

static void become_newer_file(void)
{
	remove_takeover();
	write_file("new", "somebody's data\n");
	ck_assert_int_eq(rename("new", TAKEOVER), 0);
}

/* Root can swap it even there, and then another file is not taken for what was found. */
TEST_EACH(file_that_was_swapped_before_it_is_opened_by_name_is_not_touched, swaps)
{
	struct lockfile_pid *lock = begin(0);

	write_file(TAKEOVER, "");
	write_file(PATH, "x");
	steer_result("sys_reopen", EVERY, -ENOENT);
	/* of PATH.takeover: a prepared file, the directory and PATH are opened before */
	do_before(swaps[_i], 4, become_newer_file);
	ck_assert_int_eq(lockfile_pid_trylock(lock), -EEXIST);
	ck_assert_int_eq(acted, 1);
	assert_content(TAKEOVER, "somebody's data\n");
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

static const struct {
	const char *call;
	int nth, error;
} file_failures[] = {
	{ "sys_open_path", FIND_TAKEOVER, EIO },
	{ "sys_open_path", FIND_TAKEOVER, EMFILE },
	{ "sys_fstat", 3, EIO }, /* of the prepared file, of PATH, and then of this */
	{ "sys_reopen", FIND_TAKEOVER, EIO },
	{ "sys_reopen", FIND_TAKEOVER, EPERM },
	{ "sys_reopen", FIND_TAKEOVER, EMFILE },
	{ "sys_lock_byte", 1, ENOLCK },
	{ "sys_fgetxattr", 2, EIO },
	{ "sys_pread", 2, EIO },
	{ "sys_write_lock", 2, ENOLCK },
	{ "sys_fstatat", 3, EIO }, /* after two of links */
	{ "sys_unlinkat", 1, EIO },
};

TEST_EACH(failure_to_clear_a_leftover_is_told, file_failures)
{
	struct lockfile_pid *lock = begin(0);
	int before = count_descriptors();

	write_file(TAKEOVER, "");
	steer_result(file_failures[_i].call, file_failures[_i].nth, -file_failures[_i].error);
	ck_assert_int_eq(lockfile_pid_trylock(lock), -file_failures[_i].error);
	ck_assert_int_eq(count_descriptors(), before);
	ck_assert(exists(TAKEOVER));
	remove_takeover();
	end(lock);
}

/* Nothing was looked at before that asks who we are: the path is free, and nothing was made. */
TEST(who_cannot_look_itself_up_clears_nothing)
{
	int before = count_descriptors();
	struct lockfile_pid *lock;

	steer_reset();
	ck_assert_int_eq(lockfile_pid_new(&lock, PATH), 0);
	write_file(TAKEOVER, "");
	steer_no_tmpfile(EOPNOTSUPP);
	steer_result("sys_pidfd_open", 1, -EMFILE);
	ck_assert_int_eq(lockfile_pid_trylock(lock), -EMFILE);
	ck_assert_str_eq(list_dir("."), TAKEOVER " ");
	ck_assert_int_eq(count_descriptors(), before);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_str_eq(list_dir("."), PATH " ");
	end(lock);
}
