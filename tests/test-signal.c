/* SPDX-License-Identifier: BSD-2-Clause */
/* A signal to the holder, and to nobody else. */
#include <config.h>

#include "filter.h"
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <lockfile-pid.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define PATH  "x.pid"
#define DEAD  LOCKFILE_PID_ERR_PROCESS_DEAD
#define ROGUE LOCKFILE_PID_ERR_ROGUE_DELETION

#define USER     65533
#define OVERFLOW 65534

static int send_to(const char *path, int number)
{
	struct lockfile_pid *lock = new_lock(path);
	int r = lockfile_pid_signal(lock, number);

	lockfile_pid_free(lock);
	return r;
}

static int send_to_holder(int number)
{
	return send_to(PATH, number);
}

/* Which signal ended it? */
static int end_of(pid_t pid)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void end_held_by(struct holder *holder)
{
	ck_assert_int_eq(holder_do(holder, "verify"), 0);
	holder_end(holder);
}

static void write_pid(pid_t pid)
{
	char content[16];

	snprintf(content, sizeof(content), "%d\n", (int)pid);
	write_file(PATH, content);
}

static const int signals[] = { SIGTERM, SIGKILL, SIGHUP, SIGUSR1 };

TEST_EACH(the_holder_gets_the_signal, signals)
{
	struct holder holder = holder_start(PATH);
	struct lockfile_pid *lock = new_lock(PATH);

	skip_without_pidfds();
	ck_assert_int_eq(holder_do(&holder, "trylock"), 0);
	ck_assert_int_eq(lockfile_pid_signal(lock, signals[_i]), 0);
	ck_assert_int_eq(lockfile_pid_holder(lock), holder.pid);
	ck_assert_int_eq(end_of(holder.pid), signals[_i]);
	/* and then there is nobody any more */
	ck_assert_int_eq(lockfile_pid_signal(lock, signals[_i]), DEAD);
	lockfile_pid_free(lock);
	unlink(PATH);
}

TEST(signal_0_only_asks)
{
	struct holder holder = holder_start(PATH);
	int descriptors = count_descriptors();

	skip_without_pidfds();
	ck_assert_int_eq(send_to_holder(0), ROGUE);
	ck_assert_int_eq(holder_do(&holder, "trylock"), 0);
	ck_assert_int_eq(send_to_holder(0), 0);
	ck_assert_int_eq(count_descriptors(), descriptors);
	end_held_by(&holder);
	ck_assert_int_eq(send_to_holder(0), ROGUE);
}

static const int no_signals[] = { -1, 100000 };

TEST_EACH(what_is_no_signal_is_einval, no_signals)
{
	struct holder holder = holder_start(PATH);

	skip_without_pidfds();
	ck_assert_int_eq(holder_do(&holder, "trylock"), 0);
	ck_assert_int_eq(send_to_holder(no_signals[_i]), -EINVAL);
	end_held_by(&holder);
}

static volatile sig_atomic_t got;

static void count(int number)
{
	(void)number;
	got++;
}

TEST(a_holder_can_signal_itself)
{
	struct lockfile_pid *lock = new_lock(PATH);

	skip_without_pidfds();
	signal(SIGUSR1, count);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(lockfile_pid_signal(lock, SIGUSR1), 0);
	ck_assert_int_eq(got, 1);
	lockfile_pid_free(lock);
}

TEST(who_waits_can_signal_the_holder)
{
	struct holder holder = holder_start(PATH);
	struct lockfile_pid *lock = new_lock(PATH);

	skip_without_pidfds();
	ck_assert_int_eq(holder_do(&holder, "trylock"), 0);
	ck_assert_int_eq(lockfile_pid_wait_begin(lock), LOCKFILE_PID_ERR_BUSY);
	ck_assert_int_eq(lockfile_pid_signal(lock, SIGHUP), 0);
	ck_assert_int_eq(end_of(holder.pid), SIGHUP);
	ck_assert_int_eq(lockfile_pid_wait_cancel(lock), 0);
	ck_assert_int_eq(lockfile_pid_lock(lock), 0);
	lockfile_pid_free(lock);
}

/* Where there is nobody */

