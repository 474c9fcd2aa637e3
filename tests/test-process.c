/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The first three tests need a process in which the library was never used; so do
 * they leave it, for runs of all tests in one process.
 */
#include <config.h>

#include "common.h"
#include "forge.h"
#include "pidfile.h"
#include "process.h"
#include "steer.h"
#include "sys.h"
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <lockfile-pid.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FILE_NAME "x.pid"

TEST(new_without_memory_says_so)
{
	struct lockfile_pid *lock = NULL;

	steer_reset();
	steer_result("sys_map_wiped", 1, 0);
	ck_assert_int_eq(lockfile_pid_new(&lock, FILE_NAME), -ENOMEM);
	ck_assert_ptr_null(lock);
	steer_reset();
}

static int exit_status(pid_t pid)
{
	int status;

	ck_assert_int_gt(pid, 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Only exit statuses: in such a child much of the C library is out of order. */
static int try_in_raw_child(struct pidfile *file)
{
	struct owner self;

	process_self(&self);
	if (self.pid != getpid())
		return 10;
	if (pidfile_is_of_process(file))
		return 11;
	if (pidfile_find_nonce(file->nonce))
		return 12;
	if (pidfile_find_inode(file->dev, file->ino))
		return 13;
	return 0;
}

static void check_raw_child(void *unused)
{
	struct pidfile file = PIDFILE_NONE;
	uint64_t nonce;
	pid_t pid;

	(void)unused;
	ck_assert_int_eq(process_init(), 0);
	ck_assert_int_eq(pidfile_make_named(&file, AT_FDCWD, FILE_NAME, 0644, false), 0);
	ck_assert(pidfile_is_of_process(&file));
	nonce = process_nonce();
	pid = raw_fork();
	if (pid == 0)
		_exit(process_nonce() == nonce ? 14 : try_in_raw_child(&file));
	ck_assert_int_eq(exit_status(pid), 0);
	ck_assert(pidfile_is_of_process(&file));
	ck_assert(pidfile_find_nonce(file.nonce));
	ck_assert(pidfile_find_inode(file.dev, file.ino));
	pidfile_drop(&file);
	unlink(FILE_NAME);
}

TEST(where_memory_cannot_be_wiped_the_pid_tells_a_child)
{
	steer_reset();
	steer_no_wipe();
	ck_assert_int_eq(in_child(check_raw_child, NULL), 0);
	steer_reset();
}

/* Old kernels refuse the advice; qemu-user takes any, and then wipes nothing. */
static const int answers[] = { -1, 0 };
static const int *answer;

int __real_madvise(void *address, size_t size, int advice);
int __wrap_madvise(void *address, size_t size, int advice);
int __wrap_madvise(void *address, size_t size, int advice)
{
	return answer ? *answer : __real_madvise(address, size, advice);
}

TEST_EACH(where_no_advice_is_followed_the_pid_tells_a_child, answers)
{
	steer_reset();
	answer = &answers[_i];
	ck_assert_int_eq(in_child(check_raw_child, NULL), 0);
	answer = NULL;
}

/* In a PID namespace of its own it may have its parent's PID. */
TEST(where_memory_cannot_be_wiped_the_handler_tells_a_child_of_the_same_pid)
{
	struct pidfile file = PIDFILE_NONE;
	pid_t child;

	steer_reset();
	steer_no_wipe();
	steer_result("sys_getpid", EVERY, getpid());
	ck_assert_int_eq(process_init(), 0);
	ck_assert_int_eq(pidfile_make_named(&file, AT_FDCWD, FILE_NAME, 0644, true), 0);
	fd_keep_in_child(&file.descriptor);
	ck_assert(pidfile_is_of_process(&file));
	child = fork();
	if (child == 0)
		_exit(pidfile_is_of_process(&file));
	ck_assert_int_eq(exit_status(child), 0);
	pidfile_drop(&file);
	unlink(FILE_NAME);
	steer_reset();
}

TEST(child_of_a_raw_clone_is_no_holder)
{
	steer_reset();
	ck_assert_int_eq(in_child(check_raw_child, NULL), 0);
}

TEST(second_init_does_nothing)
{
	steer_reset();
	ck_assert_int_eq(process_init(), 0);
	ck_assert_int_eq(process_init(), 0);
	ck_assert_int_le(steer_count("sys_map_wiped"), 1);
}

TEST(self_is_looked_up_once_in_each_process)
{
	struct owner first, second;
	int calls;

	ck_assert_int_eq(process_init(), 0);
	process_self(&first);
	steer_reset();
	process_self(&second);
	calls = steer_count("sys_openat") + steer_count("sys_readlinkat");
	ck_assert_int_eq(calls, 0);
	ck_assert_int_eq(first.pid, getpid());
	ck_assert_uint_eq(first.start, second.start);
}

/* By the name of this test, in a process of its own, which runs no other. */

#define NO_HANDLERS "NO_HANDLERS_FOR_FORKS"

int __real_pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void));
int __wrap_pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void));
int __wrap_pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void))
{
	return getenv(NO_HANDLERS) ? ENOMEM : __real_pthread_atfork(prepare, parent, child);
}

static void start_without_handlers(void *name)
{
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	char program[4096] = "";

	/* by its own name, as "/proc/self/exe" would be valgrind */
	if (readlink("/proc/self/exe", program, sizeof(program) - 1) < 0)
		_exit(1);
	dup2(fd, STDOUT_FILENO);
	setenv(NO_HANDLERS, "1", 1);
	setenv("CK_RUN_CASE", name, 1);
	execl(program, program, (char *)NULL);
	_exit(127);
}

TEST(new_without_handlers_for_forks_says_so)
{
	char name[] = "new_without_handlers_for_forks_says_so";
	struct lockfile_pid *lock = NULL;

	if (!getenv(NO_HANDLERS)) {
		ck_assert_int_eq(in_child(start_without_handlers, name), 0);
		return;
	}
	ck_assert_int_eq(lockfile_pid_new(&lock, FILE_NAME), -ENOMEM);
	ck_assert_ptr_null(lock);
}

