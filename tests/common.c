/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "common.h"

#include "pace.h"
#include "reach.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_TESTS    512
#define SKIP_MESSAGE "SKIP: "

static struct test {
	const TTest *check;
	int rows_before;
	int count; /* of its rows */
	double timeout_s;
} tests[MAX_TESTS];
static int test_count, row_count;

static char base_dir[64]; /* of the program */
char test_dir[128];

void test_add(const TTest *check, int count, double timeout_s)
{
	if (test_count == MAX_TESTS)
		abort();
	tests[test_count++] = (struct test){
		.check = check,
		.rows_before = row_count,
		.count = count,
		.timeout_s = timeout_s * pace(),
	};
	row_count += count;
}

/* The next row of it after this one that is to be run, or count.  The first follows -1. */
static int next_row(const struct test *test, int row)
{
	do
		row++;
	while (row < test->count && !pace_runs(test->rows_before + row));
	return row;
}

/*
 * What a test forks may limit its own life by alarm(2): not with Check's handler
 * for that signal, which it would inherit, and which is meant for the test before.
 */
static void enter_test(void)
{
	signal(SIGALRM, SIG_DFL);
	snprintf(test_dir, sizeof(test_dir), "%s/XXXXXX", base_dir);
	ck_assert_ptr_nonnull(mkdtemp(test_dir));
	ck_assert_int_eq(chdir(test_dir), 0);
}

static void leave_test(void)
{
	ck_assert_str_eq(list_dir(test_dir), "");
	ck_assert_int_eq(chdir("/"), 0);
	ck_assert_int_eq(rmdir(test_dir), 0);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st, (void)type, (void)where;
	return remove(path);
}

static bool is_skip(TestResult *result)
{
	return tr_rtype(result) == CK_FAILURE &&
	       strncmp(tr_msg(result), SKIP_MESSAGE, strlen(SKIP_MESSAGE)) == 0;
}

static void print_name(const struct test *test, int row)
{
	if (test->count > 1)
		printf("%s[%d]", test->check->name, row);
	else
		printf("%s", test->check->name);
}

/* A message may have several lines. */
static void print_failure(TestResult *result)
{
	printf("# %s:%d: ", tr_lfile(result), tr_lno(result));
	for (const char *p = tr_msg(result); *p; p++)
		fputs(*p == '\n' ? "\n# " : (char[]){ *p, '\0' }, stdout);
	putchar('\n');
}

static const struct test *test_of_name(const char *name)
{
	const struct test *test = tests;

	while (strcmp(test->check->name, name) != 0)
		test++;
	return test;
}

/* Returns how many failed. */
static int print_tap(SRunner *runner)
{
	TestResult **results = srunner_results(runner);
	const struct test *test = NULL, *before;
	int count = srunner_ntests_run(runner), failed = 0, row = -1;

	printf("1..%d\n", count);
	for (int i = 0; i < count; i++) {
		TestResult *r = results[i];
		bool ok = tr_rtype(r) == CK_PASS || is_skip(r);

		before = test;
		test = test_of_name(tr_tcname(r));
		row = next_row(test, test == before ? row : -1);
		printf("%sok %d - ", ok ? "" : "not ", i + 1);
		print_name(test, row);
		if (is_skip(r))
			printf(" # SKIP %s", tr_msg(r) + strlen(SKIP_MESSAGE));
		putchar('\n');
		if (!ok) {
			print_failure(r);
			failed++;
		}
	}
	free(results);
	return failed;
}

static TCase *make_case(const struct test *test)
{
	TCase *tcase = tcase_create(test->check->name);

	tcase_set_timeout(tcase, test->timeout_s);
	tcase_add_checked_fixture(tcase, enter_test, leave_test);
	for (int row = next_row(test, -1); row < test->count; row = next_row(test, row))
		tcase_add_loop_test(tcase, test->check, row, row + 1);
	return tcase;
}

static Suite *make_suite(const char *program)
{
	Suite *suite = suite_create(program);

	for (int i = 0; i < test_count; i++)
		if (next_row(&tests[i], -1) < tests[i].count)
			suite_add_tcase(suite, make_case(&tests[i]));
	return suite;
}