TEST(a_dead_holder_is_told)
{
	struct holder holder = holder_start(PATH);

	ck_assert_int_eq(holder_do(&holder, "trylock"), 0);
	holder_kill(&holder);
	ck_assert_int_eq(send_to_holder(SIGHUP), DEAD);
	unlink(PATH);
}

/* Its lock is held by its child, which has not adopted it. */
TEST(a_dead_parent_is_told_while_its_child_may_adopt)
{
	struct lockfile_pid *lock = new_lock(PATH);
	pid_t parent, child;
	int ends[2];

	skip_without_pidfds();
	adopt_orphans();
	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	parent = checked_fork();
	if (parent == 0) {
		REQUIRE(lockfile_pid_set_inheritable(lock, 1) == 0);
		REQUIRE(lockfile_pid_trylock(lock) == 0);
		child = idle_child();
		REQUIRE(write(ends[1], &child, sizeof(child)) == sizeof(child));
		_exit(0);
	}
	ck_assert_int_eq(read(ends[0], &child, sizeof(child)), sizeof(child));
	ck_assert_int_eq(end_of(parent), 0);
	ck_assert_int_eq(lockfile_pid_check(lock, NULL), LOCKFILE_PID_ERR_BUSY);
	ck_assert_int_eq(lockfile_pid_signal(lock, SIGKILL), DEAD);
	ck_assert_int_eq(kill(child, 0), 0);
	kill_child(child);
	unlink(PATH);
	lockfile_pid_free(lock);
	close(ends[0]);
	close(ends[1]);
}

static const char *const not_pids[] = { "\n", "-1\n", "0\n",
	                                "1 2 3 and more than a line\nof it\n" };

TEST_EACH(what_is_no_pid_file_is_invalid, not_pids)
{
	write_file(PATH, not_pids[_i]);
	ck_assert_int_eq(send_to_holder(SIGKILL), LOCKFILE_PID_ERR_INVALID_PID);
	unlink(PATH);
}

TEST(an_empty_file_names_nobody)
{
	write_file(PATH, "");
	ck_assert_int_eq(send_to_holder(SIGKILL), -ESRCH);
	unlink(PATH);
}

/* Files of other programs */

TEST(the_process_in_a_third_party_file_gets_the_signal)
{
	pid_t pid = idle_child();

	skip_without_pidfds();
	skip_if_shared();
	write_pid(pid);
	ck_assert_int_eq(send_to_holder(SIGHUP), 0);
	ck_assert_int_eq(end_of(pid), SIGHUP);
	ck_assert_int_eq(send_to_holder(SIGHUP), DEAD);
	unlink(PATH);
}

TEST(a_zombie_in_a_third_party_file_is_dead)
{
	pid_t pid = idle_child();

	skip_if_shared();
	write_pid(pid);
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	await_zombie(pid);
	ck_assert_int_eq(send_to_holder(0), DEAD);
	ck_assert_int_eq(end_of(pid), SIGKILL);
	unlink(PATH);
}

/* Permissions */

static void send_without_permission(void *unused)
{
	(void)unused;
	REQUIRE(send_to_holder(SIGKILL) == -EPERM);
	REQUIRE(send_to_holder(0) == -EPERM);
}

TEST(who_may_not_signal_the_holder_is_told)
{
	struct holder holder = holder_start(PATH);

	SKIP_UNLESS_ROOT();
	skip_without_pidfds();
	ck_assert_int_eq(chmod(".", 0755), 0);
	ck_assert_int_eq(holder_do(&holder, "trylock"), 0);
	ck_assert_int_eq(as_nobody(send_without_permission, NULL), 0);
	end_held_by(&holder);
}

/* Whoever may write the file may write another PID. */
static const char *const writable[] = { "chmod 0664", "chmod 0646", "chmod 0666" };

TEST_EACH(a_file_that_others_may_write_is_not_trusted, writable)
{
	struct holder holder = holder_start(PATH);

	skip_without_pidfds();
	ck_assert_int_eq(holder_do(&holder, "trylock"), 0);
	ck_assert_int_eq(holder_do(&holder, writable[_i]), 0);
	ck_assert_int_eq(send_to_holder(SIGKILL), -EPERM);
	ck_assert_int_eq(holder_do(&holder, "chmod 0644"), 0);
	ck_assert_int_eq(send_to_holder(0), 0);
	end_held_by(&holder);
}