/* Forks. */

static void make(struct pidfile *file)
{
	*file = (struct pidfile)PIDFILE_NONE;
	ck_assert_int_eq(process_init(), 0);
	ck_assert_int_eq(pidfile_make_named(file, AT_FDCWD, FILE_NAME, 0644, false), 0);
}

static void end(struct pidfile *file)
{
	pidfile_drop(file);
	ck_assert_int_eq(unlink(FILE_NAME), 0);
}

TEST(fork_closes_the_files_in_the_child)
{
	int before = count_descriptors();
	struct pidfile file = PIDFILE_NONE;
	pid_t pid;

	make(&file);
	pid = fork();
	if (pid == 0)
		_exit(pidfile_exists(&file) || count_descriptors() != before);
	ck_assert_int_ge(pid, 0);
	ck_assert_int_eq(exit_status(pid), 0);
	ck_assert(pidfile_is_of_process(&file));
	end(&file);
}

/* What is no file of ours in particular, a place in line, say. */

static void enter_other(struct descriptor *descriptor)
{
	ck_assert_int_eq(process_init(), 0);
	fd_track(descriptor, open("/dev/null", O_RDONLY | O_CLOEXEC));
	ck_assert_int_ge(descriptor->fd, 0);
}

TEST(fork_closes_other_descriptors_in_the_child)
{
	struct descriptor other = DESCRIPTOR_NONE;
	int before = count_descriptors();
	pid_t pid;

	enter_other(&other);
	pid = fork();
	if (pid == 0)
		_exit(fd_exists(&other) || count_descriptors() != before);
	ck_assert_int_ge(pid, 0);
	ck_assert_int_eq(exit_status(pid), 0);
	ck_assert(fd_is_of_process(&other));
	fd_close(&other);
	ck_assert_int_eq(count_descriptors(), before);
}

TEST(other_descriptors_are_not_compared_with_files)
{
	struct descriptor other = DESCRIPTOR_NONE;
	struct stat st;

	enter_other(&other);
	ck_assert_int_eq(fstat(other.fd, &st), 0);
	ck_assert(!pidfile_find_inode(st.st_dev, st.st_ino));
	ck_assert(!pidfile_find_nonce(0));
	fd_close(&other);
}

struct expectation {
	struct pidfile *files;
	int fds[3];
};

/* The first file's number has become another file's, the second's is closed. */
static void check_forked(void *argument)
{
	const struct expectation *expected = argument;
	struct owner self;

	for (int i = 0; i < 3; i++) {
		if (pidfile_exists(&expected->files[i]) ||
		    pidfile_is_of_process(&expected->files[i]))
			_exit(10 + i);
		if (pidfile_find_nonce(expected->files[i].nonce))
			_exit(20 + i);
	}
	if (fcntl(expected->fds[0], F_GETFD) < 0)
		_exit(30);
	if (fcntl(expected->fds[2], F_GETFD) >= 0)
		_exit(31);
	process_self(&self);
	_exit(self.pid == getpid() ? 0 : 32);
}

TEST(fork_closes_nothing_that_is_not_the_librarys)
{
	static const char *const names[] = { "a", "b", "c" };
	struct pidfile files[3] = { PIDFILE_NONE, PIDFILE_NONE, PIDFILE_NONE };
	struct expectation expected = { .files = files };
	int other;

	ck_assert_int_eq(process_init(), 0);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(pidfile_make_named(&files[i], AT_FDCWD, names[i], 0644, false), 0);
		expected.fds[i] = files[i].descriptor.fd;
	}
	other = open("/dev/null", O_RDWR | O_CLOEXEC);
	ck_assert_int_eq(dup3(other, files[0].descriptor.fd, O_CLOEXEC), files[0].descriptor.fd);
	close(files[1].descriptor.fd);
	ck_assert_int_eq(in_child(check_forked, &expected), 0);
	for (int i = 0; i < 3; i++) {
		pidfile_drop(&files[i]);
		unlink(names[i]);
	}
	close(expected.fds[0]);
	close(other);
}

/* A descriptor that a child loses, and one that it keeps. */
struct pair {
	struct descriptor lost, kept;
};

/* The lost number becomes that of a file of the program's, which a child inherits. */
static void reuse_lost(void *argument)
{
	struct pair *pair = argument;
	int fd = pair->lost.fd;
	pid_t pid;

	if (fd_exists(&pair->lost) || !fd_exists(&pair->kept))
		_exit(1);
	fd_close(&pair->kept);
	if (fcntl(fd, F_GETFD) >= 0 || dup2(STDERR_FILENO, fd) != fd)
		_exit(2);
	pid = fork();
	if (pid == 0)
		_exit(fcntl(fd, F_GETFD) < 0);
	if (exit_status(pid) != 0)
		_exit(3);
	fd_close(&pair->lost);
	_exit(fcntl(fd, F_GETFD) < 0 || pair->lost.fd != -1 ? 4 : 0);
}

TEST(child_closes_no_file_that_got_the_number_of_a_lost_descriptor)
{
	struct pair pair = { DESCRIPTOR_NONE, DESCRIPTOR_NONE };

	enter_other(&pair.lost);
	enter_other(&pair.kept);
	fd_keep_in_child(&pair.kept);
	ck_assert_int_eq(in_child(reuse_lost, &pair), 0);
	ck_assert(fd_exists(&pair.lost));
	fd_close(&pair.lost);
	fd_close(&pair.kept);
}

static void make_without_descriptors(void *argument)
{
	struct pidfile *file = argument;
	int fd = file->descriptor.fd;

	/* the number is that of a file of the program's by now */
	if (dup2(STDERR_FILENO, fd) != fd)
		_exit(1);
	steer_reset();
	steer_result("sys_openat", EVERY, -EMFILE);
	if (pidfile_make_unnamed(file, AT_FDCWD, ".", 0644, false) != -EMFILE)
		_exit(2);
	_exit(pidfile_exists(file) || fcntl(fd, F_GETFD) < 0 ? 3 : 0);
}

