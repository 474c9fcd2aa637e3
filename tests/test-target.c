/* SPDX-License-Identifier: BSD-2-Clause */
/* Which process gets a signal, while the lock and the PID go from one to another. */
#include <config.h>

#include "container.h"
#include "filter.h"
#include "forge.h"
#include "steer.h"
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <lockfile-pid.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#ifndef SYS_openat2
#define SYS_openat2 437
#endif

#define PATH  "x.pid"
#define DEAD  LOCKFILE_PID_ERR_PROCESS_DEAD
#define ROGUE LOCKFILE_PID_ERR_ROGUE_DELETION

#define NFS 0x6969UL

#define STRANGER 65533

static struct holder first, second;

static int send_to_holder(int number)
{
	struct lockfile_pid *lock = new_lock(PATH);
	int r = lockfile_pid_signal(lock, number);

	lockfile_pid_free(lock);
	return r;
}

static void begin(void)
{
	skip_without_pidfds();
	first = holder_start(PATH);
	second = holder_start(PATH);
	ck_assert_int_eq(holder_do(&first, "trylock"), 0);
	steer_reset();
}

static void end(void)
{
	steer_reset();
	holder_end(&first);
	holder_end(&second);
	assert_nothing_left();
}

/* The lock goes from one process to another */

static void pass_on(void *unused)
{
	(void)unused;
	ck_assert_int_eq(holder_do(&first, "unlock"), 0);
	ck_assert_int_eq(holder_do(&second, "trylock"), 0);
}

static void release(void *unused)
{
	(void)unused;
	ck_assert_int_eq(holder_do(&first, "unlock"), 0);
}

static void release_and_lock(void *unused)
{
	release(unused);
	ck_assert_int_eq(holder_do(&first, "trylock"), 0);
}

static void replace_by_hand(void *unused)
{
	(void)unused;
	forge_foreign("new", first.pid);
	ck_assert_int_eq(rename("new", PATH), 0);
}

static const struct {
	void (*event)(void *);
	int result;
	bool second; /* the holder then */
} events[] = { { pass_on, 0, true }, { release, ROGUE, false }, { release_and_lock, 0, false } };

/* After the first look, that is, when the pidfd of the first holder is opened. */
TEST_EACH(a_process_that_has_released_the_lock_gets_no_signal, events)
{
	struct lockfile_pid *lock;

	begin();
	lock = new_lock(PATH);
	ck_assert_int_eq(lockfile_pid_signal(lock, 0), 0);
	ck_assert_int_gt(steer_count("sys_pidfd_open"), 0);
	ck_assert_int_eq(steer_count("sys_pidfd_send_signal"), 1);
	steer_reset();
	steer_before("sys_fgetxattr", 2, events[_i].event, NULL);
	ck_assert_int_eq(lockfile_pid_signal(lock, 0), events[_i].result);
	ck_assert_int_eq(steer_count("sys_pidfd_send_signal"), events[_i].result == 0);
	ck_assert_int_eq(lockfile_pid_holder(lock), events[_i].result < 0 ? 0 :
	                                            events[_i].second     ? second.pid :
	                                                                    first.pid);
	lockfile_pid_free(lock);
	end();
}

/* Each look at a process opens it; the first of all is one at ourselves. */
static int looks_at_processes(void (*event)(void *))
{
	steer_reset();
	if (event)
		steer_before("sys_fgetxattr", 2, event, NULL);
	ck_assert_int_eq(send_to_holder(0), 0);
	ck_assert_int_eq(steer_count("sys_pidfd_send_signal"), 1);
	return steer_count("sys_pidfd_open");
}

TEST(a_file_that_names_the_same_process_is_another_lock)
{
	int looks;

	begin();
	looks_at_processes(NULL);
	looks = looks_at_processes(NULL);
	/* all of it begins again */
	ck_assert_int_gt(looks_at_processes(replace_by_hand), looks);
	steer_reset();
	ck_assert_int_eq(unlink(PATH), 0);
	end();
}

static void pass_back_and_forth(void *unused)
{
	static int times;
	struct holder *from = times % 2 == 0 ? &first : &second;
	struct holder *to = times++ % 2 == 0 ? &second : &first;

	(void)unused;
	ck_assert_int_eq(holder_do(from, "unlock"), 0);
	ck_assert_int_eq(holder_do(to, "trylock"), 0);
}