/* A stranger could have linked the file of another daemon there. */
TEST(a_file_of_two_names_is_not_trusted)
{
	struct holder holder = holder_start("other.pid");

	skip_without_pidfds();
	ck_assert_int_eq(holder_do(&holder, "trylock"), 0);
	ck_assert_int_eq(link("other.pid", PATH), 0);
	ck_assert_int_eq(send_to_holder(SIGKILL), -EPERM);
	ck_assert_int_eq(unlink(PATH), 0);
	end_held_by(&holder);
}

/* Whoever may write the directory may rename the file of another daemon to the path. */
static const struct {
	mode_t mode;
	int result;
} directories[] = {
	{ 0700, 0 },      { 0755, 0 },      { 01777, 0 },     { 01775, 0 },     { 01757, 0 },
	{ 0775, -EPERM }, { 0757, -EPERM }, { 0777, -EPERM }, { 0720, -EPERM }, { 02770, -EPERM },
};

TEST_EACH(a_directory_that_others_may_write_is_not_trusted, directories)
{
	struct holder holder = holder_start(PATH);

	skip_without_pidfds();
	ck_assert_int_eq(holder_do(&holder, "trylock"), 0);
	ck_assert_int_eq(chmod(".", directories[_i].mode), 0);
	ck_assert_int_eq(send_to_holder(directories[_i].result == 0 ? 0 : SIGKILL),
	                 directories[_i].result);
	ck_assert_int_eq(chmod(".", 0700), 0);
	end_held_by(&holder);
}

static void rename_as_user(void *unused)
{
	(void)unused;
	REQUIRE(setresuid(USER, USER, USER) == 0);
	REQUIRE(rename("d/master.pid", "d/worker.pid") == 0);
}

TEST(a_file_that_the_owner_of_the_directory_renamed_is_not_trusted)
{
	struct holder holder;

	SKIP_UNLESS_ROOT();
	skip_without_pidfds();
	ck_assert_int_eq(chmod(".", 0755), 0);
	ck_assert_int_eq(mkdir("d", 0755), 0);
	ck_assert_int_eq(chown("d", USER, USER), 0);
	holder = holder_start("d/master.pid");
	ck_assert_int_eq(holder_do(&holder, "trylock"), 0);
	ck_assert_int_eq(in_child(rename_as_user, NULL), 0);
	ck_assert_int_eq(send_to("d/worker.pid", SIGKILL), -EPERM);
	ck_assert_int_eq(rename("d/worker.pid", "d/master.pid"), 0);
	end_held_by(&holder);
	ck_assert_int_eq(rmdir("d"), 0);
}