TEST(child_that_cannot_make_a_file_does_not_have_its_parents)
{
	struct pidfile file = PIDFILE_NONE;

	make(&file);
	ck_assert_int_eq(in_child(make_without_descriptors, &file), 0);
	end(&file);
}

static void make_and_end_one(void *unused)
{
	struct pidfile file = PIDFILE_NONE;

	(void)unused;
	make(&file);
	if (!pidfile_is_of_process(&file) || !pidfile_find_nonce(file.nonce))
		_exit(1);
	end(&file);
}

TEST(child_makes_files_of_its_own)
{
	struct pidfile file = PIDFILE_NONE;

	make(&file);
	ck_assert_int_eq(rename(FILE_NAME, "parents.pid"), 0);
	ck_assert_int_eq(in_child(make_and_end_one, NULL), 0);
	ck_assert(pidfile_has_fd(&file));
	pidfile_drop(&file);
	unlink("parents.pid");
}

/* Shared: children keep a copy, which is not of their own making. */

struct copies {
	struct pidfile *kept, *closed;
	int before;
};

static void check_copies(void *argument)
{
	const struct copies *copies = argument;

	if (count_descriptors() != copies->before + 1)
		_exit(10);
	if (!pidfile_has_fd(copies->kept) || pidfile_exists(copies->closed))
		_exit(11);
	if (pidfile_is_of_process(copies->kept) || pidfile_find_nonce(copies->kept->nonce))
		_exit(12);
	pidfile_drop(copies->kept);
	_exit(pidfile_exists(copies->kept) || count_descriptors() != copies->before);
}

static void check_copies_twice(void *argument)
{
	if (in_child(check_copies, argument) != 0)
		_exit(20);
	check_copies(argument);
}

/* A file that is entered where a shared one was, is not. */
TEST(fork_leaves_a_shared_file_open_in_children)
{
	struct copies copies = { .before = count_descriptors() };
	struct pidfile kept = PIDFILE_NONE, closed = PIDFILE_NONE;

	make(&kept);
	fd_keep_in_child(&kept.descriptor);
	ck_assert_int_eq(rename(FILE_NAME, "kept.pid"), 0);
	make(&closed);
	fd_keep_in_child(&closed.descriptor);
	end(&closed);
	make(&closed);
	copies.kept = &kept;
	copies.closed = &closed;
	ck_assert_int_eq(in_child(check_copies_twice, &copies), 0);
	ck_assert(pidfile_is_of_process(&kept));
	end(&closed);
	pidfile_drop(&kept);
	ck_assert_int_eq(unlink("kept.pid"), 0);
	ck_assert_int_eq(count_descriptors(), copies.before);
}

/* So it is after a move, whether it was shared before or is only then. */
static const bool moments[] = { false, true };

TEST_EACH(fork_follows_a_file_that_was_moved, moments)
{
	struct copies copies = { .before = count_descriptors() };
	struct pidfile kept = PIDFILE_NONE, closed = PIDFILE_NONE, first, second;

	make(&first);
	ck_assert_int_eq(rename(FILE_NAME, "kept.pid"), 0);
	if (moments[_i])
		fd_keep_in_child(&first.descriptor);
	make(&second);
	pidfile_move(&kept, &first);
	pidfile_move(&closed, &second);
	if (!moments[_i])
		fd_keep_in_child(&kept.descriptor);
	ck_assert(!pidfile_exists(&first) && !pidfile_exists(&second));
	copies.kept = &kept;
	copies.closed = &closed;
	ck_assert_int_eq(in_child(check_copies_twice, &copies), 0);
	end(&closed);
	pidfile_drop(&kept);
	ck_assert_int_eq(unlink("kept.pid"), 0);
}

/* At each call that one thread makes for a file, another forks. */

#define FORKS 256

static struct {
	sem_t wanted;
	atomic_int begun, done; /* so many forks */
	atomic_bool stop;
	atomic_int tid;
	int up[2], life[2];
	pid_t children[FORKS];
} forker;

static void stay_until_the_end(void)
{
	char end;

	close(forker.life[1]);
	if (write(forker.up[1], "", 1) != 1 || read(forker.life[0], &end, 1) != 0)
		_exit(1);
	_exit(0);
}

static void *fork_on_demand(void *unused)
{
	(void)unused;
	forker.tid = (int)syscall(SYS_gettid);
	for (int i = 0; i < FORKS; i++) {
		sem_wait(&forker.wanted);
		if (forker.stop)
			break;
		forker.begun++;
		forker.children[i] = fork();
		if (forker.children[i] == 0)
			stay_until_the_end();
		forker.done++;
	}
	return NULL;
}

/* Without stdio and malloc, whose locks a fork takes as well. */
static bool forker_sleeps(void)
{
	char name[64], text[512], *state;
	ssize_t n;
	int fd;

	snprintf(name, sizeof(name), "/proc/self/task/%d/stat", (int)forker.tid);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	state = strrchr(text, ')');
	return state && state[2] == 'S';
}

/* Until it is done, or waits for us to leave the gate. */
static void let_fork(void *unused)
{
	int wanted = forker.done + 1;

	(void)unused;
	if (syscall(SYS_gettid) == forker.tid)
		return; /* what the fork handler calls */
	if (forker.begun != forker.done || wanted > FORKS)
		return; /* it waits for us already */
	sem_post(&forker.wanted);
	while (forker.begun < wanted)
		sched_yield();
	while (forker.done < wanted && !forker_sleeps())
		sched_yield();
}

static void start_forker(pthread_t *thread)
{
	ck_assert_int_eq(sem_init(&forker.wanted, 0, 0), 0);
	ck_assert_int_eq(pipe2(forker.up, O_CLOEXEC), 0);
	ck_assert_int_eq(pipe2(forker.life, O_CLOEXEC), 0);
	ck_assert_int_eq(pthread_create(thread, NULL, fork_on_demand, NULL), 0);
	while (forker.tid == 0)
		sched_yield();
}

