/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "common.h"
#include "container.h"
#include "forge.h"
#include "owner.h"
#include "proc.h"
#include "steer.h"
#include "sys.h"
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PIDFS_TYPE 0x50494446UL

/* Who we are. */

static bool has_pidfs(void)
{
	unsigned long type = 0;
	int fd = sys_pidfd_open(getpid());

	if (fd < 0)
		return false;
	sys_fstatfs_type(fd, &type);
	close(fd);
	return type == PIDFS_TYPE;
}

TEST(self_is_complete)
{
	static const unsigned char unknown[BOOT_ID_SIZE];
	struct owner self;

	memset(&self, 0, sizeof(self));
	owner_self(&self);
	ck_assert_int_eq(self.pid, getpid());
	ck_assert_uint_ne(self.pid_namespace, 0);
	ck_assert_int_eq(self.time_namespace != 0, exists("/proc/self/ns/time"));
	ck_assert_uint_ne(self.start, 0);
	ck_assert_int_eq(self.pidfd_inode != 0, has_pidfs());
	ck_assert(memcmp(self.boot, unknown, BOOT_ID_SIZE) != 0);
}

static void *look_when_the_first_has_exited(void *argument)
{
	const struct owner *whole = argument;
	struct owner self;

	while (process_state(getpid()) != 'Z')
		sched_yield();
	REQUIRE(owner_self(&self) == 0);
	REQUIRE(self.pid_namespace == whole->pid_namespace);
	REQUIRE(self.time_namespace == whole->time_namespace);
	REQUIRE(self.start != 0);
	/* no exit, at which what the first thread had on its stack would seem lost */
	kill(getpid(), SIGKILL);
	return NULL;
}

static void leave_it_to_a_thread(void *whole)
{
	pthread_t thread;

	REQUIRE(pthread_create(&thread, NULL, look_when_the_first_has_exited, whole) == 0);
	pthread_exit(NULL);
}

