/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The order of calls in a daemon: what works after each step.  These are the rows of the
 * table in doc/order-of-calls.md.
 */
#include <config.h>

#include "world.h"

#include <errno.h>
#include <grp.h>
#include <lockfile-pid.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define DIR   "d"
#define PATH  DIR "/x.pid"
#define USER  65533
#define ROGUE LOCKFILE_PID_ERR_ROGUE_DELETION

enum {
	FORK = 1, /* as daemon(3) does */
	ADOPT = 2,
	CHROOT = 4,   /* to an empty directory */
	SETUID = 8,   /* to a user without permission to write the directory, */
	OWN_DIR = 16, /* or with it */
	CLOSEFROM = 32,
	CHROOT_TO_PATH = 64, /* to where the path leads to the file as well */
};

static struct lockfile_pid *lock;

static void become_user(void)
{
	REQUIRE(setgroups(0, NULL) == 0);
	REQUIRE(setresgid(USER, USER, USER) == 0);
	REQUIRE(setresuid(USER, USER, USER) == 0);
}

static void close_all(void)
{
	for (int fd = STDERR_FILENO + 1; fd < 256; fd++)
		close(fd);
}

/* In the order of the page. */
static void take_steps(unsigned int steps)
{
	if (steps & FORK) {
		pid_t pid = fork();
		int status;

		REQUIRE(pid >= 0);
		if (pid > 0) {
			REQUIRE(waitpid(pid, &status, 0) == pid);
			_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
		}
	}
	if (steps & ADOPT)
		REQUIRE(lockfile_pid_adopt(lock) == 0);
	if (steps & CHROOT)
		REQUIRE(chroot("root") == 0 && chdir("/") == 0);
	if (steps & CHROOT_TO_PATH)
		REQUIRE(chroot(".") == 0 && chdir("/") == 0);
	if (steps & SETUID)
		become_user();
	if (steps & CLOSEFROM)
		close_all();
}

struct row {
	const char *name;
	unsigned int steps;
	int verify, adopt, unlock;
};

/* The process ends with the handle as it is after a failure, or without a lock. */
static void live(void *argument)
{
	const struct row *row = argument;
	int r;

	alarm(DEFAULT_TIMEOUT_S);
	REQUIRE(lockfile_pid_open(&lock, PATH, LOCKFILE_PID_INHERITABLE, NULL) == 0);
	take_steps(row->steps);
	r = lockfile_pid_verify(lock);
	if (r != row->verify)
		fprintf(stderr, "# verify: %d\n", r);
	REQUIRE(r == row->verify);
	r = lockfile_pid_adopt(lock);
	if (r != row->adopt)
		fprintf(stderr, "# adopt: %d\n", r);
	REQUIRE(r == row->adopt);
	r = lockfile_pid_unlock(lock);
	if (r != row->unlock)
		fprintf(stderr, "# unlock: %d\n", r);
	REQUIRE(r == row->unlock);
	lockfile_pid_free(lock);
}

static const struct row rows[] = {
	{ "open", 0, 0, 0, 0 },
	{ "daemon", FORK, ROGUE, 0, 0 },
	{ "adopt", FORK | ADOPT, 0, 0, 0 },
	{ "adopt, in the foreground", ADOPT, 0, 0, 0 },
	{ "chroot", FORK | ADOPT | CHROOT, 0, 0, 0 },
	{ "chroot, where the path leads there", FORK | ADOPT | CHROOT_TO_PATH, 0, 0, 0 },
	{ "setuid", FORK | ADOPT | SETUID, 0, 0, -EACCES },
	{ "setuid, directory of that user", FORK | ADOPT | SETUID | OWN_DIR, 0, 0, 0 },
	{ "chroot and setuid", FORK | ADOPT | CHROOT | SETUID, 0, 0, -EACCES },
	{ "chroot and setuid, directory of that user", FORK | ADOPT | CHROOT | SETUID | OWN_DIR, 0,
	  0, 0 },
	{ "closefrom", FORK | ADOPT | CLOSEFROM, 0, 0, 0 },
	{ "setuid and closefrom", FORK | ADOPT | SETUID | CLOSEFROM, 0, 0, -EACCES },
	{ "chroot and closefrom", FORK | ADOPT | CHROOT | CLOSEFROM, ROGUE, ROGUE, ROGUE },
	/* the wrong order: adopt comes too late */
	{ "setuid before adopt", FORK | SETUID, ROGUE, -EACCES, ROGUE },
	{ "closefrom before adopt", FORK | CLOSEFROM, ROGUE, 0, 0 },
};

static void begin(unsigned int steps)
{
	if (steps & (CHROOT | CHROOT_TO_PATH | SETUID))
		SKIP_UNLESS_ROOT();
	ck_assert_int_eq(chmod(".", 0755), 0);
	ck_assert_int_eq(mkdir(DIR, 0755), 0);
	ck_assert_int_eq(mkdir("root", 0755), 0);
	if (steps & OWN_DIR)
		ck_assert_int_eq(chown(DIR, USER, USER), 0);
}

/* Whatever is left is taken over. */
static void end(void)
{
	struct lockfile_pid *next;

	ck_assert_int_eq(lockfile_pid_open(&next, PATH, 0, NULL), 0);
	lockfile_pid_free(next);
	ck_assert_str_eq(list_dir(DIR), "");
	ck_assert_int_eq(rmdir(DIR), 0);
	ck_assert_int_eq(rmdir("root"), 0);
}