/* All children have told that they are up: their handlers have run. */
static void stop_forker(pthread_t thread)
{
	char up;

	forker.stop = true;
	sem_post(&forker.wanted);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_int_gt(forker.done, 0);
	for (int i = 0; i < forker.done; i++)
		ck_assert_int_eq(read(forker.up[0], &up, 1), 1);
}

static void end_children(void)
{
	close(forker.life[1]);
	for (int i = 0; i < forker.done; i++)
		ck_assert_int_eq(exit_status(forker.children[i]), 0);
	close(forker.life[0]);
	close(forker.up[0]);
	close(forker.up[1]);
	sem_destroy(&forker.wanted);
	memset(&forker, 0, sizeof(forker));
}

static void work_unnamed(int *ret_fd)
{
	struct pidfile file = PIDFILE_NONE;

	ck_assert_int_eq(pidfile_make_unnamed(&file, AT_FDCWD, ".", 0644, false), 0);
	ck_assert_int_eq(pidfile_link(&file, AT_FDCWD, FILE_NAME), 0);
	*ret_fd = open(FILE_NAME, O_RDONLY | O_CLOEXEC);
	end(&file);
}

static void work_named(int *ret_fd)
{
	struct pidfile file = PIDFILE_NONE;

	ck_assert_int_eq(pidfile_make_named(&file, AT_FDCWD, FILE_NAME, 0644, false), 0);
	*ret_fd = open(FILE_NAME, O_RDONLY | O_CLOEXEC);
	end(&file);
}

/* Clears a leftover, for which it is locked. */
static void work_leftover(int *ret_fd)
{
	struct lockfile_pid *lock;

	write_file(FILE_NAME, "");
	forge_mtime(FILE_NAME, -10);
	write_file(FILE_NAME ".takeover", "");
	*ret_fd = open(FILE_NAME ".takeover", O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(lockfile_pid_new(&lock, FILE_NAME), 0);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	lockfile_pid_free(lock);
}

/* Opened once more when it stands at PATH.takeover: whoever has it, then, has the lock. */
static void open_candidate(void *ret_fd)
{
	*(int *)ret_fd = open(FILE_NAME ".takeover", O_RDONLY | O_CLOEXEC);
}

/* An inheritable lock that is not had. */
static void work_in_vain(int *ret_fd)
{
	struct lockfile_pid *lock;

	forge_foreign(FILE_NAME, dead_pid());
	ck_assert_int_eq(lockfile_pid_new(&lock, FILE_NAME), 0);
	ck_assert_int_eq(lockfile_pid_set_inheritable(lock, 1), 0);
	steer_before("sys_rename", 1, open_candidate, ret_fd);
	steer_result("sys_rename", 1, -EIO);
	ck_assert_int_eq(lockfile_pid_trylock(lock), -EIO);
	lockfile_pid_free(lock);
	ck_assert_int_eq(unlink(FILE_NAME), 0);
}

/* One that is had, but children keep no copy of what releases it. */
static void work_release(int *ret_fd)
{
	struct lockfile_pid *lock;

	ck_assert_int_eq(lockfile_pid_new(&lock, FILE_NAME), 0);
	ck_assert_int_eq(lockfile_pid_set_inheritable(lock, 1), 0);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	steer_before("sys_unlinkat", 1, open_candidate, ret_fd);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	lockfile_pid_free(lock);
}

/* A line that a crash has left behind is locked to be removed. */
static void work_wake(int *ret_fd)
{
	struct lockfile_pid *lock;

	ck_assert_int_eq(mkfifo(FILE_NAME ".queue", 0600), 0);
	*ret_fd = open(FILE_NAME ".queue", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ck_assert_int_eq(lockfile_pid_new(&lock, FILE_NAME), 0);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	ck_assert(!exists(FILE_NAME ".queue"));
	lockfile_pid_free(lock);
}

static void (*const works[])(int *) = {
	work_unnamed, work_named, work_leftover, work_in_vain, work_release, work_wake,
};

TEST_EACH(fork_by_another_thread_takes_no_kernel_lock_along, works)
{
	pthread_t thread;
	int fd;

	ck_assert_int_eq(process_init(), 0);
	start_forker(&thread);
	steer_reset();
	steer_fork_without_timeout();
	steer_before(ANY_CALL, EVERY, let_fork, NULL);
	steer_after(ANY_CALL, EVERY, let_fork, NULL);
	works[_i](&fd);
	ck_assert_int_ge(fd, 0);
	stop_forker(thread);
	steer_reset();
	ck_assert_int_eq(sys_is_write_locked(fd), 0);
	end_children();
	close(fd);
}

/* In a child, in which one thread adopts, or fails to, while another forks. */
struct adoption {
	struct lockfile_pid *lock;
	int error;
};

static void adopt_while_forking(void *argument)
{
	const struct adoption *adoption = argument;
	pthread_t thread;
	int fd = -1;

	/* of one that is had, and inheritable, those forked then have a copy by right */
	if (lockfile_pid_set_inheritable(adoption->lock, adoption->error) != 0)
		_exit(10);
	start_forker(&thread);
	steer_reset();
	steer_fork_without_timeout();
	steer_before("sys_rename", 1, open_candidate, &fd);
	if (adoption->error)
		steer_result("sys_rename", 1, adoption->error);
	steer_before(ANY_CALL, EVERY, let_fork, NULL);
	steer_after(ANY_CALL, EVERY, let_fork, NULL);
	if (lockfile_pid_adopt(adoption->lock) != adoption->error)
		_exit(11);
	if (adoption->error == 0 && lockfile_pid_unlock(adoption->lock) != 0)
		_exit(12);
	stop_forker(thread);
	steer_reset();
	if (fd < 0 || sys_is_write_locked(fd) != 0)
		_exit(13);
	end_children();
	lockfile_pid_free(adoption->lock);
}

static const struct adoption adoptions[] = { { .error = 0 }, { .error = -EIO } };

TEST_EACH(fork_by_another_thread_takes_no_candidate_to_adopt_along, adoptions)
{
	struct adoption adoption = adoptions[_i];

	ck_assert_int_eq(lockfile_pid_new(&adoption.lock, FILE_NAME), 0);
	ck_assert_int_eq(lockfile_pid_set_inheritable(adoption.lock, 1), 0);
	ck_assert_int_eq(lockfile_pid_trylock(adoption.lock), 0);
	ck_assert_int_eq(in_child(adopt_while_forking, &adoption), 0);
	lockfile_pid_free(adoption.lock);
}

/* A call of another thread that stays inside the gate until it is told to go on. */

static struct {
	pthread_t thread;
	sem_t inside, go_on;
	struct pidfile file;
	int result;
} stuck;

static void stay_inside(void *unused)
{
	(void)unused;
	sem_post(&stuck.inside);
	while (sem_wait(&stuck.go_on) < 0)
		;
}

static void *make_and_get_stuck(void *unused)
{
	(void)unused;
	stuck.result = pidfile_make_named(&stuck.file, AT_FDCWD, "stuck.pid", 0644, false);
	return NULL;
}

/* In the call of this name, the nth of those that make the file. */
static void get_stuck(const char *call, int nth)
{
	stuck.file = (struct pidfile)PIDFILE_NONE;
	ck_assert_int_eq(process_init(), 0);
	ck_assert_int_eq(sem_init(&stuck.inside, 0, 0), 0);
	ck_assert_int_eq(sem_init(&stuck.go_on, 0, 0), 0);
	steer_reset();
	steer_before(call, nth, stay_inside, NULL);
	ck_assert_int_eq(pthread_create(&stuck.thread, NULL, make_and_get_stuck, NULL), 0);
	while (sem_wait(&stuck.inside) < 0)
		;
}

static void go_on(void)
{
	sem_post(&stuck.go_on);
	ck_assert_int_eq(pthread_join(stuck.thread, NULL), 0);
	ck_assert_int_eq(stuck.result, 0);
	pidfile_drop(&stuck.file);
	ck_assert_int_eq(unlink("stuck.pid"), 0);
}

/* How often did fork() look whether the calls have left? */
static int pauses_of_fork(void (*work)(void))
{
	int before = steer_count("sys_sleep_ns");
	pid_t pid = fork();

	if (pid == 0) {
		work();
		_exit(0);
	}
	ck_assert_int_eq(exit_status(pid), 0);
	return steer_count("sys_sleep_ns") - before;
}

static void do_nothing(void)
{
}

static void use_a_file(void)
{
	struct pidfile file = PIDFILE_NONE;

	if (pidfile_make_named(&file, AT_FDCWD, "child.pid", 0644, false) != 0)
		_exit(1);
	pidfile_drop(&file);
	if (unlink("child.pid") < 0)
		_exit(2);
}

/* The first opens a file of /proc. */
static const struct {
	const char *call;
	int nth;
} stuck_calls[] = { { "sys_openat", 2 }, { "sys_lseek", 1 }, { "sys_fstat", 1 } };

TEST_EACH(fork_does_not_wait_forever_for_a_call_that_does_not_return, stuck_calls)
{
	get_stuck(stuck_calls[_i].call, stuck_calls[_i].nth);
	ck_assert_int_gt(pauses_of_fork(use_a_file), 0);
	go_on();
	steer_reset();
}

static void *pass_the_gate(void *unused)
{
	for (int i = 0; i < 300000; i++)
		gate_leave(gate_enter());
	return unused;
}

/* No call is lost, or counted twice, when others come and go at the same moment. */
TEST(threads_pass_the_gate_at_the_same_moment)
{
	pthread_t threads[4];

	ck_assert_int_eq(process_init(), 0);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, pass_the_gate, NULL), 0);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
	ck_assert_int_eq(pauses_of_fork(do_nothing), 0);
	steer_reset();
}