/* Of a process whose first thread has exited /proc/self tells less. */
TEST(self_is_complete_where_the_first_thread_has_exited)
{
	static struct owner whole; /* the stack of the first thread goes */
	int status;
	pid_t pid;

	SKIP_IF_THREADS_CANNOT_FORK();
	if (is_emulated())
		SKIP("an emulator may not survive its first thread");
	ck_assert_int_eq(owner_self(&whole), 0);
	pid = fork();
	if (pid == 0)
		leave_it_to_a_thread(&whole);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

TEST(boot_is_the_first_half_of_the_uuid_of_the_kernel)
{
	char expected[64] = "", text[80];
	struct owner self;

	owner_self(&self);
	for (int i = 0; i < BOOT_ID_SIZE; i++)
		snprintf(expected + strlen(expected), sizeof(expected) - strlen(expected), "%s%02x",
		         i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", self.boot[i]);
	snprintf(text, sizeof(text), "%.*s", (int)strlen(expected),
	         read_file("/proc/sys/kernel/random/boot_id"));
	ck_assert_str_eq(text, expected);
}

static void assert_same(const struct owner *a, const struct owner *b)
{
	ck_assert_int_eq(a->pid, b->pid);
	ck_assert_uint_eq(a->pid_namespace, b->pid_namespace);
	ck_assert_uint_eq(a->time_namespace, b->time_namespace);
	ck_assert_uint_eq(a->start, b->start);
	ck_assert_uint_eq(a->pidfd_inode, b->pidfd_inode);
	ck_assert_mem_eq(a->boot, b->boot, BOOT_ID_SIZE);
}

TEST(self_is_the_same_each_time_and_another_in_a_child)
{
	struct record child = forge_living_record();
	struct owner first, second;

	owner_self(&first);
	owner_self(&second);
	assert_same(&first, &second);
	ck_assert_int_ne(child.owner.pid, first.pid);
	if (first.pidfd_inode != 0)
		ck_assert_uint_ne(child.owner.pidfd_inode, first.pidfd_inode);
	ck_assert(owner_same_boot(&child.owner, &first));
	ck_assert(owner_same_pids(&child.owner, &first));
	/* its PID is another, although its image is the same */
	ck_assert_uint_ne(first.image, 0);
	ck_assert_uint_eq(child.owner.image, first.image);
	ck_assert(owner_same_image(&second, &first));
	ck_assert(!owner_same_image(&child.owner, &first));
	forge_end();
}

TEST(image_that_is_unknown_or_another_is_not_the_same)
{
	struct owner self, other;

	owner_self(&self);
	other = self;
	other.image++;
	ck_assert(!owner_same_image(&other, &self));
	self.image = other.image = 0;
	ck_assert(!owner_same_image(&other, &self));
}

TEST(boots_are_compared_byte_by_byte_and_unknown_ones_are_different)
{
	struct owner self, other;

	owner_self(&self);
	for (int i = 0; i < BOOT_ID_SIZE; i++) {
		other = self;
		ck_assert(owner_same_boot(&other, &self));
		other.boot[i] ^= 1;
		ck_assert(!owner_same_boot(&other, &self));
	}
	memset(self.boot, 0, BOOT_ID_SIZE);
	memset(other.boot, 0, BOOT_ID_SIZE);
	ck_assert(!owner_same_boot(&other, &self));
}

/* The kernel's own race: a thread that executes a program takes over the number. */
TEST(process_that_looks_dead_for_an_instant_is_alive)
{
	struct record living = forge_living_record();
	struct owner self;

	skip_without_pidfds();
	owner_self(&self);
	for (int looks = 1; looks <= 2; looks++) {
		steer_reset();
		for (int i = 1; i <= looks; i++)
			steer_result("sys_poll", i, 1);
		ck_assert(owner_pid_alive(living.owner.pid));
		ck_assert_int_eq(steer_count("sys_sleep_ns"), looks);
		steer_reset();
		for (int i = 1; i <= looks; i++)
			steer_result("sys_poll", i, 1);
		ck_assert_int_eq(owner_state(&living.owner, &self), OWNER_ALIVE);
	}
	steer_reset();
	steer_result("sys_poll", EVERY, 1);
	ck_assert(!owner_pid_alive(living.owner.pid));
	steer_reset();
	forge_end();
}

/* It is not waited for where there is nothing to confirm. */
TEST(process_that_is_gone_is_not_looked_at_again)
{
	struct record dead = forge_dead_record();

	steer_reset();
	ck_assert(!owner_pid_alive(dead.owner.pid));
	ck_assert_int_eq(steer_count("sys_sleep_ns"), 0);
	steer_reset();
}

TEST(without_proc_self_knows_its_pid_and_claims_nothing)
{
	struct owner self;

	steer_reset();
	steer_no_proc();
	owner_self(&self);
	ck_assert_int_eq(self.pid, getpid());
	ck_assert_uint_eq(self.start, 0);
	ck_assert_uint_eq(self.pid_namespace, 0);
	ck_assert_uint_eq(self.time_namespace, 0);
	ck_assert(!owner_same_boot(&self, &self));
	ck_assert(!owner_same_pids(&self, &self));
	ck_assert_int_eq(owner_state(&self, &self), OWNER_UNKNOWN);
	steer_reset();
}

TEST(proc_of_another_pid_namespace_is_not_asked_for_start_times)
{
	struct owner self;

	steer_reset();
	steer_result("sys_getpid", EVERY, 1); /* what we are in a namespace of our own */
	owner_self(&self);
	steer_reset();
	ck_assert_int_eq(self.pid, 1);
	ck_assert_uint_eq(self.start, 0);
}

/* What cannot be had now is told; what is refused, is unknown. */
static const struct {
	int error, result;
} refused[] = {
	{ EMFILE, -EMFILE }, { ENFILE, -ENFILE }, { ENOMEM, -ENOMEM }, { EINTR, -EINTR },
	{ EACCES, 0 },       { EPERM, 0 },        { ENOENT, 0 },       { ENOSYS, 0 },
};
static const char *const questions[] = { "sys_readlinkat", "sys_openat", "sys_pread" };

TEST_EACH(self_is_unknown_where_it_is_refused_and_told_where_it_is_short, refused)
{
	for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++) {
		struct owner self;

		steer_reset();
		steer_result(questions[i], EVERY, -refused[_i].error);
		ck_assert_int_eq(owner_self(&self), refused[_i].result);
		ck_assert_int_eq(self.pid, getpid());
		ck_assert_uint_eq(self.start, 0);
	}
	steer_reset();
}

TEST(pidfd_whose_inode_cannot_be_read_tells_nothing)
{
	struct owner self;

	if (!has_pidfs())
		SKIP("needs Linux 6.9");
	steer_reset();
	steer_result("sys_fstat", 1, -EIO);
	ck_assert_int_eq(owner_self(&self), 0);
	ck_assert_int_eq(steer_count("sys_fstat"), 1);
	ck_assert_uint_eq(self.pidfd_inode, 0);
	ck_assert_uint_ne(self.start, 0);
	steer_reset();
}

TEST(inode_that_all_pidfds_share_tells_nothing)
{
	struct owner self;

	steer_reset();
	steer_no_pidfs();
	owner_self(&self);
	ck_assert_uint_eq(self.pidfd_inode, 0);
	ck_assert_int_eq(owner_state(&self, &self), OWNER_ALIVE);
	steer_reset();
}

/* The calls by which we look ourselves up, each that can fail for lack of something. */
static const struct {
	const char *call;
	int nth;
} readings[] = {
	{ "sys_readlinkat", 1 }, { "sys_readlinkat", 2 }, { "sys_readlinkat", 3 },
	{ "sys_openat", 1 },     { "sys_openat", 2 },     { "sys_pidfd_open", 1 },
	{ "sys_pread", 1 },      { "sys_pread", 2 },      { "sys_fstatfs_type", 1 },
};

TEST_EACH(what_is_short_now_is_told, readings)
{
	static const int errors[] = { EMFILE, ENFILE, ENOMEM, EINTR };
	int before = count_descriptors(), r;
	struct owner self;

	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		steer_reset();
		steer_result(readings[_i].call, readings[_i].nth, -errors[i]);
		r = owner_self(&self);
		if (steer_count(readings[_i].call) < readings[_i].nth)
			SKIP("needs pidfd_open(2)");
		ck_assert_int_eq(r, -errors[i]);
	}
	steer_reset();
	ck_assert_int_eq(count_descriptors(), before);
}