/* At each look of the first kind it is held by another. */
TEST(a_lock_that_changes_hands_all_the_time_is_eagain)
{
	begin();
	steer_before("sys_geteuid", EVERY, pass_back_and_forth, NULL);
	ck_assert_int_eq(send_to_holder(SIGKILL), -EAGAIN);
	ck_assert_int_eq(steer_count("sys_pidfd_send_signal"), 0);
	end();
}

/* The process ends */

static void kill_first(void *unused)
{
	(void)unused;
	holder_kill(&first);
}

TEST(a_process_that_ends_at_the_last_moment_is_dead)
{
	begin();
	steer_before("sys_pidfd_send_signal", 1, kill_first, NULL);
	ck_assert_int_eq(send_to_holder(SIGKILL), DEAD);
	steer_reset();
	unlink(PATH);
	holder_end(&second);
}

static const int gone[] = { -ESRCH, -EINVAL, -ENOENT };

TEST_EACH(a_number_that_is_no_process_any_more_is_dead, gone)
{
	begin();
	looks_at_processes(NULL);
	steer_reset();
	/* the first is to tell whether it is held */
	steer_result("sys_pidfd_open", 2, gone[_i]);
	ck_assert_int_eq(send_to_holder(SIGKILL), DEAD);
	end();
}

/* The PID is another process's */

/* A lock file that a child may adopt is held whatever became of the process. */
static int hold_with_record(const struct record *record)
{
	skip_without_pidfds();
	forge_file(PATH, record);
	return forge_lock(PATH);
}

static void other_process(struct owner *owner)
{
	owner->start--;
	owner->pidfd_inode -= owner->pidfd_inode != 0;
}

static void other_process_by_start(struct owner *owner)
{
	owner->start--;
	owner->pidfd_inode = 0;
}

static void other_process_by_inode(struct owner *owner)
{
	owner->pidfd_inode--;
	owner->start = 0;
}

static void same_process_by_start(struct owner *owner)
{
	owner->pidfd_inode = 0;
}

static void unknown_process(struct owner *owner)
{
	owner->pidfd_inode = 0;
	owner->start = 0;
}

static void other_pids(struct owner *owner)
{
	owner->pid_namespace++;
}

static void hide_boot(struct owner *owner)
{
	memset(owner->boot, 0, sizeof(owner->boot));
}

static void nothing(struct owner *owner)
{
	(void)owner;
}

static const struct {
	void (*change)(struct owner *owner);
	bool inheritable;
	int result;
} records[] = {
	{ nothing, true, 0 },
	{ nothing, false, 0 },
	{ same_process_by_start, true, 0 },
	{ same_process_by_start, false, 0 },
	{ other_process, true, DEAD },
	{ other_process, false, DEAD },
	{ other_process_by_start, true, DEAD },
	{ other_process_by_inode, true, DEAD },
	/* for a lock that is alive enough, but not for a signal */
	{ unknown_process, true, -ESRCH },
	{ unknown_process, false, -ESRCH },
	{ other_pids, true, -ESRCH },
	{ other_pids, false, -ESRCH },
	/* the kernel lock is of this boot */
	{ hide_boot, true, 0 },
	{ hide_boot, false, 0 },
};

TEST_EACH(only_the_recorded_process_gets_the_signal, records)
{
	struct record record = forge_living_record();
	int fd;

	if (records[_i].change == other_process_by_inode && record.owner.pidfd_inode == 0)
		SKIP("no pidfs here");
	record.inheritable = records[_i].inheritable;
	records[_i].change(&record.owner);
	fd = hold_with_record(&record);
	steer_reset();
	ck_assert_int_eq(send_to_holder(0), records[_i].result);
	ck_assert_int_eq(steer_count("sys_pidfd_send_signal"), records[_i].result == 0);
	ck_assert_int_eq(steer_count("sys_kill"), 0);
	steer_reset();
	close(fd);
	unlink(PATH);
	forge_end();
}

/*
 * Its boot ID was hidden.  With a kernel lock it is of this boot, as the table above has it.
 * Without one, the record may be of an earlier boot, of which a process had the same numbers.
 */