TEST(fork_waits_for_no_call_that_has_left)
{
	struct lockfile_pid *lock;

	ck_assert_int_eq(lockfile_pid_new(&lock, "x.pid"), 0);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	ck_assert_int_eq(pauses_of_fork(do_nothing), 0);
	lockfile_pid_free(lock);
	steer_reset();
}

TEST(fork_does_not_wait_again_for_a_call_that_outlasted_it)
{
	get_stuck("sys_lseek", 1);
	ck_assert_int_gt(pauses_of_fork(do_nothing), 0);
	ck_assert_int_eq(pauses_of_fork(do_nothing), 0);
	go_on();
	ck_assert_int_eq(pauses_of_fork(do_nothing), 0);
	/* it waits for the next that is stuck, though one was not counted when it left */
	get_stuck("sys_lseek", 1);
	ck_assert_int_gt(pauses_of_fork(do_nothing), 0);
	go_on();
	steer_reset();
}

TEST(another_file_can_be_used_while_a_call_does_not_return)
{
	get_stuck("sys_lseek", 1);
	use_a_file();
	ck_assert(!exists("child.pid"));
	go_on();
	steer_reset();
}

static void *fork_in_thread(void *ret_pid)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	*(pid_t *)ret_pid = pid;
	return NULL;
}

/* Each look comes a day after the one before: the process was stopped in between. */
static int64_t leaping_clock(int clock)
{
	static int64_t now_ns;

	(void)clock;
	return now_ns += INT64_C(86400) * 1000000000;
}

TEST(fork_does_not_give_up_because_the_process_was_stopped)
{
	static const struct steer_clockwork leaping = { .clock_ns = leaping_clock };

	get_stuck("sys_lseek", 1);
	steer_clockwork(&leaping);
	ck_assert_int_gt(pauses_of_fork(do_nothing), 10);
	steer_clockwork(NULL);
	go_on();
	steer_reset();
}

static void *fork_with_a_cancellation_request(void *ret_pid)
{
	pthread_cancel(pthread_self());
	fork_in_thread(ret_pid);
	pthread_testcancel();
	return NULL;
}