/* A process with these users. */
static pid_t idle_child_of(uid_t real, uid_t effective, uid_t saved)
{
	int ready[2];
	char byte;
	pid_t pid;

	ck_assert_int_eq(pipe2(ready, O_CLOEXEC), 0);
	pid = checked_fork();
	if (pid == 0) {
		REQUIRE(setresuid(real, effective, saved) == 0);
		REQUIRE(write(ready[1], "", 1) == 1);
		for (;;)
			pause();
	}
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

/* The caller is root. */
static const struct {
	uid_t owner;                  /* of the file, or of its directory, */
	uid_t real, effective, saved; /* and users of the process that it names */
	int result;
} owners[] = {
	{ 0, 0, 0, 0, 0 },
	{ 0, USER, USER, USER, 0 },
	{ USER, USER, USER, USER, 0 },
	/* these it could signal itself, */
	{ USER, USER, 0, 0, 0 },
	{ USER, 0, 0, USER, 0 },
	/* and these not */
	{ USER, 0, USER, 0, -EPERM },
	{ USER, 0, 0, 0, -EPERM },
	{ USER, OVERFLOW, OVERFLOW, OVERFLOW, -EPERM },
	/* that may be anybody */
	{ OVERFLOW, OVERFLOW, OVERFLOW, OVERFLOW, -EPERM },
	{ OVERFLOW, 0, 0, 0, -EPERM },
};

TEST_EACH(a_file_is_trusted_if_its_owner_could_send_the_signal, owners)
{
	pid_t pid;

	SKIP_UNLESS_ROOT();
	skip_without_pidfds();
	skip_if_shared();
	pid = idle_child_of(owners[_i].real, owners[_i].effective, owners[_i].saved);
	write_pid(pid);
	ck_assert_int_eq(chown(PATH, owners[_i].owner, 0), 0);
	ck_assert_int_eq(send_to_holder(SIGHUP), owners[_i].result);
	if (owners[_i].result < 0)
		ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(end_of(pid), owners[_i].result < 0 ? SIGKILL : SIGHUP);
	unlink(PATH);
}

/* The file is root's. */
TEST_EACH(a_directory_is_trusted_if_its_owner_could_send_the_signal, owners)
{
	pid_t pid;

	SKIP_UNLESS_ROOT();
	skip_without_pidfds();
	skip_if_shared();
	pid = idle_child_of(owners[_i].real, owners[_i].effective, owners[_i].saved);
	write_pid(pid);
	ck_assert_int_eq(chown(".", owners[_i].owner, 0), 0);
	ck_assert_int_eq(send_to_holder(SIGHUP), owners[_i].result);
	ck_assert_int_eq(chown(".", 0, 0), 0);
	if (owners[_i].result < 0)
		ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(end_of(pid), owners[_i].result < 0 ? SIGKILL : SIGHUP);
	unlink(PATH);
}

/* A holder that gave its file away, in the order that a daemon does it. */
TEST(a_daemon_that_gave_its_file_to_its_user_gets_the_signal)
{
	struct holder holder = holder_start(PATH);

	SKIP_UNLESS_ROOT();
	skip_without_pidfds();
	ck_assert_int_eq(holder_do(&holder, "trylock"), 0);
	ck_assert_int_eq(holder_do(&holder, "chown 65533"), 0);
	ck_assert_int_eq(send_to_holder(SIGHUP), -EPERM);
	ck_assert_int_eq(holder_do(&holder, "user 65533"), 0);
	ck_assert_int_eq(send_to_holder(SIGHUP), 0);
	ck_assert_int_eq(end_of(holder.pid), SIGHUP);
	unlink(PATH);
}

/* A file of our own is trusted as root's is. */
static void send_to_own(void *unused)
{
	pid_t pid;

	(void)unused;
	pid = fork();
	REQUIRE(pid >= 0);
	if (pid == 0)
		for (;;)
			pause();
	write_pid(pid);
	REQUIRE(send_to_holder(SIGHUP) == 0);
	REQUIRE(waitpid(pid, NULL, 0) == pid);
	unlink(PATH);
}

TEST(a_file_of_the_caller_is_trusted)
{
	SKIP_UNLESS_ROOT();
	skip_without_pidfds();
	skip_if_shared();
	ck_assert_int_eq(chmod(".", 01777), 0);
	ck_assert_int_eq(as_nobody(send_to_own, NULL), 0);
	ck_assert_int_eq(chmod(".", 0755), 0);
}

/* No pidfds */

static const int refusals[] = { EPERM, ENOSYS, EACCES };

static void send_in_sandbox(void *error)
{
	int r = refuse_pidfd_open(*(const int *)error);

	if (r < 0)
		_exit(100);
	REQUIRE(send_to_holder(SIGKILL) == -ENOSYS);
}

/* Pidfds can be opened, and no signal can be sent by them. */
static void send_where_that_is_refused(void *error)
{
	const struct refusal refusal = { .call = SYS_pidfd_send_signal,
		                         .error = *(const int *)error };

	if (refuse(&refusal, 1) < 0)
		_exit(100);
	REQUIRE(send_to_holder(SIGKILL) == -ENOSYS);
}

static void send_with_refusal(void (*send)(void *), int error)
{
	struct holder holder = holder_start(PATH);
	int r;

	ck_assert_int_eq(holder_do(&holder, "trylock"), 0);
	r = in_child(send, &error);
	if (r == 100)
		SKIP("cannot filter system calls");
	ck_assert_int_eq(r, 0);
	end_held_by(&holder);
}

TEST_EACH(without_pidfds_it_is_enosys_and_nobody_is_hit, refusals)
{
	send_with_refusal(send_in_sandbox, refusals[_i]);
}

TEST_EACH(where_signals_by_pidfd_are_refused_it_is_enosys, refusals)
{
	skip_without_pidfds();
	send_with_refusal(send_where_that_is_refused, refusals[_i]);
}