static void (*const boots[])(struct owner *) = { nothing, other_process_by_start };

static struct record record_of_hidden_boot(int row)
{
	struct record record = forge_living_record();

	boots[row](&record.owner);
	hide_boot(&record.owner);
	return record;
}

TEST_EACH(a_process_of_a_boot_that_is_not_known_gets_no_signal, boots)
{
	struct record record = record_of_hidden_boot(_i);
	int r;

	skip_without_pidfds();
	skip_without_attributes();
	forge_file(PATH, &record);
	steer_reset();
	r = send_to_holder(SIGKILL);
	ck_assert_int_eq(steer_count("sys_pidfd_send_signal"), 0);
	ck_assert(r == -ESRCH || (r == DEAD && boots[_i] != nothing));
	steer_reset();
	unlink(PATH);
	forge_end();
}

/* There it may be of another machine, which the kernel lock does not tell. */
TEST(a_process_of_a_boot_that_is_not_known_on_a_network_file_system_gets_no_signal)
{
	struct record record = forge_living_record();
	int fd;

	hide_boot(&record.owner);
	fd = hold_with_record(&record);
	steer_reset();
	steer_file_system(NFS);
	ck_assert_int_eq(send_to_holder(SIGKILL), -ESRCH);
	ck_assert_int_eq(steer_count("sys_pidfd_send_signal"), 0);
	steer_reset();
	close(fd);
	unlink(PATH);
	forge_end();
}

/* Of a kernel before pidfs, and without /proc nothing can be compared. */
TEST(without_pidfs_the_time_of_start_tells_and_without_proc_nothing)
{
	struct record record = forge_living_record();
	int fd;

	fd = hold_with_record(&record);
	steer_reset();
	steer_no_pidfs();
	ck_assert_int_eq(send_to_holder(0), 0);
	steer_result("sys_openat", EVERY, -ENOENT);
	ck_assert_int_lt(send_to_holder(0), 0);
	ck_assert_int_eq(steer_count("sys_pidfd_send_signal"), 1);
	steer_reset();
	close(fd);
	unlink(PATH);
	forge_end();
}

/* The same inode, but by now another program's content */
static void write_other_content(void *unused)
{
	char content[16];

	(void)unused;
	snprintf(content, sizeof(content), "%d\n", (int)second.pid);
	write_file(PATH, content);
}

TEST(content_that_changes_is_looked_at_again)
{
	begin();
	steer_before("sys_fgetxattr", 2, write_other_content, NULL);
	ck_assert_int_eq(send_to_holder(SIGTERM), 0);
	steer_reset();
	/* a file of the first holder with other content is a third party's, and locked */
	ck_assert_int_eq(waitpid(second.pid, NULL, 0), second.pid);
	ck_assert_int_eq(kill(first.pid, 0), 0);
	unlink(PATH);
	holder_end(&first);
}

/* The record is gone, or another's, when the process is to be compared with it. */
static struct record other_record;

static void remove_record(void *unused)
{
	(void)unused;
	ck_assert_int_eq(removexattr(PATH, RECORD_ATTRIBUTE), 0);
}

static void write_other_record(void *unused)
{
	(void)unused;
	forge_attribute(PATH, &other_record);
}

static void (*const changes_of_record[])(void *) = { remove_record, write_other_record };

TEST_EACH(a_record_that_changes_is_looked_at_again, changes_of_record)
{
	skip_without_attributes();
	other_record = forge_living_record();
	begin();
	looks_at_processes(NULL);
	steer_reset();
	steer_before("sys_fgetxattr", 2, changes_of_record[_i], NULL);
	ck_assert_int_eq(send_to_holder(0), 0);
	ck_assert_int_eq(steer_count("sys_pidfd_send_signal"), 1);
	/* at first, then again, and before the signal */
	ck_assert_int_eq(steer_count("sys_open_path"), 3);
	end();
	forge_end();
}

/* Without openat2(2) a file that is mounted on PATH is looked at: it is another. */
static void mount_other(void *unused)
{
	(void)unused;
	REQUIRE(mount("other/x", PATH, "none", MS_BIND, "") == 0);
}