TEST(fork_that_waits_is_no_cancellation_point)
{
	pthread_t thread;
	pid_t pid = 0;
	void *result;

	SKIP_IF_CANCELLATION_IS_UNKNOWN();
	get_stuck("sys_lseek", 1);
	ck_assert_int_eq(pthread_create(&thread, NULL, fork_with_a_cancellation_request, &pid), 0);
	ck_assert_int_eq(pthread_join(thread, &result), 0);
	ck_assert_ptr_eq(result, PTHREAD_CANCELED);
	ck_assert_int_gt(pid, 0);
	ck_assert_int_eq(exit_status(pid), 0);
	go_on();
	steer_reset();
}

/*
 * Handlers that were registered before the library's, as of a program that loads the
 * library by dlopen(3): they run between its prepare handler and its others.
 */
static struct {
	void (*prepare)(void);
	void (*parent)(void);
	void (*child)(void);
} inside_fork;

static void call(void (*handler)(void))
{
	if (handler)
		handler();
}

static void prepare_inside(void)
{
	call(inside_fork.prepare);
}

static void parent_inside(void)
{
	call(inside_fork.parent);
}

static void child_inside(void)
{
	call(inside_fork.child);
}

__attribute__((constructor(101))) static void register_first(void)
{
	__real_pthread_atfork(prepare_inside, parent_inside, child_inside);
}

static bool is_blocked(int signal)
{
	sigset_t mask;

	pthread_sigmask(SIG_BLOCK, NULL, &mask);
	return sigismember(&mask, signal) == 1;
}

static int blocked_faults;
static bool others_blocked;

static void count_blocked_faults(void)
{
	static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS };

	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		blocked_faults += is_blocked(faults[i]);
	others_blocked = is_blocked(SIGTERM) && is_blocked(SIGRTMAX);
}

TEST(fork_does_not_block_the_signals_of_faults)
{
	pid_t pid;

	inside_fork.prepare = count_blocked_faults;
	pid = fork();
	memset(&inside_fork, 0, sizeof(inside_fork));
	if (pid == 0)
		_exit(0);
	ck_assert_int_eq(exit_status(pid), 0);
	ck_assert_int_eq(blocked_faults, 0);
	ck_assert(others_blocked);
}

static struct lockfile_pid *early, *late;
static int nested_status;

static void lock_early(void)
{
	ck_assert_int_eq(lockfile_pid_trylock(early), 0);
}

static void unlock_early(void)
{
	ck_assert_int_eq(lockfile_pid_unlock(early), 0);
}

static void lock_in_child(void)
{
	if (lockfile_pid_trylock(late) != 0)
		_exit(10);
}

TEST(handler_that_runs_inside_the_fork_may_call_the_library)
{
	pid_t pid;

	ck_assert_int_eq(lockfile_pid_new(&early, "early.pid"), 0);
	ck_assert_int_eq(lockfile_pid_new(&late, "late.pid"), 0);
	inside_fork.prepare = lock_early;
	inside_fork.parent = unlock_early;
	inside_fork.child = lock_in_child;
	pid = fork();
	memset(&inside_fork, 0, sizeof(inside_fork));
	if (pid == 0) {
		if (lockfile_pid_verify(early) != LOCKFILE_PID_ERR_ROGUE_DELETION)
			_exit(11);
		if (lockfile_pid_verify(late) != 0 || lockfile_pid_fileno(late) < 0)
			_exit(12);
		_exit(lockfile_pid_unlock(late) == 0 ? 0 : 13);
	}
	ck_assert_int_eq(exit_status(pid), 0);
	ck_assert(!exists("early.pid"));
	lockfile_pid_free(early);
	lockfile_pid_free(late);
}

/* Once, for the fork calls the handlers again. */
static void fork_inside(void)
{
	pid_t pid;

	memset(&inside_fork, 0, sizeof(inside_fork));
	pid = fork();
	if (pid == 0)
		_exit(lockfile_pid_verify(early) == LOCKFILE_PID_ERR_ROGUE_DELETION ? 0 : 1);
	if (pid < 0 || waitpid(pid, &nested_status, 0) != pid)
		nested_status = -1;
	/* the fork that called us is not over */
	if (!is_blocked(SIGTERM))
		nested_status = -2;
}

/* Of the three handlers. */
static const bool nested_in[][3] = { { true, false, false },
	                             { false, true, false },
	                             { false, false, true } };

TEST_EACH(handler_that_runs_inside_the_fork_may_fork, nested_in)
{
	pid_t pid;

#ifndef __GLIBC__
	/* musl goes on in its list where the outer fork was: it calls some handlers only */
	if (!nested_in[_i][0])
		SKIP("this C library does not call all handlers of a fork inside a fork");
#endif
	ck_assert_int_eq(lockfile_pid_new(&early, "early.pid"), 0);
	ck_assert_int_eq(lockfile_pid_trylock(early), 0);
	nested_status = 0;
	inside_fork.prepare = nested_in[_i][0] ? fork_inside : NULL;
	inside_fork.parent = nested_in[_i][1] ? fork_inside : NULL;
	inside_fork.child = nested_in[_i][2] ? fork_inside : NULL;
	pid = fork();
	memset(&inside_fork, 0, sizeof(inside_fork));
	if (pid == 0)
		_exit(nested_status != 0);
	ck_assert_int_eq(exit_status(pid), 0);
	ck_assert_int_eq(nested_status, 0);
	ck_assert_int_eq(lockfile_pid_verify(early), 0);
	ck_assert_int_eq(lockfile_pid_unlock(early), 0);
	lockfile_pid_free(early);
}

/* The handler of a signal, as daemons have it. */
static volatile sig_atomic_t handled;
static volatile sig_atomic_t unlocked;

static void unlock_on_signal(int signal)
{
	(void)signal;
	handled++;
	unlocked = lockfile_pid_unlock(early);
}

static void signal_inside(void)
{
	raise(SIGTERM);
	if (handled)
		_exit(20);
}