TEST_EACH(what_is_refused_for_good_is_unknown, readings)
{
	struct owner self;

	steer_reset();
	steer_result(readings[_i].call, readings[_i].nth, -EACCES);
	ck_assert_int_eq(owner_self(&self), 0);
	steer_reset();
}

TEST(inode_that_cannot_be_read_is_unknown)
{
	struct owner self;

	if (!has_pidfs())
		SKIP("needs Linux 6.9");
	steer_reset();
	steer_result("sys_fstat", EVERY, -EACCES);
	ck_assert_int_eq(owner_self(&self), 0);
	ck_assert_uint_eq(self.pidfd_inode, 0);
	steer_reset();
}

TEST(descriptors_do_not_leak)
{
	pid_t dead = dead_pid();
	int before = count_descriptors();
	struct owner self;

	for (int i = 0; i < 10; i++) {
		owner_self(&self);
		ck_assert(owner_pid_alive(getppid()));
		ck_assert(!owner_pid_alive(dead));
		ck_assert_int_eq(owner_state(&self, &self), OWNER_ALIVE);
	}
	ck_assert_int_eq(count_descriptors(), before);
}

/* Is it alive?  Each is asked by a pidfd, and where that is refused. */

static const int refusals[] = { 0, EPERM, ENOSYS, EMFILE, ENFILE, ENOMEM };

static void refuse(int error)
{
	steer_reset();
	if (error)
		steer_result("sys_pidfd_open", EVERY, -error);
}

TEST_EACH(living_process_is_alive, refusals)
{
	struct record child = forge_living_record();

	refuse(refusals[_i]);
	ck_assert(owner_pid_alive(child.owner.pid));
	ck_assert(owner_pid_alive(getpid()));
	ck_assert(owner_pid_alive(1));
	forge_end();
	steer_reset();
}

TEST_EACH(process_that_is_gone_is_dead, refusals)
{
	pid_t pid = dead_pid();

	refuse(refusals[_i]);
	ck_assert(!owner_pid_alive(pid));
	steer_reset();
}

TEST_EACH(zombie_is_dead, refusals)
{
	struct record zombie = forge_zombie_record();

	refuse(refusals[_i]);
	ck_assert(!owner_pid_alive(zombie.owner.pid));
	forge_end();
	steer_reset();
}

/* A signal is sent to no zombie, and not by what a record says of another namespace. */
TEST(process_of_other_numbers_or_that_has_exited_is_not_identified)
{
	struct record living = forge_living_record(), zombie = forge_zombie_record();
	struct owner self;
	int pidfds[2];

	steer_reset();
	skip_without_pidfds();
	ck_assert_int_eq(owner_self(&self), 0);
	pidfds[0] = sys_pidfd_open(living.owner.pid);
	pidfds[1] = sys_pidfd_open(zombie.owner.pid);
	ck_assert_int_ge(pidfds[0], 0);
	ck_assert_int_ge(pidfds[1], 0);
	ck_assert_int_eq(owner_identify(&living.owner, &self, pidfds[0]), OWNER_ALIVE);
	ck_assert_int_eq(owner_identify(&zombie.owner, &self, pidfds[1]), OWNER_DEAD);
	living.owner.pid_namespace++;
	ck_assert_int_eq(owner_identify(&living.owner, &self, pidfds[0]), OWNER_UNKNOWN);
	close(pidfds[0]);
	close(pidfds[1]);
	forge_end();
}