static void signal_past_a_mount(void *unused)
{
	const struct refusal openat2 = { SYS_openat2, 0, ENOSYS, WHATEVER_IT_IS, 0, 0 };
	int r = refuse(&openat2, 1);

	(void)unused;
	if (r < 0)
		_exit(-r);
	steer_before("sys_open_path", 2, mount_other, NULL);
	REQUIRE(send_to_holder(0) == 0);
	REQUIRE(steer_count("sys_pidfd_send_signal") == 1);
	REQUIRE(steer_count("sys_open_path") == 4);
}

TEST(a_file_of_another_device_is_another_lock)
{
	char content[16];
	int r;

	private_mounts();
	begin();
	mount_tmpfs("other", "size=1m");
	snprintf(content, sizeof(content), "%d\n", (int)first.pid);
	write_file("other/x", content);
	r = in_child(signal_past_a_mount, NULL);
	if (r <= 1)
		unmount(PATH);
	unmount("other");
	ck_assert_int_eq(rmdir("other"), 0);
	end();
	if (r > 1)
		SKIP("cannot filter system calls: error %d", r);
	ck_assert_int_eq(r, 0);
}

/* Of a caller that is neither root nor the user of the process. */
TEST(a_file_of_the_callers_user_is_trusted)
{
	SKIP_UNLESS_ROOT();
	begin();
	ck_assert_int_eq(chown(PATH, STRANGER, STRANGER), 0);
	ck_assert_int_eq(send_to_holder(0), -EPERM);
	steer_result("sys_geteuid", EVERY, STRANGER);
	ck_assert_int_eq(send_to_holder(0), 0);
	end();
}

TEST(a_directory_of_the_callers_user_is_trusted)
{
	SKIP_UNLESS_ROOT();
	begin();
	ck_assert_int_eq(chown(".", STRANGER, STRANGER), 0);
	ck_assert_int_eq(send_to_holder(0), -EPERM);
	steer_result("sys_geteuid", EVERY, STRANGER);
	ck_assert_int_eq(send_to_holder(0), 0);
	steer_reset();
	ck_assert_int_eq(chown(".", 0, 0), 0);
	end();
}

/* On another machine a PID means nothing. */
TEST(a_third_party_file_on_a_network_file_system_names_nobody_here)
{
	pid_t pid = idle_child();

	skip_without_pidfds();
	forge_foreign(PATH, pid);
	steer_reset();
	ck_assert_int_eq(send_to_holder(0), 0);
	steer_file_system(NFS);
	ck_assert_int_eq(send_to_holder(SIGKILL), -ESRCH);
	ck_assert_int_eq(steer_count("sys_pidfd_send_signal"), 1);
	steer_reset();
	kill_child(pid);
	unlink(PATH);
}

/* By another program, and with a kernel lock, it is held whatever became of the process. */
TEST(the_process_of_a_locked_third_party_file_must_live)
{
	struct record zombie = forge_zombie_record();
	int fd;

	skip_without_pidfds();
	forge_foreign(PATH, zombie.owner.pid);
	fd = forge_lock(PATH);
	steer_reset();
	ck_assert_int_eq(send_to_holder(0), DEAD);
	ck_assert_int_eq(steer_count("sys_pidfd_send_signal"), 0);
	steer_reset();
	close(fd);
	unlink(PATH);
	forge_end();
}

/* It ends, and another process is given its PID, after it was opened. */
static struct container same_pid;

static void give_pid_to_another(void *unused)
{
	(void)unused;
	kill_child(same_pid.pid);
	ck_assert_int_eq(container_idle(&same_pid), same_pid.pid);
}

static void end_third_party(void *unused)
{
	(void)unused;
	kill_child(same_pid.pid);
}

static const struct {
	void (*make_rule)(const char *, int, void (*)(void *), void *);
	const char *call;
	int nth;
} moments[] = { { steer_after, "sys_pidfd_open", 2 },
	        { steer_before, "sys_pidfd_send_signal", 1 } };