TEST(signal_handler_that_interrupts_fork_may_call_the_library)
{
	pid_t pid;

	ck_assert_int_eq(lockfile_pid_new(&early, "early.pid"), 0);
	ck_assert_int_eq(lockfile_pid_trylock(early), 0);
	signal(SIGTERM, unlock_on_signal);
	handled = 0;
	unlocked = 1;
	inside_fork.prepare = signal_inside;
	inside_fork.child = signal_inside;
	pid = fork();
	memset(&inside_fork, 0, sizeof(inside_fork));
	if (pid == 0)
		_exit(handled == 1 && unlocked == LOCKFILE_PID_ERR_ROGUE_DELETION ? 0 : 21);
	ck_assert_int_eq(exit_status(pid), 0);
	ck_assert_int_eq(handled, 1);
	ck_assert_int_eq(unlocked, 0);
	signal(SIGTERM, SIG_DFL);
	lockfile_pid_free(early);
}

/*
 * One thread is stuck inside the gate, a second one forks and waits for it, a third
 * one wants to enter.  For the second one time stands still.
 */
static struct {
	atomic_int tid;
	atomic_bool entered;
} visitor;

static void *visit(void *unused)
{
	(void)unused;
	visitor.tid = (int)syscall(SYS_gettid);
	gate_leave(gate_enter());
	visitor.entered = true;
	return NULL;
}

TEST(fork_by_a_thread_keeps_other_calls_out_of_the_gate)
{
	pthread_t forking, visiting;
	pid_t pid = 0;

	get_stuck("sys_lseek", 1);
	steer_fork_without_timeout();
	ck_assert_int_eq(pthread_create(&forking, NULL, fork_in_thread, &pid), 0);
	while (steer_count("sys_sleep_ns") == 0)
		sched_yield();
	ck_assert_int_eq(pthread_create(&visiting, NULL, visit, NULL), 0);
	while (visitor.tid == 0)
		sched_yield();
	while (!visitor.entered && system_call_of(visitor.tid) != SYS_futex)
		sched_yield();
	ck_assert(!visitor.entered);
	go_on();
	ck_assert_int_eq(pthread_join(forking, NULL), 0);
	ck_assert_int_eq(pthread_join(visiting, NULL), 0);
	ck_assert(visitor.entered);
	ck_assert_int_eq(exit_status(pid), 0);
	steer_reset();
}

TEST(fork_leaves_a_file_open_whose_close_may_hang)
{
	struct pidfile file = PIDFILE_NONE;
	pid_t pid;
	int fd;

	make(&file);
	fd = file.descriptor.fd;
	file.descriptor.may_hang = true;
	pid = fork();
	if (pid == 0)
		_exit(!pidfile_exists(&file) && fcntl(fd, F_GETFD) >= 0 ? 0 : 1);
	ck_assert_int_eq(exit_status(pid), 0);
	end(&file);
}

static const struct {
	unsigned long type;
	bool may_hang;
} kinds[] = { { 0xef53, false }, { 0x6969, true }, { 0x65735546, true } };

TEST_EACH(close_may_hang_on_network_file_systems_only, kinds)
{
	struct pidfile file = PIDFILE_NONE;

	steer_reset();
	steer_file_system(kinds[_i].type);
	make(&file);
	ck_assert_int_eq(file.descriptor.may_hang, kinds[_i].may_hang);
	end(&file);
	steer_reset();
}

/* The record does not help then: a child's copy would keep the lock. */
TEST(child_closes_a_file_without_a_record_on_any_file_system)
{
	struct pidfile file = PIDFILE_NONE;

	steer_reset();
	steer_file_system(0x6969);
	steer_result("sys_fsetxattr", EVERY, -EOPNOTSUPP);
	make(&file);
	ck_assert(!file.descriptor.may_hang);
	end(&file);
	steer_reset();
}

static void hold_cluster_lock(void *unused)
{
	struct lockfile_pid *lock;
	pid_t pid;
	int fd;

	(void)unused;
	steer_reset();
	steer_file_system(0x6969);
	REQUIRE(lockfile_pid_new(&lock, FILE_NAME) == 0);
	REQUIRE(lockfile_pid_set_cluster_locks(lock, 1) == 0);
	REQUIRE(lockfile_pid_trylock(lock) == 0);
	fd = lockfile_pid_fileno(lock);
	pid = fork();
	if (pid == 0)
		_exit(fcntl(fd, F_GETFD) < 0 ? 0 : 1);
	REQUIRE(exit_status(pid) == 0);
	REQUIRE(lockfile_pid_unlock(lock) == 0);
	lockfile_pid_free(lock);
}

TEST(child_closes_the_file_of_a_cluster_lock)
{
	ck_assert_int_eq(in_child(hold_cluster_lock, NULL), 0);
}

TEST(the_file_system_of_a_handle_is_asked_for_once)
{
	struct lockfile_pid *lock;

	ck_assert_int_eq(lockfile_pid_new(&lock, FILE_NAME), 0);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	steer_reset();
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(steer_count("sys_fstatfs_type"), 0);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	steer_reset();
	lockfile_pid_free(lock);
}

/* When the number of a closed descriptor is the program's already, another thread forks. */
static void *fork_and_look(void *ret_status)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(fcntl(*(int *)ret_status, F_GETFD) < 0);
	*(int *)ret_status = exit_status(pid);
	return NULL;
}