int main(int argc, char **argv)
{
	const char *tmpdir = getenv("TMPDIR");
	SRunner *runner;
	int failed, r;

	(void)argc;
	umask(022);
	setvbuf(stdout, NULL, _IOLBF, 0);
	snprintf(base_dir, sizeof(base_dir), "%s/lockfile-pid-test.XXXXXX",
	         tmpdir && strlen(tmpdir) < 32 ? tmpdir : "/tmp");
	if (!mkdtemp(base_dir) || chmod(base_dir, 0755) < 0) {
		printf("Bail out! %s: %s\n", base_dir, strerror(errno));
		return 99;
	}
	r = reach_helper(base_dir);
	if (r < 0) {
		printf("Bail out! cannot copy the helper: %s\n", strerror(-r));
		return 99;
	}
	runner = srunner_create(make_suite(argv[0]));
	srunner_run_all(runner, CK_SILENT);
	failed = print_tap(runner);
	srunner_free(runner);
	nftw(base_dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	return failed > 0;
}

void write_file(const char *name, const char *content)
{
	FILE *file = fopen(name, "w");

	ck_assert_ptr_nonnull(file);
	ck_assert_int_ge(fputs(content, file), 0);
	ck_assert_int_eq(fclose(file), 0);
}

const char *read_file(const char *name)
{
	static char content[8192];
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	ck_assert_msg(fd >= 0, "%s: %s", name, strerror(errno));
	n = read(fd, content, sizeof(content) - 1);
	ck_assert_int_ge(n, 0);
	close(fd);
	content[n] = '\0';
	return content;
}

bool exists(const char *name)
{
	struct stat st;

	return lstat(name, &st) == 0;
}

static int not_dots(const struct dirent *entry)
{
	return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

const char *list_dir(const char *dir)
{
	static char list[8192];
	struct dirent **entries;
	int count = scandir(dir, &entries, not_dots, alphasort);

	ck_assert_int_ge(count, 0);
	list[0] = '\0';
	for (int i = 0; i < count; i++) {
		if (strlen(list) + strlen(entries[i]->d_name) + 2 < sizeof(list))
			strcat(strcat(list, entries[i]->d_name), " ");
		free(entries[i]);
	}
	free(entries);
	return list;
}

int count_descriptors(void)
{
	struct dirent **entries;
	int count = scandir("/proc/self/fd", &entries, not_dots, NULL);

	for (int i = 0; i < count; i++)
		free(entries[i]);
	free(entries);
	return count - 1; /* scandir's own */
}

pid_t dead_pid(void)
{
	return 1 << 22;
}

pid_t freed_pid(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	ck_assert_int_gt(pid, 0);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	return pid;
}

pid_t checked_fork(void)
{
	pid_t pid = fork();

	if (pid != 0)
		ck_assert_int_gt(pid, 0);
	return pid;
}

pid_t raw_fork(void)
{
#ifdef __s390__ /* where the stack comes first, clone(2) */
	return (pid_t)syscall(SYS_clone, NULL, SIGCHLD, NULL, NULL, NULL);
#else
	return (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
#endif
}

void adopt_orphans(void)
{
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		SKIP("cannot adopt orphans: %s", strerror(errno));
}

static int wait_for_child(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		ck_assert_int_eq(errno, EINTR);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int in_child(void (*f)(void *), void *argument)
{
	jmp_buf registers;
	pid_t pid;

	/* valgrind looks for what leads to memory on the stack alone once a child has ended */
	if (setjmp(registers) != 0)
		abort();
	pid = checked_fork();
	if (pid == 0) {
		f(argument);
		_exit(0);
	}
	return wait_for_child(pid);
}

struct holder holder_start(const char *path)
{
	const char *program = getenv("HOLDER");
	struct holder holder;
	int to[2], from[2];

	ck_assert_msg(program != NULL, "the environment does not name HOLDER");
	ck_assert_int_eq(pipe2(to, O_CLOEXEC), 0);
	ck_assert_int_eq(pipe2(from, O_CLOEXEC), 0);
	holder.pid = checked_fork();
	if (holder.pid == 0) {
		dup2(to[0], STDIN_FILENO);
		dup2(from[1], STDOUT_FILENO);
		execl(program, program, path, (char *)NULL);
		_exit(127);
	}
	close(to[0]);
	close(from[1]);
	holder.to = to[1];
	holder.from = from[0];
	ck_assert_int_eq(holder_answer(&holder), 0); /* it has its handle */
	return holder;
}

void holder_ask(struct holder *holder, const char *what)
{
	ck_assert_int_gt(dprintf(holder->to, "%s\n", what), 0);
}

int holder_answer(struct holder *holder)
{
	char line[32];
	size_t length = 0;

	do {
		ck_assert_uint_lt(length, sizeof(line) - 1);
		ck_assert_msg(read(holder->from, line + length, 1) == 1, "the holder is gone");
	} while (line[length++] != '\n');
	line[length] = '\0';
	return atoi(line);
}

int holder_do(struct holder *holder, const char *what)
{
	holder_ask(holder, what);
	return holder_answer(holder);
}

void holder_end(struct holder *holder)
{
	close(holder->to);
	ck_assert_int_eq(wait_for_child(holder->pid), 0);
	close(holder->from);
}

void holder_kill(struct holder *holder)
{
	ck_assert_int_eq(kill(holder->pid, SIGKILL), 0);
	ck_assert_int_eq(wait_for_child(holder->pid), 128 + SIGKILL);
	close(holder->to);
	close(holder->from);
}