TEST_EACH(a_process_that_is_given_the_pid_of_a_third_party_gets_no_signal, moments)
{
	skip_without_pidfds();
	skip_if_shared();
	same_pid.pid = idle_child();
	kill_child(same_pid.pid);
	/* or the test is skipped */
	ck_assert_int_eq(container_idle(&same_pid), same_pid.pid);
	forge_foreign(PATH, same_pid.pid);
	ck_assert_int_eq(send_to_holder(0), 0);
	steer_reset();
	moments[_i].make_rule(moments[_i].call, moments[_i].nth, give_pid_to_another, NULL);
	ck_assert_int_eq(send_to_holder(SIGKILL), DEAD);
	steer_reset();
	ck_assert_int_eq(waitpid(same_pid.pid, NULL, WNOHANG), 0);
	kill_child(same_pid.pid);
	unlink(PATH);
}

TEST(a_third_party_process_that_ends_at_the_last_moment_is_dead)
{
	skip_without_pidfds();
	skip_if_shared();
	same_pid.pid = idle_child();
	forge_foreign(PATH, same_pid.pid);
	steer_reset();
	steer_before("sys_pidfd_send_signal", 1, end_third_party, NULL);
	ck_assert_int_eq(send_to_holder(SIGKILL), DEAD);
	steer_reset();
	unlink(PATH);
}

/* Errors */

static const struct {
	const char *call;
	int nth, result, expected;
} errors[] = {
	{ "sys_openat", 1, -EMFILE, -EMFILE },
	/* both looks at the file, its record, and whose it and its directory are */
	{ "sys_open_path", 1, -EIO, -EIO },
	{ "sys_open_path", 2, -EIO, -EIO },
	{ "sys_fgetxattr", 2, -EIO, -EIO },
	{ "sys_fstat", 2, -EIO, -EIO },
	{ "sys_fstat", 3, -EIO, -EIO },
	{ "sys_pidfd_open", 2, -EMFILE, -EMFILE },
	{ "sys_pidfd_open", 2, -ENOSYS, -ENOSYS },
	{ "sys_pidfd_open", 2, -EPERM, -ENOSYS },
	{ "sys_pidfd_open", 2, -EACCES, -ENOSYS },
	{ "sys_pidfd_send_signal", 1, -EPERM, -EPERM },
	{ "sys_pidfd_send_signal", 1, -EACCES, -EPERM },
	/* what is refused for ourselves, too, is refused by a filter */
	{ "sys_pidfd_send_signal", EVERY, -EPERM, -ENOSYS },
	{ "sys_pidfd_send_signal", EVERY, -EACCES, -ENOSYS },
	{ "sys_pidfd_send_signal", 1, -ENOSYS, -ENOSYS },
	{ "sys_pidfd_send_signal", 1, -ESRCH, DEAD },
};

TEST_EACH(an_error_is_told_and_nothing_is_left_open, errors)
{
	struct lockfile_pid *lock;
	int descriptors;

	begin();
	lock = new_lock(PATH);
	ck_assert_int_eq(lockfile_pid_signal(lock, 0), 0);
	descriptors = count_descriptors();
	steer_reset();
	/* or a pidfd would be asked for its inode as well */
	steer_no_pidfs();
	steer_result(errors[_i].call, errors[_i].nth, errors[_i].result);
	ck_assert_int_eq(lockfile_pid_signal(lock, SIGKILL), errors[_i].expected);
	ck_assert_int_eq(count_descriptors(), descriptors);
	lockfile_pid_free(lock);
	end();
}

/* A filter would be told by a signal to ourselves, for which there is no descriptor. */
TEST(without_a_descriptor_to_tell_a_filter_it_is_eperm)
{
	int looks, r;

	begin();
	send_to_holder(0);
	steer_reset();
	steer_result("sys_pidfd_send_signal", EVERY, -EPERM);
	ck_assert_int_eq(send_to_holder(SIGKILL), -ENOSYS);
	ck_assert_int_eq(steer_count("sys_pidfd_send_signal"), 2);
	looks = steer_count("sys_pidfd_open");
	steer_reset();
	steer_result("sys_pidfd_send_signal", EVERY, -EPERM);
	steer_result("sys_pidfd_open", looks, -EMFILE);
	r = send_to_holder(SIGKILL);
	ck_assert_int_eq(steer_count("sys_pidfd_send_signal"), 1);
	ck_assert_int_eq(r, -EPERM);
	end();
}
