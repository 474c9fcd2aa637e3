/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * common - what the tests share
 *
 *	#include "common.h"
 *
 *	TEST(second_unlock_reports_rogue_deletion)
 *	{
 *		...
 *		ck_assert_int_eq(...);
 *	}
 *
 * Each test is a process of its own (Check) and starts in an empty temporary
 * directory, its current one, which has to be empty again at the end.  The
 * program's main() is in common.c; it runs the tests in the order of the file
 * and prints TAP.
 */
#ifndef COMMON_H
#define COMMON_H

#include <check.h>
#include <stdbool.h>
#include <sys/types.h>

/* A test for which a time-out means "hangs"; tests must not depend on time. */
#define DEFAULT_TIMEOUT_S 60

#define TEST(name)                 TEST_FULL(name, 1, DEFAULT_TIMEOUT_S)
#define TEST_WITHIN(name, seconds) TEST_FULL(name, 1, seconds)
/* As many tests as rows of a table; _i is the row. */
#define TEST_EACH(name, table) TEST_EACH_WITHIN(name, table, DEFAULT_TIMEOUT_S)
#define TEST_EACH_WITHIN(name, table, seconds) \
	TEST_FULL(name, (int)(sizeof(table) / sizeof((table)[0])), seconds)

#define TEST_FULL(name, count, seconds)                                            \
	static void name##_fn(int);                                                \
	static const TTest name##_test = { #name, name##_fn, __FILE__, __LINE__ }; \
	__attribute__((constructor)) static void name##_add(void)                  \
	{                                                                          \
		test_add(&name##_test, count, seconds);                            \
	}                                                                          \
	static void name##_fn(int _i __attribute__((unused)))

void test_add(const TTest *test, int count, double timeout_s);

/* Ends the test; it counts as skipped. */
#define SKIP(...) ck_abort_msg("SKIP: " __VA_ARGS__)
#define SKIP_UNLESS_ROOT()                  \
	do {                                \
		if (geteuid() != 0)         \
			SKIP("needs root"); \
	} while (0)

/*
 * Both know neither cancellation, which leaves their functions halfway, nor the fork
 * of a process with threads, whose child may wait for a lock of their allocators.
 */
#if defined(__SANITIZE_ADDRESS__)
#define ADDRESS_SANITIZER 1
#elif defined(__SANITIZE_THREAD__)
#define THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ADDRESS_SANITIZER 1
#elif __has_feature(thread_sanitizer)
#define THREAD_SANITIZER 1
#endif
#endif
#ifndef ADDRESS_SANITIZER
#define ADDRESS_SANITIZER 0
#endif
#ifndef THREAD_SANITIZER
#define THREAD_SANITIZER 0
#endif
#define SKIP_IF_CANCELLATION_IS_UNKNOWN()                               \
	do {                                                            \
		if (ADDRESS_SANITIZER || THREAD_SANITIZER)              \
			SKIP("a sanitizer that knows no cancellation"); \
	} while (0)
#define SKIP_IF_THREADS_CANNOT_FORK()                                             \
	do {                                                                      \
		if (ADDRESS_SANITIZER || THREAD_SANITIZER)                        \
			SKIP("a sanitizer that deadlocks in a child of threads"); \
	} while (0)

/* The test's directory; absolute. */
extern char test_dir[];

/* Files in the current directory. */
void write_file(const char *name, const char *content);
/* The content, in a static buffer. */
const char *read_file(const char *name);
bool exists(const char *name);
/* Names in the directory, sorted, each followed by a space; static. */
const char *list_dir(const char *dir);
/* Open descriptors of this process. */
int count_descriptors(void);

#define assert_content(name, ...)                                                  \
	do {                                                                       \
		char expected_content[64];                                         \
		snprintf(expected_content, sizeof(expected_content), __VA_ARGS__); \
		ck_assert_str_eq(read_file(name), expected_content);               \
	} while (0)
#define assert_nothing_left() ck_assert_str_eq(list_dir("."), "")

/* A PID that no process ever has: where the kernel's numbers end (proc_sys_kernel(5)). */
pid_t dead_pid(void);
/* One that no process has as yet: of a child that has been waited for. */
pid_t freed_pid(void);

/*
 * A child, or the test fails.  What may be killed must call nothing of Check's: that
 * tells in a file where it is, and what is told in part spoils all that others tell.
 */
pid_t checked_fork(void);
/* A child of the bare system call: no handlers of pthread_atfork(3) are called. */
pid_t raw_fork(void);
/* Whose parent dies becomes a child of ours. */
void adopt_orphans(void);
/* Runs f in a forked child; returns its exit status, or 128 + signal. */
int in_child(void (*f)(void *), void *argument);

/*
 * Another process with a handle of its own: the program helper-holder, which
 * does one thing at a time and tells the result (see there for the words).
 *
 *	struct holder h = holder_start("x.pid");
 *
 *	ck_assert_int_eq(holder_do(&h, "trylock"), 0);
 *	holder_ask(&h, "lock");		// blocks there, not here
 *	...
 *	ck_assert_int_eq(holder_answer(&h), 0);
 *	holder_end(&h);			// it frees its handle and exits with 0
 */
struct holder {
	pid_t pid;
	int to, from;
};

struct holder holder_start(const char *path);
int holder_do(struct holder *holder, const char *what);
void holder_ask(struct holder *holder, const char *what);
int holder_answer(struct holder *holder);
void holder_end(struct holder *holder);
/* It is gone, and waited for, on return. */
void holder_kill(struct holder *holder);

#endif
