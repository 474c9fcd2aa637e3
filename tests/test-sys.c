/* SPDX-License-Identifier: BSD-2-Clause */
/* What the seam adds to system calls, with answers that the kernel itself gives. */
#include <config.h>

#include "filter.h"
#include "steer.h"
#include "sys.h"
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef SYS_openat2
#define SYS_openat2 437
#endif
#ifndef SYS_faccessat2
#define SYS_faccessat2 439
#endif

/* Sandboxes that know no such locks; the other way to say that somebody has one. */
static const struct {
	int error, result;
} refusals[] = {
	{ EINVAL, -ENOTSUP }, { EACCES, -EAGAIN }, { EAGAIN, -EAGAIN },
	{ ENOLCK, -ENOLCK },  { EINTR, -EINTR },
};

static void be_refused(void *argument)
{
	int row = *(int *)argument, expected = refusals[row].result;
	int fd = open("x", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	int r = refuse_ofd_locks(refusals[row].error);

	if (r < 0)
		_exit(-r);
	REQUIRE(sys_write_lock(fd) == expected);
	REQUIRE(sys_is_write_locked(fd) == expected);
	REQUIRE(sys_lock_byte(fd, F_RDLCK, 0) == expected);
	REQUIRE(sys_is_byte_locked(fd, 0) == expected);
	REQUIRE(sys_unlock_bytes(fd) == expected);
	close(fd);
}

TEST_EACH(refused_locks_are_told_in_our_words, refusals)
{
	int r;

	steer_reset();
	r = in_child(be_refused, &_i);
	ck_assert_int_eq(unlink("x"), 0);
	if (r > 1)
		SKIP("cannot filter system calls: error %d", r);
	ck_assert_int_eq(r, 0);
}

/* A FUSE server of a stranger's may be mounted there, and never answer. */
TEST(file_on_which_something_is_mounted_is_not_found)
{
	int fd;

	SKIP_UNLESS_ROOT();
	steer_reset();
	private_mounts();
	write_file("x", "1\n");
	write_file("y", "2\n");
	fd = sys_open_path(AT_FDCWD, "x");
	ck_assert_int_ge(fd, 0);
	close(fd);
	if (syscall(SYS_openat2, -1, NULL, NULL, 0) < 0 && errno == ENOSYS)
		SKIP("needs Linux 5.6");
	ck_assert_int_eq(mount("y", "x", NULL, MS_BIND, NULL), 0);
	ck_assert_int_eq(sys_open_path(AT_FDCWD, "x"), -EBUSY);
	unmount("x");
	ck_assert_int_eq(unlink("x"), 0);
	ck_assert_int_eq(unlink("y"), 0);
}

TEST(directory_is_asked_for_by_descriptor_and_name)
{
	int dirfd;

	steer_reset();
	dirfd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_eq(sys_refresh(dirfd, ""), 0);
	ck_assert_int_eq(sys_refresh(dirfd, "./"), 0);
	ck_assert_int_eq(sys_refresh(AT_FDCWD, "nothing/"), -ENOENT);
	close(dirfd);
}

/* Four descriptors one after the other. */
static void open_four(int ret[4])
{
	int first = dup(STDERR_FILENO);

	for (int i = 0; i < 4; i++)
		ret[i] = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, first + 1 + i);
	close(first);
	REQUIRE(ret[3] == ret[0] + 3);
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

/* No other is closed, whatever lies between the two. */
static void close_two_of_four(void)
{
	static const int pairs[][2] = { { 0, 1 }, { 2, 1 }, { 0, 2 }, { 3, 0 } };
	int fds[4];

	for (int i = 0; i < 4; i++) {
		open_four(fds);
		REQUIRE(sys_close_two(fds[pairs[i][0]], fds[pairs[i][1]]) == 0);
		for (int j = 0; j < 4; j++)
			REQUIRE(is_open(fds[j]) == (j != pairs[i][0] && j != pairs[i][1]));
		for (int j = 0; j < 4; j++)
			close(fds[j]);
	}
}

TEST(two_descriptors_are_closed_and_no_other)
{
	steer_reset();
	close_two_of_four();
}

static void close_without_close_range(void *error)
{
	const struct refusal close_range = {
		SYS_close_range, 0, *(int *)error, WHATEVER_IT_IS, 0, 0
	};
	int r = refuse(&close_range, 1);

	if (r < 0)
		_exit(-r);
	close_two_of_four();
}

static void open_without_openat2(void *error)
{
	const struct refusal openat2 = { SYS_openat2, 0, *(int *)error, WHATEVER_IT_IS, 0, 0 };
	int r = refuse(&openat2, 1);

	if (r < 0)
		_exit(-r);
	REQUIRE(sys_open_path(AT_FDCWD, "x") >= 0);
	REQUIRE(sys_open_path(AT_FDCWD, "nothing") == -ENOENT);
}

static const int unknown_call[] = { ENOSYS, EPERM };

TEST_EACH(two_descriptors_are_closed_where_close_range_is_refused, unknown_call)
{
	int error = unknown_call[_i], r;

	steer_reset();
	r = in_child(close_without_close_range, &error);
	if (r > 1)
		SKIP("cannot filter system calls: error %d", r);
	ck_assert_int_eq(r, 0);
}

TEST_EACH(path_is_opened_where_openat2_is_refused, unknown_call)
{
	int error = unknown_call[_i], r;

	steer_reset();
	write_file("x", "");
	r = in_child(open_without_openat2, &error);
	ck_assert_int_eq(unlink("x"), 0);
	if (r > 1)
		SKIP("cannot filter system calls: error %d", r);
	ck_assert_int_eq(r, 0);
}

static void ask_for_the_mount_without_statx(void *error)
{
	const struct refusal statx = { SYS_statx, 0, *(int *)error, WHATEVER_IT_IS, 0, 0 };
	int r = refuse(&statx, 1);

	if (r < 0)
		_exit(-r);
	REQUIRE(sys_mount_id("/") == 0);
}

TEST_EACH(mount_is_unknown_where_statx_is_refused, unknown_call)
{
	int error = unknown_call[_i], r;

	steer_reset();
	r = in_child(ask_for_the_mount_without_statx, &error);
	if (r > 1)
		SKIP("cannot filter system calls: error %d", r);
	ck_assert_int_eq(r, 0);
}

TEST(two_mounts_have_two_numbers)
{
	steer_reset();
	if (sys_mount_id(".") == 0)
		SKIP("needs Linux 5.8");
	private_mounts();
	mount_tmpfs("d", "size=1m");
	ck_assert_uint_ne(sys_mount_id("d"), 0);
	ck_assert_uint_ne(sys_mount_id("d"), sys_mount_id("."));
	unmount("d");
	ck_assert_int_eq(rmdir("d"), 0);
}

/* One more than the first thread has, and the same number as another file of it. */
static void *reopen_with_descriptors_of_its_own(void *first)
{
	struct stat st, again;
	int fd, opened;

	if (unshare(CLONE_FILES) < 0)
		return NULL;
	fd = open("mine", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_eq(dup3(fd, *(int *)first, O_CLOEXEC), *(int *)first);
	opened = sys_reopen(*(int *)first, O_RDONLY);
	ck_assert_int_ge(opened, 0);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_eq(fstat(opened, &again), 0);
	ck_assert_uint_eq(again.st_ino, st.st_ino);
	return first;
}

TEST(what_is_reopened_is_the_threads_own)
{
	int fd = open("theirs", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	pthread_t thread;
	void *done;

	steer_reset();
	ck_assert_int_eq(pthread_create(&thread, NULL, reopen_with_descriptors_of_its_own, &fd), 0);
	ck_assert_int_eq(pthread_join(thread, &done), 0);
	close(fd);
	unlink("theirs");
	unlink("mine");
	if (!done)
		SKIP("a thread cannot have descriptors of its own here");
}

#define OTHER 65533

/*
 * The question is refused in its new form, and asked in the old one by nobody, or by root whose
 * real user is nobody, or by nobody in another real group, or by nobody with a capability.
 */
struct asker {
	int error; /* 0: not refused */
	enum { NOBODYS, ROOT_OF_NOBODY, IN_OTHER_GROUP, CAPABLE } user;
	int expected;
	int capability;
	int capget_error; /* 0: not refused */
};

/* Of the effective and permitted ones that root has, these are left. */
static void keep_capability(int capability)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2] = { { .effective = 1U << capability,
		                                    .permitted = 1U << capability } };

	if (syscall(SYS_capset, &header, data) < 0)
		_exit(errno);
}

static void ask_as_nobody(void *argument)
{
	const struct asker *asker = argument;
	const struct refusal questions[] = {
		{ SYS_faccessat2, 0, asker->error, WHATEVER_IT_IS, 0, 0 },
		{ SYS_capget, 0, asker->capget_error, WHATEVER_IT_IS, 0, 0 },
	};
	int dir = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = asker->error ? refuse(questions, asker->capget_error ? 2 : 1) : 0;

	if (r < 0)
		_exit(-r);
	REQUIRE(setgroups(0, NULL) == 0);
	REQUIRE(asker->user != IN_OTHER_GROUP || chown(".", 0, NOBODY) == 0);
	REQUIRE(setresgid(asker->user == IN_OTHER_GROUP ? OTHER : NOBODY, NOBODY, NOBODY) == 0);
	REQUIRE(prctl(PR_SET_KEEPCAPS, asker->user == CAPABLE) == 0);
	REQUIRE(setresuid(NOBODY, asker->user == ROOT_OF_NOBODY ? 0 : NOBODY,
	                  asker->user == CAPABLE ? NOBODY : 0) == 0);
	if (asker->user == CAPABLE)
		keep_capability(asker->capability);
	r = sys_may_write(dir);
	if (r != asker->expected)
		fprintf(stderr, "# %d, not %d\n", r, asker->expected);
	REQUIRE(r == asker->expected);
}

/* Filters made before Linux 5.8, and kernels before it, know no faccessat2(2). */
static const struct {
	mode_t mode;
	struct asker asker;
} askers[] = {
	{ 0777, { 0, NOBODYS, 0, 0, 0 } },
	{ 0755, { 0, NOBODYS, -EACCES, 0, 0 } },
	{ 0777, { EPERM, NOBODYS, 0, 0, 0 } },
	{ 0755, { EPERM, NOBODYS, -EACCES, 0, 0 } },
	{ 0777, { ENOSYS, NOBODYS, 0, 0, 0 } },
	{ 0755, { ENOSYS, NOBODYS, -EACCES, 0, 0 } },
	/* what the old form says of the real user does not count */
	{ 0755, { 0, ROOT_OF_NOBODY, 0, 0, 0 } },
	{ 0755, { EPERM, ROOT_OF_NOBODY, 0, 0, 0 } },
	/* nor does that of the real group */
	{ 0775, { 0, IN_OTHER_GROUP, 0, 0, 0 } },
	{ 0775, { EPERM, IN_OTHER_GROUP, 0, 0, 0 } },
	/* nor does it know of capabilities, but of those that are of no use here */
	{ 0755, { 0, CAPABLE, 0, CAP_DAC_OVERRIDE, 0 } },
	{ 0755, { EPERM, CAPABLE, 0, CAP_DAC_OVERRIDE, 0 } },
	{ 0755, { ENOSYS, CAPABLE, 0, CAP_DAC_OVERRIDE, 0 } },
	{ 0772, { 0, CAPABLE, 0, CAP_DAC_READ_SEARCH, 0 } },
	{ 0772, { EPERM, CAPABLE, 0, CAP_DAC_READ_SEARCH, 0 } },
	{ 0755, { 0, CAPABLE, -EACCES, CAP_KILL, 0 } },
	{ 0755, { EPERM, CAPABLE, -EACCES, CAP_KILL, 0 } },
	/* which may not be known either */
	{ 0755, { EPERM, NOBODYS, 0, 0, EPERM } },
	/* may be written, but not searched */
	{ 0772, { 0, NOBODYS, -EACCES, 0, 0 } },
	{ 0772, { EPERM, NOBODYS, -EACCES, 0, 0 } },
};

TEST_EACH(who_may_write_is_told_where_effective_ids_cannot_be_asked_for, askers)
{
	struct asker asker = askers[_i].asker;
	int r;

	SKIP_UNLESS_ROOT();
	steer_reset();
	ck_assert_int_eq(chmod(".", askers[_i].mode), 0);
	r = in_child(ask_as_nobody, &asker);
	if (r > 1)
		SKIP("cannot be such a process: error %d", r);
	ck_assert_int_eq(r, 0);
	ck_assert_int_eq(chmod(".", 0755), 0);
}

TEST(a_read_only_file_system_is_told)
{
	int dir;

	SKIP_UNLESS_ROOT();
	steer_reset();
	private_mounts();
	mount_tmpfs("d", "size=1m");
	make_read_only("d");
	dir = open("d", O_PATH | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_eq(sys_may_write(dir), -EROFS);
	close(dir);
	unmount("d");
	unmount("d");
	ck_assert_int_eq(rmdir("d"), 0);
}

/* Which signals are handled */

static void handle(int signal)
{
	(void)signal;
}

static const struct {
	int signal;
	void (*action)(int);
	int flags;
	bool interrupts, restarts;
} actions[] = {
	{ SIGUSR1, SIG_DFL, 0, false, false }, { SIGUSR1, SIG_IGN, 0, false, false },
	{ SIGUSR1, handle, 0, true, false },   { SIGUSR1, handle, SA_RESTART, false, true },
	{ SIGCHLD, handle, 0, true, false },   { SIGCHLD, handle, SA_RESTART, false, true },
	{ SIGSEGV, handle, 0, false, false },  { SIGSEGV, handle, SA_RESTART, false, false },
	{ SIGBUS, handle, 0, false, false },   { SIGFPE, handle, 0, false, false },
	{ SIGILL, handle, 0, false, false },   { SIGTRAP, handle, 0, false, false },
	{ SIGABRT, handle, 0, false, false },  { SIGSYS, handle, 0, false, false },
};

/* Is this one of the row, and no other? */
static bool is_alone(const sigset_t *signals, int signal)
{
	for (int i = 1; i <= SIGRTMAX; i++)
		if ((sigismember(signals, i) == 1) != (i == signal))
			return false;
	return true;
}

static void act(void *argument)
{
	int row = *(int *)argument;
	struct sigaction action = { .sa_handler = actions[row].action,
		                    .sa_flags = actions[row].flags };
	sigset_t none, only, found;

	sigemptyset(&none);
	sigemptyset(&only);
	sigaddset(&only, actions[row].signal);
	for (int i = 1; i <= SIGRTMAX; i++)
		signal(i, SIG_DFL);
	REQUIRE(!sys_has_interrupting_handlers(&none));
	REQUIRE(!sys_has_restarting_handlers(&none, &found));
	REQUIRE(sigaction(actions[row].signal, &action, NULL) == 0);
	REQUIRE(sys_has_interrupting_handlers(&none) == actions[row].interrupts);
	REQUIRE(sys_has_restarting_handlers(&none, &found) == actions[row].restarts);
	REQUIRE(!actions[row].restarts || is_alone(&found, actions[row].signal));
	/* what is blocked is not handled now */
	REQUIRE(!sys_has_interrupting_handlers(&only));
	REQUIRE(!sys_has_restarting_handlers(&only, &found));
}

TEST_EACH(handlers_count_but_those_of_faults_and_of_blocked_signals, actions)
{
	steer_reset();
	ck_assert_int_eq(in_child(act, &_i), 0);
}

TEST(handler_of_the_last_signal_counts)
{
	sigset_t none;

	steer_reset();
	sigemptyset(&none);
	/* with SA_RESTART, signal(3) */
	if (signal(SIGRTMAX, handle) == SIG_ERR)
		SKIP("the last signal is not ours to handle, as under valgrind");
	ck_assert(sys_has_restarting_handlers(&none, &none));
	signal(SIGRTMAX, SIG_DFL);
}

static volatile sig_atomic_t signals_handled;

static void count_signal(int signal)
{
	(void)signal;
	signals_handled++;
}

TEST(only_signals_that_are_pending_and_named_are_let_in)
{
	sigset_t one, both, before, after;

	steer_reset();
	sigemptyset(&one);
	sigaddset(&one, SIGUSR1);
	both = one;
	sigaddset(&both, SIGUSR2);
	signal(SIGUSR1, count_signal);
	signal(SIGUSR2, count_signal);
	ck_assert_int_eq(sigprocmask(SIG_BLOCK, &both, NULL), 0);
	ck_assert_int_eq(sigprocmask(SIG_BLOCK, NULL, &before), 0);
	ck_assert(!sys_let_in(&one));
	ck_assert_int_eq(raise(SIGUSR2), 0);
	ck_assert(!sys_let_in(&one));
	ck_assert_int_eq(signals_handled, 0);
	ck_assert_int_eq(raise(SIGUSR1), 0);
	ck_assert(sys_let_in(&one));
	ck_assert_int_eq(signals_handled, 1);
	ck_assert_int_eq(sigprocmask(SIG_BLOCK, NULL, &after), 0);
	for (int i = 1; i <= SIGRTMAX; i++)
		ck_assert_int_eq(sigismember(&before, i), sigismember(&after, i));
	ck_assert_int_eq(sigprocmask(SIG_UNBLOCK, &both, NULL), 0);
	ck_assert_int_eq(signals_handled, 2);
}

/* Of the descriptor alone, whatever the name leads to. */
TEST(a_file_is_reopened_by_its_descriptor)
{
	struct stat one, other;
	int handle, fd;

	steer_reset();
	write_file("x", "x");
	handle = sys_openat(AT_FDCWD, "x", O_PATH | O_NOFOLLOW, 0);
	ck_assert_int_eq(fstat(handle, &one), 0);
	ck_assert_int_eq(unlink("x"), 0);
	fd = sys_reopen(handle, O_RDWR);
	if (!exists("/proc/thread-self"))
		SKIP("needs /proc/thread-self");
	ck_assert_int_eq(fstat(fd, &other), 0);
	ck_assert_uint_eq(one.st_ino, other.st_ino);
	ck_assert_int_ne(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
	close(fd);
	close(handle);
	ck_assert_int_eq(sys_reopen(handle, O_RDWR), -ENOENT);
}

struct table {
	int handle, result;
};

static void *reopen_with_own_table(void *argument)
{
	struct table *table = argument;

	if (unshare(CLONE_FILES) < 0)
		return NULL;
	table->handle = sys_openat(AT_FDCWD, "x", O_PATH | O_NOFOLLOW, 0);
	table->result = sys_reopen(table->handle, O_RDONLY);
	return NULL;
}

/* The first thread has no descriptor of this number (/proc/self). */
TEST(a_thread_with_descriptors_of_its_own_reopens_its_own)
{
	struct table table = { -1, -1 };
	pthread_t thread;

	steer_reset();
	write_file("x", "x");
	ck_assert_int_eq(pthread_create(&thread, NULL, reopen_with_own_table, &table), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_int_eq(unlink("x"), 0);
	if (table.handle < 0 || !exists("/proc/thread-self"))
		SKIP("cannot unshare descriptors, or no /proc/thread-self");
	ck_assert_int_ge(table.result, 0);
}

TEST(memory_that_cannot_be_had_is_none)
{
	bool wiped = true;

	steer_reset();
	ck_assert_ptr_null(sys_map_wiped(SIZE_MAX - 65535, &wiped));
	ck_assert(wiped);
}

TEST(type_of_no_file_system_is_an_error)
{
	unsigned long type = 42;

	steer_reset();
	ck_assert_int_eq(sys_fstatfs_type(-1, &type), -EBADF);
	ck_assert_uint_eq(type, 42);
}

/* Standard streams that the program was started without. */
static void open_where_streams_were(void *unused)
{
	int dir = open(".", O_PATH | O_CLOEXEC);
	sigset_t none;

	(void)unused;
	sigemptyset(&none);
	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		close(fd);
	for (int i = 0; i < 3; i++) {
		if (sys_openat(AT_FDCWD, ".", O_RDONLY, 0) <= STDERR_FILENO ||
		    sys_epoll_create() <= STDERR_FILENO || sys_timer_create() <= STDERR_FILENO ||
		    is_stream(sys_pidfd_open(getpid())) || is_stream(sys_signalfd(&none)) ||
		    is_stream(sys_reopen(dir, O_RDONLY)))
			_exit(1);
	}
	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			_exit(2);
	if (!(fcntl(sys_openat(AT_FDCWD, ".", O_RDONLY, 0), F_GETFD) & FD_CLOEXEC))
		_exit(3);
}

TEST(no_descriptor_has_the_number_of_a_standard_stream)
{
	steer_reset();
	ck_assert_int_eq(in_child(open_where_streams_were, NULL), 0);
}

static void open_where_streams_were_only(void *unused)
{
	struct rlimit limit;
	int made;

	(void)unused;
	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		close(fd);
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		_exit(1);
	limit.rlim_cur = STDERR_FILENO + 1;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		_exit(2);
	if (sys_openat(AT_FDCWD, ".", O_RDONLY, 0) != -EMFILE || sys_epoll_create() != -EMFILE ||
	    sys_timer_create() != -EMFILE)
		_exit(3);
	made = sys_openat(AT_FDCWD, "made", O_CREAT | O_EXCL | O_RDWR, 0600);
	if (made != STDIN_FILENO || unlink("made") < 0 || close(made) < 0)
		_exit(4);
	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			_exit(5);
}

TEST(only_what_was_made_has_the_number_of_a_standard_stream_if_there_is_no_other)
{
	steer_reset();
	ck_assert_int_eq(in_child(open_where_streams_were_only, NULL), 0);
}