static void reuse_and_fork(void *argument)
{
	int *number = argument, fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	pthread_t thread;

	ck_assert_int_eq(fd, *number);
	ck_assert_int_eq(pthread_create(&thread, NULL, fork_and_look, argument), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	close(fd);
}

TEST(fork_in_the_middle_of_a_close_closes_no_file_of_the_programs)
{
	struct descriptor other = DESCRIPTOR_NONE;
	int number;

	enter_other(&other);
	number = other.fd;
	steer_reset();
	steer_after("sys_close", 1, reuse_and_fork, &number);
	fd_close(&other);
	steer_reset();
	ck_assert_int_eq(number, 0);
}

/* Random numbers. */

#define NUMBERS 200

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void assert_distinct(uint64_t *numbers, size_t count)
{
	qsort(numbers, count, sizeof(numbers[0]), compare);
	for (size_t i = 1; i < count; i++)
		ck_assert_uint_ne(numbers[i - 1], numbers[i]);
}

TEST(each_number_is_another)
{
	uint64_t numbers[NUMBERS];

	ck_assert_int_eq(process_init(), 0);
	for (int i = 0; i < NUMBERS; i++)
		numbers[i] = process_nonce();
	assert_distinct(numbers, NUMBERS);
}

static const struct {
	long long result;
	pid_t (*make)(void);
} generators[] = {
	{ 0, fork }, { 0, raw_fork }, { -EAGAIN, fork }, { -ENOSYS, fork }, { 4, fork },
};

/* Each of some processes, the first one included, draws two. */
TEST_EACH(each_number_is_another_in_each_process, generators)
{
	uint64_t numbers[NUMBERS];
	int ends[2];

	steer_reset();
	ck_assert_int_eq(process_init(), 0);
	if (generators[_i].result)
		steer_result("sys_getrandom", EVERY, generators[_i].result);
	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	numbers[0] = process_nonce();
	numbers[1] = process_nonce();
	for (int i = 2; i < NUMBERS; i += 2) {
		pid_t pid = generators[_i].make();

		if (pid == 0) {
			uint64_t pair[2] = { process_nonce(), process_nonce() };

			_exit(write(ends[1], pair, sizeof(pair)) != sizeof(pair));
		}
		ck_assert_int_eq(exit_status(pid), 0);
		ck_assert_int_eq(read(ends[0], &numbers[i], 16), 16);
	}
	close(ends[0]);
	close(ends[1]);
	assert_distinct(numbers, NUMBERS);
	steer_reset();
}

/* The list. */

static void assert_known(const struct pidfile *file, bool expected)
{
	ck_assert_int_eq(pidfile_is_of_process(file), expected);
	ck_assert_int_eq(pidfile_find_nonce(file->nonce), expected);
	ck_assert_int_eq(pidfile_find_inode(file->dev, file->ino), expected);
}

static const int orders[][3] = {
	{ 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 }, { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 },
};

TEST_EACH(files_leave_the_list_in_any_order, orders)
{
	static const char *const names[] = { "a", "b", "c" };
	struct pidfile files[3] = { PIDFILE_NONE, PIDFILE_NONE, PIDFILE_NONE };
	bool known[3] = { true, true, true };

	ck_assert_int_eq(process_init(), 0);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(pidfile_make_named(&files[i], AT_FDCWD, names[i], 0644, false), 0);
	for (int i = 0; i < 3; i++) {
		pidfile_drop(&files[orders[_i][i]]);
		known[orders[_i][i]] = false;
		for (int j = 0; j < 3; j++)
			assert_known(&files[j], known[j]);
	}
	for (int i = 0; i < 3; i++)
		unlink(names[i]);
}

TEST_EACH(a_file_is_moved_from_any_place_in_the_list, orders)
{
	static const char *const names[] = { "a", "b", "c" };
	struct pidfile files[3] = { PIDFILE_NONE, PIDFILE_NONE, PIDFILE_NONE }, moved[3];

	ck_assert_int_eq(process_init(), 0);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(pidfile_make_named(&files[i], AT_FDCWD, names[i], 0644, false), 0);
	for (int i = 0; i < 3; i++) {
		pidfile_move(&moved[orders[_i][i]], &files[orders[_i][i]]);
		ck_assert(!pidfile_exists(&files[orders[_i][i]]));
		for (int j = 0; j <= i; j++)
			assert_known(&moved[orders[_i][j]], true);
	}
	for (int i = 0; i < 3; i++) {
		ck_assert(pidfile_has_fd(&moved[orders[0][i]]));
		pidfile_drop(&moved[orders[0][i]]);
		assert_known(&moved[orders[0][i]], false);
		unlink(names[i]);
	}
}

TEST(what_enters_is_not_shared)
{
	struct descriptor descriptor = { .fd = -1, .is_kept = true };
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	ck_assert_int_eq(process_init(), 0);
	fd_track(&descriptor, fd);
	ck_assert(!descriptor.is_kept);
	fd_close(&descriptor);
}

TEST(a_failed_look_at_who_we_are_is_told_and_forgotten)
{
	struct pidfile file = PIDFILE_NONE;
	struct owner self;

	ck_assert_int_eq(process_init(), 0);
	steer_reset();
	steer_result("sys_pidfd_open", 1, -EMFILE);
	ck_assert_int_eq(process_self(&self), -EMFILE);
	steer_result("sys_pidfd_open", 1, -EMFILE);
	ck_assert_int_eq(pidfile_make_named(&file, AT_FDCWD, FILE_NAME, 0644, false), -EMFILE);
	assert_nothing_left();
	steer_reset();
	ck_assert_int_eq(process_self(&self), 0);
	ck_assert_int_gt(steer_count("sys_pidfd_open"), 0);
	ck_assert_int_eq(self.pid, getpid());
	steer_reset();
}

TEST(who_does_not_know_itself_takes_no_lock_for_another_process)
{
	struct lockfile_pid *lock;

	ck_assert_int_eq(lockfile_pid_new(&lock, "x.pid"), 0);
	steer_reset();
	steer_result("sys_pidfd_open", 1, -EMFILE);
	ck_assert_int_eq(lockfile_pid_set_process(lock, getppid()), -EMFILE);
	steer_reset();
	lockfile_pid_free(lock);
}

TEST(unknown_numbers_and_inodes_are_nobodys)
{
	struct pidfile file = PIDFILE_NONE;

	make(&file);
	ck_assert(!pidfile_find_nonce(file.nonce + 1));
	ck_assert(!pidfile_find_inode(file.dev, file.ino + 1));
	ck_assert(!pidfile_find_inode(file.dev + 1, file.ino));
	end(&file);
}

/* The list has descriptors of other kinds too, whose memory is not to be taken for that of a file. */
TEST(what_is_no_file_has_neither_number_nor_inode)
{
	struct pidfile none = { .dev = 1, .ino = 2, .nonce = 3 };
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	ck_assert_int_eq(process_init(), 0);
	fd_track(&none.descriptor, fd);
	ck_assert(!pidfile_find_nonce(3));
	ck_assert(!pidfile_find_inode(1, 2));
	fd_close(&none.descriptor);
}