/* What is of interest comes after the groups. */
#define MANY_GROUPS 2000

static pid_t zombie_of_many_groups(void)
{
	gid_t groups[MANY_GROUPS];
	siginfo_t info;
	pid_t pid;

	for (gid_t i = 0; i < MANY_GROUPS; i++)
		groups[i] = 100000 + i;
	pid = fork();
	if (pid == 0)
		_exit(setgroups(MANY_GROUPS, groups) < 0);
	ck_assert_int_gt(pid, 0);
	ck_assert_int_eq(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	return pid;
}

TEST_EACH(zombie_of_many_groups_is_dead, refusals)
{
	int status;
	pid_t pid;

	SKIP_UNLESS_ROOT();
	pid = zombie_of_many_groups();
	refuse(refusals[_i]);
	ck_assert(!owner_pid_alive(pid));
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert(!owner_pid_alive(pid));
	steer_reset();
}

static int thread_pipe[2];

static void *tell_and_stay(void *unused)
{
	pid_t tid = (pid_t)syscall(SYS_gettid);

	(void)unused;
	if (write(thread_pipe[1], &tid, sizeof(tid)) != sizeof(tid))
		_exit(1);
	while (true)
		pause();
	return NULL;
}

/* A child with two threads; the first may end.  Returns its PID. */
static pid_t two_threads(bool leader_ends, pid_t *ret_tid)
{
	pthread_t thread;
	pid_t pid;

	ck_assert_int_eq(pipe2(thread_pipe, O_CLOEXEC), 0);
	pid = checked_fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (pthread_create(&thread, NULL, tell_and_stay, NULL) != 0)
			_exit(1);
		if (leader_ends)
			syscall(SYS_exit, 0);
		pthread_join(thread, NULL);
	}
	ck_assert_int_eq(read(thread_pipe[0], ret_tid, sizeof(*ret_tid)), sizeof(*ret_tid));
	close(thread_pipe[0]);
	close(thread_pipe[1]);
	return pid;
}

static void wait_for_state(pid_t pid, const char *state)
{
	char name[64];

	snprintf(name, sizeof(name), "/proc/%d/status", (int)pid);
	while (!strstr(read_file(name), state))
		sched_yield();
}

TEST_EACH(process_whose_first_thread_has_exited_is_alive, refusals)
{
	pid_t tid, pid = two_threads(true, &tid);

	wait_for_state(pid, "State:\tZ");
	refuse(refusals[_i]);
	ck_assert(owner_pid_alive(pid));
	kill_child(pid);
	steer_reset();
}

TEST_EACH(number_of_a_mere_thread_is_dead, refusals)
{
	pid_t tid, pid = two_threads(false, &tid);

	refuse(refusals[_i]);
	ck_assert_int_ne(tid, pid);
	ck_assert(owner_pid_alive(pid));
	ck_assert(!owner_pid_alive(tid));
	kill_child(pid);
	steer_reset();
}

/* What pidfd_open(2) says of a thread's number depends on the kernel. */
static const int thread_errors[] = { EINVAL, ENOENT };

TEST_EACH(number_of_a_thread_is_dead_on_every_kernel, thread_errors)
{
	pid_t tid, pid = two_threads(false, &tid);

	steer_reset();
	steer_result("sys_pidfd_open", EVERY, -thread_errors[_i]);
	steer_no_proc(); /* which would tell as well */
	ck_assert(!owner_pid_alive(tid));
	kill_child(pid);
	steer_reset();
}

TEST(process_that_pidfds_know_nothing_of_is_dead_whatever_else_is_said)
{
	steer_reset();
	steer_result("sys_pidfd_open", EVERY, -ESRCH);
	steer_result("sys_kill", EVERY, -EPERM);
	ck_assert(!owner_pid_alive(1));
	steer_reset();
}

TEST(process_whose_pidfd_cannot_be_asked_is_alive)
{
	steer_reset();
	steer_result("sys_poll", EVERY, -ENOMEM);
	ck_assert(owner_pid_alive(getpid()));
	steer_reset();
}

