/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is cheap stays cheap: the system calls of the library and of the tool, one
 * by one (tests/calls.h).  They do not depend on the machine, as times do.
 *
 * Who changes them on purpose changes the tables: a failure shows both lists.
 */
#include <config.h>

#include "calls.h"
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <lockfile-pid.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define LOCK "x.pid"

/* Those of gcov, where it counts, which then writes files at the end of a process. */
void __gcov_dump(void) __attribute__((weak));

/*
 * A new lock file.  Before Linux 6.10 those without privilege link it by a second
 * call.
 */
#define MAKE "open lseek stat"
/* The directory is opened before, and kept while the lock is held. */
#define KEEP "open"
#define FILL "pwrite setxattr fcntl"
#define LINK "link link? stat"
/* A relative path: the current directory, by its name; and the root directory. */
#define NEW "getcwd stat stat stat stat"
/* What a process does once: a seed for random numbers, */
#define SEED "getrandom getpid"
/* what a handle asks once, about the file system, */
#define ASK "statfs"
/* and what a process learns of itself; the stat, of a pidfd, since Linux 6.9. */
#define SELF                                                                \
	"getpid readlink readlink readlink getpid getpid open pread close " \
	"pidfd_open statfs stat? close open pread close"

#define RELEASE "lseek stat stat pread unlink stat close_range close? close?"

/* What stands there: its type and owner, its content, its attribute, its process. */
#define JUDGE                                                                                      \
	"openat2 stat open close fcntl geteuid pread getxattr pidfd_open poll statfs stat? close " \
	"close"

static void skip_where_calls_differ(void)
{
	int fd;

	if (ADDRESS_SANITIZER || THREAD_SANITIZER)
		SKIP("a sanitizer, with calls of its own");
	if (getenv("LD_PRELOAD"))
		SKIP("another library may make calls, by LD_PRELOAD");
	if (is_emulated())
		SKIP("an emulator, which cannot be traced");
	fd = open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0)
		SKIP("needs O_TMPFILE: without, locks are made otherwise");
	close(fd);
	skip_if_shared();
	skip_without_attributes();
	skip_without_pidfds();
}

static struct trace traced(void (*f)(void *), void *argument)
{
	struct trace seen;
	int r = trace(&seen, f, argument);

	/* EIO: before Linux 5.3; the others: of a sandbox */
	if (r == -EIO || r == -EPERM || r == -ENOSYS)
		SKIP("processes cannot be traced here: %s", strerror(-r));
	ck_assert_int_eq(r, 0);
	ck_assert(WIFEXITED(seen.status));
	return seen;
}

static void assert_traced(const char *what, const struct trace *seen,
                          const struct selection *selection, const char *expected)
{
	char list[CALLS_SIZE];

	calls_list(list, seen, selection);
	assert_calls(what, list, expected);
}

/* Each begins with a mark. */
static const struct {
	const char *what, *calls;
} steps[] = {
	{ "new", "madvise madvise getrandom? " NEW },
	{ "the first trylock", KEEP " " SEED " " MAKE " " ASK " " SELF " " FILL " " LINK },
	{ "the first unlock", RELEASE },
	{ "the second trylock", KEEP " " MAKE " " FILL " " LINK },
	{ "the second unlock", RELEASE },
	{ "the third trylock", KEEP " " MAKE " " FILL " " LINK },
	{ "the third unlock", RELEASE },
	{ "free", "" },
};

static void use_thrice(void *unused)
{
	struct lockfile_pid *lock;

	(void)unused;
	trace_mark();
	REQUIRE(lockfile_pid_new(&lock, LOCK) == 0);
	for (int i = 0; i < 3; i++) {
		trace_mark();
		REQUIRE(lockfile_pid_trylock(lock) == 0);
		trace_mark();
		REQUIRE(lockfile_pid_unlock(lock) == 0);
	}
	trace_mark();
	lockfile_pid_free(lock);
	trace_mark();
}