TEST_EACH(each_step_leaves_what_the_table_says, rows)
{
	struct row row = rows[_i];

	adopt_orphans();
	begin(row.steps);
	ck_assert_msg(in_child(live, &row) == 0, "%s", row.name);
	end();
}

static const char *word(int r)
{
	return r == 0 ? "0" : r == ROGUE ? "rogue" : r == -EACCES ? "-EACCES" : "?";
}

/* The page has these rows, in this order, and no others. */
TEST(the_table_of_the_page_is_this_one)
{
	const char *top = getenv("top_srcdir");
	char path[512], line[256], expected[256];
	size_t row = 0;
	FILE *page;

	ck_assert_ptr_nonnull(top);
	snprintf(path, sizeof(path), "%s/doc/order-of-calls.md", top);
	page = fopen(path, "r");
	ck_assert_ptr_nonnull(page);
	while (fgets(line, sizeof(line), page) &&
	       strcmp(line, "| after | verify | adopt | unlock |\n") != 0)
		;
	ck_assert_ptr_nonnull(fgets(line, sizeof(line), page));
	while (fgets(line, sizeof(line), page) && line[0] == '|') {
		ck_assert_uint_lt(row, sizeof(rows) / sizeof(rows[0]));
		snprintf(expected, sizeof(expected), "| %s | %s | %s | %s |\n", rows[row].name,
		         word(rows[row].verify), word(rows[row].adopt), word(rows[row].unlock));
		ck_assert_str_eq(line, expected);
		row++;
	}
	ck_assert_uint_eq(row, sizeof(rows) / sizeof(rows[0]));
	fclose(page);
}

/* A daemon that may not remove its file frees the handle; root's next one starts at once. */
static void free_without_permission(void *unused)
{
	(void)unused;
	REQUIRE(lockfile_pid_open(&lock, PATH, LOCKFILE_PID_INHERITABLE, NULL) == 0);
	take_steps(ADOPT | SETUID);
	lockfile_pid_free(lock);
}

TEST(free_after_setuid_leaves_a_file_that_the_next_one_replaces)
{
	begin(SETUID);
	ck_assert_int_eq(in_child(free_without_permission, NULL), 0);
	assert_content(PATH, "\n");
	end();
}

/* Workers */

TEST(a_worker_that_outlives_the_daemon_does_not_keep_the_lock)
{
	int ends[2];
	pid_t pid, worker;
	int status;

	adopt_orphans();
	begin(0);
	ck_assert_int_eq(pipe(ends), 0);
	pid = checked_fork();
	if (pid == 0) {
		REQUIRE(lockfile_pid_open(&lock, PATH, LOCKFILE_PID_INHERITABLE, NULL) == 0);
		take_steps(ADOPT);
		worker = idle_child();
		REQUIRE(write(ends[1], &worker, sizeof(worker)) == sizeof(worker));
		raise(SIGKILL);
	}
	ck_assert_int_eq(read(ends[0], &worker, sizeof(worker)), sizeof(worker));
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(kill(worker, 0), 0);
	end();
	kill_child(worker);
	close(ends[0]);
	close(ends[1]);
}

static void worker_changes_nothing(void *argument)
{
	(void)argument;
	REQUIRE(lockfile_pid_verify(lock) == ROGUE);
	REQUIRE(lockfile_pid_unlock(lock) == ROGUE);
	lockfile_pid_free(lock);
}

TEST(a_worker_holds_nothing_and_its_end_removes_nothing)
{
	begin(0);
	ck_assert_int_eq(lockfile_pid_open(&lock, PATH, LOCKFILE_PID_INHERITABLE, NULL), 0);
	ck_assert_int_eq(lockfile_pid_adopt(lock), 0);
	ck_assert_int_eq(in_child(worker_changes_nothing, NULL), 0);
	ck_assert_int_eq(lockfile_pid_verify(lock), 0);
	lockfile_pid_free(lock);
	end();
}

/* The end */

static volatile sig_atomic_t ended;

static void set_flag(int number)
{
	(void)number;
	ended = 1;
}

static void end_by_flag(void *unused)
{
	sigset_t term, others;

	(void)unused;
	signal(SIGTERM, set_flag);
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, &others);
	REQUIRE(lockfile_pid_open(&lock, PATH, LOCKFILE_PID_INHERITABLE, NULL) == 0);
	REQUIRE(lockfile_pid_adopt(lock) == 0);
	raise(SIGTERM);
	while (!ended)
		sigsuspend(&others);
	REQUIRE(lockfile_pid_unlock(lock) == 0);
	lockfile_pid_free(lock);
}

TEST(a_handler_of_sigterm_sets_a_flag_and_the_daemon_unlocks)
{
	begin(0);
	ck_assert_int_eq(in_child(end_by_flag, NULL), 0);
	ck_assert_str_eq(list_dir(DIR), "");
	end();
}

static void end_without_unlock(void *unused)
{
	(void)unused;
	REQUIRE(lockfile_pid_open(&lock, PATH, LOCKFILE_PID_INHERITABLE, NULL) == 0);
	REQUIRE(lockfile_pid_adopt(lock) == 0);
	_exit(0);
}

TEST(an_end_without_unlock_leaves_a_file_that_the_next_one_replaces)
{
	begin(0);
	ck_assert_int_eq(in_child(end_without_unlock, NULL), 0);
	ck_assert_str_eq(list_dir(DIR), "x.pid ");
	end();
}