TEST(process_that_may_not_be_signalled_is_alive)
{
	steer_reset();
	steer_result("sys_pidfd_open", EVERY, -EPERM);
	steer_result("sys_kill", EVERY, -EPERM);
	ck_assert(owner_pid_alive(1));
	steer_unopenable("/proc/1/status", EACCES);
	ck_assert(owner_pid_alive(1));
	steer_no_proc();
	ck_assert(owner_pid_alive(1));
	steer_reset();
}

static void ask_as_nobody(void *pid)
{
	if (setresuid(65534, 65534, 65534) < 0)
		_exit(2);
	steer_result("sys_pidfd_open", EVERY, -EPERM);
	_exit(owner_pid_alive(*(pid_t *)pid) ? 0 : 1);
}

TEST(process_of_another_user_is_alive)
{
	pid_t pid = getpid();

	SKIP_UNLESS_ROOT();
	steer_reset();
	ck_assert_int_eq(in_child(ask_as_nobody, &pid), 0);
}

TEST(without_proc_and_pidfds_only_the_missing_are_dead)
{
	struct record child = forge_living_record(), zombie = forge_zombie_record();
	pid_t dead = dead_pid();

	steer_reset();
	steer_no_proc();
	steer_result("sys_pidfd_open", EVERY, -ENOSYS);
	ck_assert(owner_pid_alive(child.owner.pid));
	ck_assert(owner_pid_alive(zombie.owner.pid)); /* cannot tell */
	ck_assert(!owner_pid_alive(dead));
	forge_end();
	steer_reset();
}

/* What has become of a recorded process? */

TEST_EACH(state_of_a_recorded_process, refusals)
{
	struct record living = forge_living_record(), zombie = forge_zombie_record();
	struct record dead = forge_dead_record();
	struct owner self;

	owner_self(&self);
	refuse(refusals[_i]);
	ck_assert_int_eq(owner_state(&living.owner, &self), OWNER_ALIVE);
	ck_assert_int_eq(owner_state(&zombie.owner, &self), OWNER_DEAD);
	ck_assert_int_eq(owner_state(&dead.owner, &self), OWNER_DEAD);
	ck_assert_int_eq(owner_state(&self, &self), OWNER_ALIVE);
	forge_end();
	steer_reset();
}

static void no_inode(struct owner *recorded, struct owner *self)
{
	(void)self;
	recorded->pidfd_inode = 0;
}

static void no_inode_of_ours(struct owner *recorded, struct owner *self)
{
	(void)recorded;
	self->pidfd_inode = 0;
}

static void other_inode(struct owner *recorded, struct owner *self)
{
	/* a kernel without pidfs tells by the start time */
	if (self->pidfd_inode != 0)
		recorded->pidfd_inode++;
	else
		recorded->start--;
}

static void other_start(struct owner *recorded, struct owner *self)
{
	no_inode(recorded, self);
	recorded->start--;
}

static void other_start_by_our_lack(struct owner *recorded, struct owner *self)
{
	no_inode_of_ours(recorded, self);
	recorded->start--;
}

static void no_start(struct owner *recorded, struct owner *self)
{
	no_inode(recorded, self);
	recorded->start = 0;
}

static void no_start_of_ours(struct owner *recorded, struct owner *self)
{
	no_inode(recorded, self);
	self->start = 0;
}

static void other_time_namespace(struct owner *recorded, struct owner *self)
{
	no_inode(recorded, self);
	recorded->time_namespace++;
}

static void other_pid_namespace(struct owner *recorded, struct owner *self)
{
	(void)self;
	recorded->pid_namespace++;
}

static void unknown_pid_namespaces(struct owner *recorded, struct owner *self)
{
	recorded->pid_namespace = self->pid_namespace = 0;
}

static const struct {
	void (*change)(struct owner *recorded, struct owner *self);
	enum owner_state state;
} changes[] = {
	{ no_inode, OWNER_ALIVE },
	{ no_inode_of_ours, OWNER_ALIVE },
	{ other_inode, OWNER_DEAD },
	{ other_start, OWNER_DEAD },
	{ other_start_by_our_lack, OWNER_DEAD },
	{ no_start, OWNER_UNKNOWN },
	{ no_start_of_ours, OWNER_UNKNOWN },
	{ other_time_namespace, OWNER_UNKNOWN },
	{ other_pid_namespace, OWNER_UNKNOWN },
	{ unknown_pid_namespaces, OWNER_UNKNOWN },
};