TEST_EACH(a_cycle_that_nobody_contends_makes_these_calls, steps)
{
	struct selection selection = { .marks = 1 + _i };
	struct trace seen;

	skip_where_calls_differ();
	seen = traced(use_thrice, NULL);
	ck_assert_int_eq(seen.status, 0);
	assert_traced(steps[_i].what, &seen, &selection, steps[_i].calls);
	free(seen.calls);
}

/*
 * A real wait, since the sleeps of the kernel are what is counted.  A slow machine
 * sleeps for longer, and so less often, but never more often; and each part of the
 * list has its table.
 */
#define WAIT_S      10
#define SLEEPS_MOST WAIT_S
#define SLEEP       " sleep "

static const char joining[] =
	/* an attempt */
	KEEP " " MAKE " " FILL " " LINK " " JUDGE " lseek close fcntl close "
	     /* the wait queue: handlers of signals, a FIFO of our own, who is before us? */
	     "sigprocmask sigaction epoll_create open stat geteuid stat statfs stat mknod "
	     "stat statfs stat open fcntl stat epoll_ctl epoll_wait "
	/* an attempt in the wait queue, as its first; the next lock file is made; may we make one? */
	JUDGE " fcntl pidfd_open epoll_ctl " MAKE " " FILL " access";
static const char looking[] = "stat stat poll stat";
static const char leaving[] =
	/* a look, the last attempt, the line */
	"stat stat poll stat stat " JUDGE " "
	"fcntl fcntl stat unlink fcntl close close close close lseek close sigprocmask";

static void ignore(int signal)
{
	(void)signal;
}

static void wait_in_vain(void *unused)
{
	struct sigaction action = { .sa_handler = ignore };
	struct lockfile_pid *lock;

	(void)unused;
	/* the first that is looked for */
	REQUIRE(sigaction(SIGHUP, &action, NULL) == 0);
	REQUIRE(lockfile_pid_new(&lock, LOCK) == 0);
	/* what is done once in a process */
	REQUIRE(lockfile_pid_trylock(lock) == LOCKFILE_PID_ERR_BUSY);
	trace_mark();
	REQUIRE(lockfile_pid_timedlock(lock, WAIT_S * 1000) == -ETIMEDOUT);
	trace_mark();
}

/* How many signals a kernel has is its own affair: each is asked for its handler. */
static void join_repeated(char *list, const char *word)
{
	size_t length = strlen(word);
	char *at = list;

	while ((at = strstr(at, word)))
		if (strncmp(at + length, word, length) == 0)
			memmove(at, at + length, strlen(at + length) + 1);
		else
			at += length;
}

static void check_part(char *part, bool is_first, bool is_last)
{
	join_repeated(part, "sigaction ");
	if (is_last)
		assert_calls("to leave", part, leaving);
	else if (is_first)
		assert_calls("to join", part, joining);
	else
		assert_calls("a look", part, looking);
}

/* How often did it sleep?  The list is cut at each sleep. */
static int check_wait(char *list)
{
	int sleeps = 0;
	char *end;

	for (char *part = list; part; part = end, sleeps++) {
		end = strstr(part, SLEEP);
		if (end) {
			*end = '\0';
			end += strlen(SLEEP);
		}
		check_part(part, sleeps == 0, !end);
	}
	return sleeps - 1;
}

TEST(a_wait_of_10_seconds_sleeps_and_makes_these_calls)
{
	struct selection selection = { .marks = 1 };
	char list[CALLS_SIZE];
	struct holder holder;
	struct trace seen;
	int sleeps;

	skip_where_calls_differ();
	holder = holder_start(LOCK);
	ck_assert_int_eq(holder_do(&holder, "trylock"), 0);
	seen = traced(wait_in_vain, NULL);
	ck_assert_int_eq(seen.status, 0);
	calls_list(list, &seen, &selection);
	sleeps = check_wait(list);
	ck_assert_int_ge(sleeps, 1);
	ck_assert_int_le(sleeps, SLEEPS_MOST);
	free(seen.calls);
	holder_end(&holder);
}

