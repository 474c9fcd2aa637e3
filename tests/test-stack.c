/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A thread with the smallest stack that there is, 16 KiB on most machines.  Of these the C
 * library takes some for itself: about 4 KiB for what threads have of their own, and up to
 * 3 KiB to bind a function at its first call.  So each function is called first on such a
 * stack, in a process of its own.
 */
#include <config.h>

#include "no-tmpfile.h"
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <lockfile-pid.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define PATH  "x.pid"
#define STACK 16384
/* To remain, so that the next call that is added does not overflow. */
#define RESERVE 1024
#define PAINT   0xa5

#ifndef __has_attribute
#define __has_attribute(x) 0
#endif
#if __has_attribute(noipa)
#define WITHOUT_INLINING __attribute__((noipa))
#else
#define WITHOUT_INLINING __attribute__((noinline))
#endif

static struct lockfile_pid *lock;
static struct holder other;
static int result;

struct row {
	const char *name;
	void (*before)(void);
	void (*act)(void); /* on the small stack */
	int result;
	void (*meanwhile)(pthread_t thread, pid_t tid);
};

struct small_stack {
	unsigned char *memory;
	size_t size, page;
	unsigned char *top; /* where the thread's own function began */
	pid_t tid;          /* atomic */
	void (*act)(void);
};