TEST_EACH(recorded_process_is_told_from_others, changes)
{
	struct record living = forge_living_record();
	struct owner self;

	steer_reset();
	owner_self(&self);
	changes[_i].change(&living.owner, &self);
	ck_assert_int_eq(owner_state(&living.owner, &self), changes[_i].state);
	forge_end();
}

TEST(other_time_namespace_does_not_matter_where_there_is_a_pidfs)
{
	struct record living = forge_living_record();
	struct owner self;

	owner_self(&self);
	if (self.pidfd_inode == 0) {
		forge_end();
		SKIP("needs Linux 6.9");
	}
	living.owner.time_namespace++;
	living.owner.start = 0;
	ck_assert_int_eq(owner_state(&living.owner, &self), OWNER_ALIVE);
	living.owner.pidfd_inode++;
	ck_assert_int_eq(owner_state(&living.owner, &self), OWNER_DEAD);
	forge_end();
}

TEST(where_pidfds_are_refused_the_start_time_decides)
{
	struct record living = forge_living_record();
	struct owner self;

	owner_self(&self);
	steer_reset();
	steer_result("sys_pidfd_open", EVERY, -EPERM);
	living.owner.pidfd_inode++; /* nobody can see it now */
	ck_assert_int_eq(owner_state(&living.owner, &self), OWNER_ALIVE);
	living.owner.start--;
	ck_assert_int_eq(owner_state(&living.owner, &self), OWNER_DEAD);
	forge_end();
	steer_reset();
}

TEST(process_that_was_known_by_its_pidfd_alone_is_alive_where_these_are_refused)
{
	struct record living = forge_living_record(), zombie = forge_zombie_record();
	struct owner self;

	owner_self(&self);
	steer_reset();
	self.pidfd_inode = living.owner.pidfd_inode = zombie.owner.pidfd_inode = 1;
	living.owner.start = zombie.owner.start = 0;
	steer_result("sys_pidfd_open", EVERY, -EPERM);
	ck_assert_int_eq(owner_state(&living.owner, &self), OWNER_ALIVE);
	ck_assert_int_eq(owner_state(&zombie.owner, &self), OWNER_DEAD);
	forge_end();
	steer_reset();
}

/* Its clock is another, so that its start time says nothing. */
TEST(process_of_another_clock_whose_inode_cannot_be_read_is_alive)
{
	struct record living = forge_living_record();
	struct owner self;

	owner_self(&self);
	steer_reset();
	self.pidfd_inode = living.owner.pidfd_inode = 1;
	living.owner.time_namespace++;
	living.owner.start++;
	steer_result("sys_fstatfs_type", EVERY, -EACCES);
	ck_assert_int_eq(owner_state(&living.owner, &self), OWNER_ALIVE);
	forge_end();
	steer_reset();
}

TEST(process_whose_start_time_cannot_be_read_is_alive)
{
	struct record living = forge_living_record();
	struct owner self;

	owner_self(&self);
	steer_reset();
	living.owner.pidfd_inode = 0;
	living.owner.start--;
	steer_no_proc();
	ck_assert_int_eq(owner_state(&living.owner, &self), OWNER_ALIVE);
	forge_end();
	steer_reset();
}