/*
 * Standard streams, the lock (glibc wants a random number for its first allocation), the
 * signals.  What libc calls before the tool's first call differs between its versions.
 */
#define TOOL_FIRST  "fcntl"
#define TOOL_BEGINS TOOL_FIRST " fcntl fcntl madvise madvise getrandom? " NEW
#define RUN_BEGINS                                                                             \
	TOOL_BEGINS " sigprocmask sigaction " KEEP " " SEED " " MAKE " " ASK " " SELF " " FILL \
		    " " LINK

/* Without those of the loader, and of the command. */
static const struct {
	const char *arguments[5];
	bool is_held;
	int status;
	const char *calls;
	const char *calls_of_child;
} tools[] = {
	{ { "run", LOCK, "/bin/true" },
	  false,
	  0,
	  RUN_BEGINS " getpid open close? fork sigwait wait " RELEASE " exit",
	  "sigprocmask exec" },
	{ { "run", "-F", LOCK, "/bin/true" },
	  false,
	  0,
	  RUN_BEGINS " lseek fcntl sigwait sigprocmask exec",
	  "" },
	{ { "check", LOCK },
	  false,
	  3,
	  TOOL_BEGINS " open openat2 close stat ioctl sigaction write exit",
	  "" },
	{ { "check", "-q", LOCK }, false, 3, TOOL_BEGINS " open openat2 close exit", "" },
	{ { "check", "-q", LOCK },
	  true,
	  0,
	  TOOL_BEGINS " open openat2 stat open close fcntl geteuid " SEED " " SELF
	              " pread getxattr pidfd_open poll statfs stat? close close close exit",
	  "" },
};

/* The tool asks what becomes of signals, and a shell or nohup may ignore some. */
static void forget_signals(void)
{
	for (int i = 1; i < NSIG; i++)
		signal(i, SIG_DFL);
}

static void become_tool(void *row)
{
	const char *const *from = tools[*(int *)row].arguments;
	char *argv[6] = { getenv("TOOL") };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int i = 0; i < 5 && from[i]; i++)
		argv[1 + i] = strdup(from[i]);
	for (int fd = 0; fd < 3; fd++)
		REQUIRE(dup2(null, fd) == fd);
	forget_signals();
	execv(argv[0], argv);
	_exit(99);
}

/* What a program does before its main() must be its loader's, and told apart. */
static void skip_where_programs_begin_otherwise(void)
{
#ifndef __GLIBC__
	SKIP("the loader is the C library, and its calls are not told apart");
#endif
	if (__gcov_dump)
		SKIP("coverage is counted, with calls at the end of a process");
}

static void assert_tool_traced(const struct trace *seen, const char *expected)
{
	const struct selection of_tool = { .image = 1 };
	char list[CALLS_SIZE];
	const char *first;

	calls_list(list, seen, &of_tool);
	first = strstr(list, TOOL_FIRST);
	assert_calls("the tool", first ? first : list, expected);
}

static bool has_loader(const struct trace *seen)
{
	for (size_t i = 0; i < seen->count; i++)
		if (seen->calls[i].by_loader)
			return true;
	return false;
}

TEST_EACH(the_tool_makes_these_calls, tools)
{
	struct selection of_child = { .process = 1, .image = 1 };
	struct holder holder;
	struct trace seen;

	skip_where_calls_differ();
	skip_where_programs_begin_otherwise();
	if (tools[_i].is_held) {
		holder = holder_start(LOCK);
		ck_assert_int_eq(holder_do(&holder, "trylock"), 0);
	}
	seen = traced(become_tool, &_i);
	ck_assert_int_eq(WEXITSTATUS(seen.status), tools[_i].status);
	if (!has_loader(&seen))
		SKIP("a static program begins otherwise");
	assert_tool_traced(&seen, tools[_i].calls);
	assert_traced("its child", &seen, &of_child, tools[_i].calls_of_child);
	free(seen.calls);
	if (tools[_i].is_held)
		holder_end(&holder);
	else
		unlink(LOCK);
}