static void make_stack(struct small_stack *stack)
{
	long least = sysconf(_SC_THREAD_STACK_MIN);

	stack->page = (size_t)sysconf(_SC_PAGESIZE);
	stack->size = least > STACK ? (size_t)least : STACK;
	stack->memory = mmap(NULL, stack->page + stack->size, PROT_READ | PROT_WRITE,
	                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	ck_assert_ptr_ne(stack->memory, MAP_FAILED);
	memset(stack->memory, PAINT, stack->page + stack->size);
	/* an overflow is to end the test */
	ck_assert_int_eq(mprotect(stack->memory, stack->page, PROT_NONE), 0);
}

static size_t count_unused(const struct small_stack *stack)
{
	const unsigned char *p = stack->memory + stack->page;
	size_t i = 0;

	while (i < stack->size && p[i] == PAINT)
		i++;
	return i;
}

WITHOUT_INLINING static void *run(void *argument)
{
	struct small_stack *stack = argument;
	unsigned char here;

	stack->top = &here;
	__atomic_store_n(&stack->tid, (pid_t)syscall(SYS_gettid), __ATOMIC_SEQ_CST);
	stack->act();
	return NULL;
}

static pid_t tid_of(struct small_stack *stack)
{
	pid_t tid;

	while ((tid = __atomic_load_n(&stack->tid, __ATOMIC_SEQ_CST)) == 0)
		sched_yield();
	return tid;
}

/* STACK_USE: whoever wants to know, by name. */
static void tell_use(const struct row *row, const struct small_stack *stack, size_t left)
{
	size_t above = stack->size - (size_t)(stack->top - (stack->memory + stack->page));

	if (getenv("STACK_USE"))
		fprintf(stderr, "%5zu bytes, and %zu of the C library: %s\n",
		        stack->size - left - above, above, row->name);
}

static void act_on_small_stack(const struct row *row)
{
	struct small_stack stack = { .act = row->act };
	pthread_attr_t attributes;
	pthread_t thread;
	size_t left;

	make_stack(&stack);
	ck_assert_int_eq(pthread_attr_init(&attributes), 0);
	ck_assert_int_eq(pthread_attr_setstack(&attributes, stack.memory + stack.page, stack.size),
	                 0);
	ck_assert_int_eq(pthread_create(&thread, &attributes, run, &stack), 0);
	if (row->meanwhile)
		row->meanwhile(thread, tid_of(&stack));
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	left = count_unused(&stack);
	tell_use(row, &stack, left);
	ck_assert_uint_ge(left, RESERVE);
	pthread_attr_destroy(&attributes);
	munmap(stack.memory, stack.page + stack.size);
}

/* Before */

static void is_new(void)
{
	lock = new_lock(PATH);
}

static void is_held(void)
{
	is_new();
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
}

static void is_inheritable(void)
{
	is_new();
	ck_assert_int_eq(lockfile_pid_set_inheritable(lock, 1), 0);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
}

#define DESCRIPTORS 256

static void is_closed(void)
{
	bool was_open[DESCRIPTORS];

	is_new();
	for (int fd = 0; fd < DESCRIPTORS; fd++)
		was_open[fd] = fcntl(fd, F_GETFD) >= 0;
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	for (int fd = 0; fd < DESCRIPTORS; fd++)
		if (!was_open[fd])
			close(fd);
}

static void others_hold(void)
{
	is_new();
	other = holder_start(PATH);
	ck_assert_int_eq(holder_do(&other, "trylock"), 0);
}

static void is_waiting(void)
{
	others_hold();
	ck_assert_int_eq(lockfile_pid_wait_begin(lock), LOCKFILE_PID_ERR_BUSY);
}

static void comes_next(void)
{
	is_waiting();
	ck_assert_int_eq(holder_do(&other, "unlock"), 0);
}

static void others_wait(void)
{
	is_held();
	other = holder_start(PATH);
	holder_ask(&other, "lock");
	await_blocked(&other);
}

static void is_stale(void)
{
	char text[32];

	is_new();
	snprintf(text, sizeof(text), "%d\n", (int)dead_pid());
	write_file(PATH, text);
}

/* Ours, and its maker dead. */
static void is_left(void)
{
	others_hold();
	holder_kill(&other);
	other.pid = 0;
}

static void is_long(void)
{
	char text[4097];

	is_new();
	snprintf(text, sizeof(text), "%4090d\n", (int)getppid());
	write_file(PATH, text);
}

static void is_no_lock_file(void)
{
	char text[5000];

	is_new();
	snprintf(text, sizeof(text), "%4990d\n", (int)getppid());
	write_file(PATH, text);
}

static void is_removed(void)
{
	is_held();
	ck_assert_int_eq(unlink(PATH), 0);
}

static void note_signal(int signal)
{
	(void)signal;
}

/* In the wait its handler runs, and it goes on. */
static void has_handlers(void)
{
	struct sigaction action = { .sa_handler = note_signal, .sa_flags = SA_RESTART };

	ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
	others_hold();
}

/* Meanwhile: once it sleeps. */

static void signal_and_release(pthread_t thread, pid_t tid)
{
	while (thread_state(tid) != 'S')
		sched_yield();
	ck_assert_int_eq(pthread_kill(thread, SIGUSR1), 0);
	ck_assert_int_eq(holder_do(&other, "unlock"), 0);
}

static void die(pthread_t thread, pid_t tid)
{
	(void)thread;
	while (thread_state(tid) != 'S')
		sched_yield();
	holder_kill(&other);
	other.pid = 0;
}

/* What is called on the small stack */

static void call_new(void)
{
	result = lockfile_pid_new(&lock, PATH);
}

static void call_open(void)
{
	result = lockfile_pid_open(&lock, PATH, 0, NULL);
}

static void call_open_and_wait(void)
{
	struct lockfile_pid *second;

	result = lockfile_pid_open(&second, PATH, LOCKFILE_PID_WAIT, NULL);
	if (result == 0)
		lockfile_pid_free(second);
}

static void call_holder(void)
{
	result = lockfile_pid_holder(lock);
}

static void call_signal(void)
{
	result = lockfile_pid_signal(lock, 0);
}

static void call_adopt(void)
{
	result = lockfile_pid_adopt(lock);
}

static void call_new_by_full_name(void)
{
	result = lockfile_pid_new(&lock, "/nowhere/" PATH);
}

static void call_free(void)
{
	lockfile_pid_free(lock);
	lock = NULL;
}

static void call_path(void)
{
	result = strcmp(lockfile_pid_path(lock), PATH);
}

static void call_set_mode(void)
{
	result = lockfile_pid_set_mode(lock, 0600);
}

static void call_set_inheritable(void)
{
	result = lockfile_pid_set_inheritable(lock, 1);
}

static void call_set_cluster_locks(void)
{
	result = lockfile_pid_set_cluster_locks(lock, 1);
}

static void call_set_process(void)
{
	result = lockfile_pid_set_process(lock, getpid());
}

static void call_trylock(void)
{
	result = lockfile_pid_trylock(lock);
}

static void call_lock(void)
{
	result = lockfile_pid_lock(lock);
}

static void call_timedlock(void)
{
	result = lockfile_pid_timedlock(lock, 20);
}

static void call_unlock(void)
{
	result = lockfile_pid_unlock(lock);
}

static void call_must_unlock(void)
{
	lockfile_pid_must_unlock(lock);
}

static void call_verify(void)
{
	result = lockfile_pid_verify(lock);
}

static void call_check(void)
{
	result = lockfile_pid_check(lock, NULL);
}

static void call_fileno(void)
{
	result = lockfile_pid_fileno(lock) < 0;
}

static void call_wait_begin(void)
{
	result = lockfile_pid_wait_begin(lock);
}

static void call_wait_fd(void)
{
	result = lockfile_pid_wait_fd(lock) < 0;
}

static void call_wait_continue(void)
{
	result = lockfile_pid_wait_continue(lock);
}

static void call_wait_cancel(void)
{
	result = lockfile_pid_wait_cancel(lock);
}

static void call_strerror(void)
{
	result = strlen(lockfile_pid_strerror(-EIO)) == 0;
}

static void call_version(void)
{
	result = strcmp(lockfile_pid_version(), LOCKFILE_PID_VERSION);
}

/* The handlers of fork(2) run on the stack of the thread that calls it. */
static void call_fork(void)
{
	int status = -1;
	pid_t child = fork();

	if (child == 0)
		_exit(lockfile_pid_verify(lock) != LOCKFILE_PID_ERR_ROGUE_DELETION);
	result = waitpid(child, &status, 0) != child || status != 0;
}

static void call_adopt_in_child(void)
{
	int status = -1;
	pid_t child = fork();

	if (child == 0)
		_exit(lockfile_pid_adopt(lock) != 0 || lockfile_pid_unlock(lock) != 0);
	result = waitpid(child, &status, 0) != child || status != 0;
}

#define BUSY    LOCKFILE_PID_ERR_BUSY
#define DEAD    LOCKFILE_PID_ERR_PROCESS_DEAD
#define INVALID LOCKFILE_PID_ERR_INVALID_PID
#define ROGUE   LOCKFILE_PID_ERR_ROGUE_DELETION

static const struct row rows[] = {
	{ "new", NULL, call_new, 0, NULL },
	{ "new by full name", NULL, call_new_by_full_name, 0, NULL },
	{ "open", NULL, call_open, 0, NULL },
	{ "open, until a release", has_handlers, call_open_and_wait, 0, signal_and_release },
	{ "holder", is_new, call_holder, 0, NULL },
	{ "signal", others_hold, call_signal, 0, NULL },
	{ "signal, stale", is_stale, call_signal, DEAD, NULL },
	{ "signal, third-party", is_long, call_signal, 0, NULL },
	{ "adopt by the holder", is_inheritable, call_adopt, 0, NULL },
	{ "free", is_new, call_free, 0, NULL },
	{ "free, held", is_held, call_free, 0, NULL },
	{ "free, inheritable", is_inheritable, call_free, 0, NULL },
	{ "free, waiting", is_waiting, call_free, 0, NULL },
	{ "free, closed externally", is_closed, call_free, 0, NULL },
	{ "path", is_new, call_path, 0, NULL },
	{ "set_mode", is_new, call_set_mode, 0, NULL },
	{ "set_inheritable", is_new, call_set_inheritable, 0, NULL },
	{ "set_cluster_locks", is_new, call_set_cluster_locks, 0, NULL },
	{ "set_process", is_new, call_set_process, 0, NULL },
	{ "trylock", is_new, call_trylock, 0, NULL },
	{ "trylock, busy", others_hold, call_trylock, BUSY, NULL },
	{ "trylock, stale", is_stale, call_trylock, 0, NULL },
	{ "trylock, left behind", is_left, call_trylock, 0, NULL },
	{ "trylock, long file", is_long, call_trylock, BUSY, NULL },
	{ "trylock, no lock file", is_no_lock_file, call_trylock, INVALID, NULL },
	{ "timedlock", is_new, call_timedlock, 0, NULL },
	{ "timedlock, busy", others_hold, call_timedlock, -ETIMEDOUT, NULL },
	{ "timedlock, third-party", is_long, call_timedlock, -ETIMEDOUT, NULL },
	{ "lock", is_new, call_lock, 0, NULL },
	{ "lock, left behind", is_left, call_lock, 0, NULL },
	{ "lock, until a release", has_handlers, call_lock, 0, signal_and_release },
	{ "lock, until a death", others_hold, call_lock, 0, die },
	{ "unlock", is_held, call_unlock, 0, NULL },
	{ "unlock, inheritable", is_inheritable, call_unlock, 0, NULL },
	{ "unlock, closed externally", is_closed, call_unlock, 0, NULL },
	{ "unlock, others wait", others_wait, call_unlock, 0, NULL },
	{ "unlock, removed", is_removed, call_unlock, ROGUE, NULL },
	{ "must_unlock", is_held, call_must_unlock, 0, NULL },
	{ "verify", is_held, call_verify, 0, NULL },
	{ "verify, inheritable", is_inheritable, call_verify, 0, NULL },
	{ "verify, closed externally", is_closed, call_verify, 0, NULL },
	{ "check", is_new, call_check, 0, NULL },
	{ "check, busy", others_hold, call_check, BUSY, NULL },
	{ "check, left behind", is_left, call_check, DEAD, NULL },
	{ "check, stale", is_stale, call_check, DEAD, NULL },
	{ "fileno", is_held, call_fileno, 0, NULL },
	{ "wait_begin", is_new, call_wait_begin, 0, NULL },
	{ "wait_begin, busy", others_hold, call_wait_begin, BUSY, NULL },
	{ "wait_fd", is_waiting, call_wait_fd, 0, NULL },
	{ "wait_continue, busy", is_waiting, call_wait_continue, BUSY, NULL },
	{ "wait_continue, acquired", comes_next, call_wait_continue, 0, NULL },
	{ "wait_cancel", is_waiting, call_wait_cancel, 0, NULL },
	{ "strerror", NULL, call_strerror, 0, NULL },
	{ "version", NULL, call_version, 0, NULL },
	{ "fork", is_held, call_fork, 0, NULL },
	{ "adopt", is_inheritable, call_adopt_in_child, 0, NULL },
};

static void end(void)
{
	lockfile_pid_free(lock);
	if (other.pid != 0)
		holder_end(&other);
	unlink(PATH);
	assert_nothing_left();
}

static void skip_if_stack_is_larger(void)
{
	if (ADDRESS_SANITIZER || THREAD_SANITIZER)
		SKIP("a sanitizer needs more stack");
	if (is_under_valgrind())
		SKIP("valgrind lets nobody look below the stack");
}

static void try_row(const struct row *row)
{
	result = 0;
	if (row->before)
		row->before();
	act_on_small_stack(row);
	ck_assert_int_eq(result, row->result);
	end();
}

TEST_EACH(a_small_stack_is_enough, rows)
{
	skip_if_stack_is_larger();
	try_row(&rows[_i]);
}

TEST_EACH(a_small_stack_is_enough_without_o_tmpfile, rows)
{
	skip_if_stack_is_larger();
	if (refuse_o_tmpfile(test_dir) < 0)
		SKIP("this process cannot be filtered");
	try_row(&rows[_i]);
}

static void fail_to_unlock(void *unused)
{
	static const struct row row = { "must_unlock, fails", is_new, call_must_unlock, 0, NULL };
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	(void)unused;
	if (dup2(null, STDERR_FILENO) >= 0)
		try_row(&row);
}

TEST(a_small_stack_is_enough_to_say_why_a_lock_cannot_be_released)
{
	skip_if_stack_is_larger();
	ck_assert_int_eq(in_child(fail_to_unlock, NULL), 128 + SIGABRT);
}

/* Else the tests above do not do what they say. */
TEST(functions_are_bound_at_their_first_call)
{
	for (const ElfW(Dyn) *d = _DYNAMIC; d->d_tag != DT_NULL; d++) {
		ck_assert(d->d_tag != DT_BIND_NOW);
		ck_assert(d->d_tag != DT_FLAGS || !(d->d_un.d_val & DF_BIND_NOW));
		ck_assert(d->d_tag != DT_FLAGS_1 || !(d->d_un.d_val & DF_1_NOW));
	}
	ck_assert_ptr_null(getenv("LD_BIND_NOW"));
}