/* A process with chosen PIDs, in the namespace that it is in and those around; or -1. */
static pid_t fork_with_pids(const pid_t *pids, size_t count)
{
	struct clone_args args = {
		.exit_signal = SIGCHLD,
		.set_tid = (uint64_t)(uintptr_t)pids,
		.set_tid_size = count,
	};

	return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

/* One which tells who it is; or -1. */
static pid_t make_with_pid(pid_t pid, struct owner *ret)
{
	int ends[2];
	pid_t child;

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	child = fork_with_pids(&pid, 1);
	if (child == 0) {
		struct owner self;

		memset(&self, 0, sizeof(self));
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		owner_self(&self);
		if (write(ends[1], &self, sizeof(self)) != sizeof(self))
			_exit(1);
		while (true)
			pause();
	}
	close(ends[1]);
	if (child > 0)
		ck_assert_int_eq(read(ends[0], ret, sizeof(*ret)), sizeof(*ret));
	close(ends[0]);
	return child;
}

/* The same number again, some clock tick later. */
static bool reuse(const struct owner *recorded, struct owner *ret)
{
	while (make_with_pid(recorded->pid, ret) == recorded->pid) {
		if (ret->start != recorded->start)
			return true;
		kill_child(recorded->pid);
	}
	return false;
}

TEST(process_that_got_the_recorded_pid_is_not_the_recorded_one)
{
	struct record dead = forge_dead_record();
	struct owner self, by_start = dead.owner, other;

	SKIP_UNLESS_ROOT();
	steer_reset();
	owner_self(&self);
	if (!reuse(&dead.owner, &other))
		SKIP("PIDs cannot be chosen here");
	ck_assert_int_eq(other.pid, dead.owner.pid);
	ck_assert(owner_pid_alive(other.pid));
	ck_assert_int_eq(owner_state(&other, &self), OWNER_ALIVE);
	ck_assert_int_eq(owner_state(&dead.owner, &self), OWNER_DEAD);
	by_start.pidfd_inode = 0;
	ck_assert_int_eq(owner_state(&by_start, &self), OWNER_DEAD);
	steer_result("sys_pidfd_open", EVERY, -ENOSYS);
	ck_assert_int_eq(owner_state(&dead.owner, &self), OWNER_DEAD);
	kill_child(other.pid);
	steer_reset();
}

/* What proc(5) says of a process, in place of the truth. */
static void forge_status(const char *path, const char *text)
{
	private_mounts();
	write_file("status", text);
	ck_assert_int_eq(mount("status", path, "", MS_BIND, NULL), 0);
	unlink("status");
}

/* Its PID is that of a living process, and only /proc can tell that it is another one. */
static struct owner forge_earlier_owner(void)
{
	struct owner owner = forge_living_record().owner;

	owner.pidfd_inode = 0;
	owner.start--;
	return owner;
}

/* Before Linux 4.1 /proc/self/status does not have the numbers that we have elsewhere. */
TEST(proc_that_says_nothing_of_numbers_is_that_of_an_old_kernel)
{
	struct owner self, earlier = forge_earlier_owner();

	steer_reset();
	owner_self(&self);
	forge_status("/proc/self/status", "Name:\ttest\nUmask:\t0022\n");
	ck_assert_int_eq(owner_state(&earlier, &self), OWNER_DEAD);
	forge_end();
}

TEST(proc_that_does_not_tell_our_numbers_is_not_asked_for_others)
{
	struct owner self, earlier;

	/* they are asked for more where there are none */
	skip_without_pidfds();
	earlier = forge_earlier_owner();
	steer_reset();
	owner_self(&self);
	ck_assert_int_eq(owner_state(&earlier, &self), OWNER_DEAD);
	steer_reset();
	steer_result("sys_openat", 1, -EACCES);
	ck_assert_int_eq(owner_state(&earlier, &self), OWNER_ALIVE);
	steer_reset();
	forge_end();
}

static const struct {
	const char *status; /* but for the number */
	bool alive;
} statuses[] = {
	{ "Name:\tx\nState:\tS (sleeping)\nThreads:\t1\nTgid:\t", true },
	{ "Name:\tx\nState:\tZ (zombie)\nThreads:\t1\nTgid:\t", false },
	{ "Name:\tx\nState:\tX (dead)\nThreads:\t1\nTgid:\t", false },
	{ "Name:\tx\nState:\tZ (zombie)\nThreads:\t2\nTgid:\t", true },
	{ "Name:\tx\nState:\tZ (zombie)\nTgid:\t", true },
	{ "Name:\tx\nThreads:\t1\nTgid:\t", true },
	{ "Name:\tx\nState:\tS (sleeping)\nThreads:\t1\nTgid:\t1", false }, /* a thread's */
};

TEST_EACH(where_pidfds_are_refused_the_status_decides, statuses)
{
	struct record living = forge_living_record();
	char path[64], text[256];

	snprintf(path, sizeof(path), "/proc/%d/status", (int)living.owner.pid);
	snprintf(text, sizeof(text), "%s%d\n", statuses[_i].status, (int)living.owner.pid);
	forge_status(path, text);
	steer_reset();
	steer_result("sys_pidfd_open", EVERY, -EPERM);
	ck_assert_int_eq(owner_pid_alive(living.owner.pid), statuses[_i].alive);
	steer_reset();
	forge_end();
}

/* Where its number in there is the number out here as well: it cannot tell by that. */
static pid_t ask_with_the_same_number(pid_t zombie)
{
	pid_t number = freed_pid();
	const pid_t numbers[] = { number, number };
	struct owner self;
	pid_t child = fork_with_pids(numbers, 2);

	if (child != 0)
		return child;
	if (getpid() != number || atoi(read_file("/proc/self/stat")) != number)
		_exit(10);
	memset(&self, 0, sizeof(self));
	owner_self(&self);
	if (self.start == 0)
		_exit(11); /* of ourselves it tells the truth */
	steer_result("sys_pidfd_open", EVERY, -ENOSYS);
	_exit(owner_pid_alive(zombie) ? 0 : 12);
}

TEST(outer_proc_in_which_our_number_is_the_same_by_chance_is_not_asked)
{
	struct record zombie = forge_zombie_record();
	pid_t first, living, asker;
	struct owner other;
	int fd, status;

	SKIP_UNLESS_ROOT();
	steer_reset();
	first = make_pids(&fd);
	join_pids(fd);
	close(fd);
	/* in there it lives */
	living = make_with_pid(zombie.owner.pid, &other);
	if (living < 0)
		SKIP("PIDs cannot be chosen here");
	ck_assert_int_eq(other.pid, zombie.owner.pid);
	asker = ask_with_the_same_number(zombie.owner.pid);
	ck_assert_int_gt(asker, 0);
	ck_assert_int_eq(waitpid(asker, &status, 0), asker);
	ck_assert_int_eq(status, 0);
	kill_child(living);
	kill_child(first);
	forge_end();
}

/* The users who may send it signals. */

TEST(users_of_a_process_that_cannot_be_seen_are_unknown)
{
	if (getuid() == 65534)
		SKIP("the user that stands for all that are unknown");
	steer_reset();
	ck_assert(owner_is_of_user(getpid(), getuid()));
	ck_assert(!owner_is_of_user(getpid(), getuid() + 1));
	ck_assert(!owner_is_of_user(dead_pid(), getuid()));
	steer_no_proc();
	ck_assert(!owner_is_of_user(getpid(), getuid()));
	steer_reset();
	/* another number for us */
	steer_result("sys_readlinkat", EVERY, 0);
	ck_assert(!owner_is_of_user(getpid(), getuid()));
	steer_reset();
	/* a file that is cut */
	steer_result("sys_read", EVERY, 0);
	steer_result("sys_pread", EVERY, 0);
	ck_assert(!owner_is_of_user(getpid(), getuid()));
	steer_reset();
}

TEST(processes_are_the_same_by_all_that_is_known_of_both)
{
	const struct owner a = { .pid = 5, .pid_namespace = 1, .time_namespace = 2 };
	struct owner b = a, c = a;

	ck_assert(owner_is_same(&a, &b));
	b.pid = 6;
	ck_assert(!owner_is_same(&a, &b));
	b = a;
	b.pid_namespace = 3;
	ck_assert(!owner_is_same(&a, &b));
	b.pid_namespace = c.pid_namespace = 0; /* unknown is none */
	ck_assert(!owner_is_same(&c, &b));
	b = c = a;
	b.start = 10;
	ck_assert(owner_is_same(&a, &b));
	c.start = 11;
	ck_assert(!owner_is_same(&c, &b));
	c.time_namespace = 4; /* another clock */
	ck_assert(owner_is_same(&c, &b));
	b.pidfd_inode = 20;
	ck_assert(owner_is_same(&c, &b));
	c.pidfd_inode = 21;
	ck_assert(!owner_is_same(&c, &b));
	c.pidfd_inode = 20;
	ck_assert(owner_is_same(&c, &b));
}

/* What is short now is an error, since it may be known later. */
TEST(another_process_that_cannot_be_looked_at_now_is_an_error)
{
	struct owner self, other;

	steer_reset();
	ck_assert_int_eq(owner_self(&self), 0);
	steer_result("sys_pidfd_open", 1, -EMFILE);
	ck_assert_int_eq(owner_of(getppid(), &self, &other), -EMFILE);
	steer_reset();
	steer_result("sys_openat", 2, -ENFILE); /* the first tells how many numbers we have */
	ck_assert_int_eq(owner_of(getppid(), &self, &other), -ENFILE);
	steer_reset();
}

TEST(processes_with_one_inode_unknown_are_compared_by_their_starts)
{
	struct owner a = { .pid = 5, .pid_namespace = 1, .pidfd_inode = 20, .start = 10 }, b = a;

	b.pidfd_inode = 0;
	ck_assert(owner_is_same(&a, &b));
	ck_assert(owner_is_same(&b, &a));
	b.start = 11;
	ck_assert(!owner_is_same(&a, &b));
	b.start = 0;
	ck_assert(owner_is_same(&b, &a));
}
