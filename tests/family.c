/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "family.h"

#include "handle.h"
#include "process.h"
#include "steer.h"
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define NOBODYS RELATIVES /* a child of the test */
#define LOOK_MS 100

struct order {
	int (*f)(struct lockfile_pid *);
	int argument;
	char stop_call[24];
	int stop_nth;
};

static struct {
	pid_t pid; /* 0: not there */
	bool stopped;
	enum relative parent;
	int to[2], from[2];
} relatives[RELATIVES];

/* In a relative. */
static enum relative me;
static struct lockfile_pid *my_lock;
static struct order order;
static int my_no_tmpfile;
static bool my_no_attributes;
static int my_reused_fd;

static void tell(int value)
{
	REQUIRE(write(relatives[me].from[1], &value, sizeof(value)) == sizeof(value));
}

static void stop(void *unused)
{
	char go_on;

	(void)unused;
	tell(FAMILY_STOPPED);
	if (read(relatives[me].to[0], &go_on, 1) != 1)
		_exit(1);
}

static void prepare_system(void)
{
	steer_reset();
	steer_no_tmpfile(my_no_tmpfile);
	steer_no_pauses();
	if (my_no_attributes)
		steer_result("sys_fsetxattr", EVERY, -EOPNOTSUPP);
}

static void obey(void)
{
	enum relative before = me;
	int r;

	prepare_system();
	if (order.stop_nth > 0)
		steer_before(order.stop_call, order.stop_nth, stop, NULL);
	r = order.f(my_lock);
	/* a new child says nothing */
	if (me == before)
		tell(r);
}

static void look_who_we_are(void)
{
	struct owner self;

	process_self(&self); /* so that each time the same calls are made */
}

static void live(void)
{
	look_who_we_are();
	while (read(relatives[me].to[0], &order, sizeof(order)) == sizeof(order))
		obey();
	prepare_system();
	lockfile_pid_free(my_lock);
	_exit(0);
}

/* The test's ends, so that its end is seen. */
static void close_ends(void)
{
	for (int i = 0; i < RELATIVES; i++) {
		close(relatives[i].to[1]);
		close(relatives[i].from[0]);
	}
}

static void start(enum relative who, const char *path)
{
	relatives[who].parent = NOBODYS;
	relatives[who].pid = checked_fork();
	if (relatives[who].pid > 0)
		return;
	me = who;
	close_ends();
	steer_reset();
	REQUIRE(lockfile_pid_new(&my_lock, path) == 0);
	REQUIRE(lockfile_pid_set_inheritable(my_lock, who == PARENT) == 0);
	live();
}

void family_start(const char *path, int no_tmpfile, bool no_attributes)
{
	adopt_orphans();
	memset(relatives, 0, sizeof(relatives));
	for (int i = 0; i < RELATIVES; i++) {
		ck_assert_int_eq(pipe2(relatives[i].to, O_CLOEXEC), 0);
		ck_assert_int_eq(pipe2(relatives[i].from, O_CLOEXEC), 0);
	}
	my_no_tmpfile = no_tmpfile;
	my_no_attributes = no_attributes;
	start(PARENT, path);
	start(STRANGER, path);
}

static void write_order(enum relative who, const struct order *what)
{
	ck_assert_int_gt(relatives[who].pid, 0);
	ck_assert(!relatives[who].stopped);
	ck_assert_int_eq(write(relatives[who].to[1], what, sizeof(*what)), sizeof(*what));
}

static bool is_gone(enum relative who)
{
	char state = process_state(relatives[who].pid);

	return state == 0 || state == 'Z';
}

int family_hear(enum relative who)
{
	struct pollfd answer = { .fd = relatives[who].from[0], .events = POLLIN };
	int value;

	/* others have the other end as well, so there is no end of file */
	while (poll(&answer, 1, LOOK_MS) == 0)
		ck_assert_msg(!is_gone(who), "relative %d is gone", who);
	ck_assert_int_eq(read(answer.fd, &value, sizeof(value)), sizeof(value));
	return value;
}

static int tell_to(enum relative who, const struct order *what)
{
	write_order(who, what);
	return family_hear(who);
}

void family_ask(enum relative who, int (*f)(struct lockfile_pid *))
{
	write_order(who, &(struct order){ .f = f });
}

int family_do(enum relative who, int (*f)(struct lockfile_pid *))
{
	return tell_to(who, &(struct order){ .f = f });
}

int family_do_until(enum relative who, int (*f)(struct lockfile_pid *), const char *call, int nth)
{
	struct order what = { .f = f, .stop_nth = nth };

	int r;

	strncpy(what.stop_call, call, sizeof(what.stop_call) - 1);
	r = tell_to(who, &what);
	relatives[who].stopped = r == FAMILY_STOPPED;
	return r;
}

int family_go_on(enum relative who)
{
	relatives[who].stopped = false;
	ck_assert_int_eq(write(relatives[who].to[1], "", 1), 1);
	return family_hear(who);
}

static int become_parent(pid_t pid)
{
	if (pid != 0)
		return pid < 0 ? -errno : (int)pid;
	me = (enum relative)order.argument;
	look_who_we_are();
	return 0;
}

static int do_fork(struct lockfile_pid *lock)
{
	(void)lock;
	return become_parent(settled_fork());
}

static int do_fork_raw(struct lockfile_pid *lock)
{
	(void)lock;
	return become_parent(raw_fork());
}

static void fork_by(int (*f)(struct lockfile_pid *), enum relative parent, enum relative child)
{
	relatives[child].pid = tell_to(parent, &(struct order){ .f = f, .argument = (int)child });
	relatives[child].parent = parent;
	ck_assert_int_gt(relatives[child].pid, 0);
}

void family_fork(enum relative parent, enum relative child)
{
	fork_by(do_fork, parent, child);
}

void family_fork_raw(enum relative parent, enum relative child)
{
	fork_by(do_fork_raw, parent, child);
}

static int reap(struct lockfile_pid *lock)
{
	int status;

	(void)lock;
	return waitpid(order.argument, &status, 0) == order.argument ? status : -errno;
}

/* Returns the status of wait(2). */
static int await_end(enum relative who)
{
	enum relative parent = relatives[who].parent;
	pid_t pid = relatives[who].pid;
	int status = 0;

	if (parent == NOBODYS)
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	else
		status = tell_to(parent, &(struct order){ .f = reap, .argument = (int)pid });
	relatives[who].pid = 0;
	relatives[who].stopped = false;
	for (int i = 0; i < RELATIVES; i++)
		if (relatives[i].parent == who)
			relatives[i].parent = NOBODYS;
	return status;
}

void family_kill(enum relative who)
{
	ck_assert_int_eq(kill(relatives[who].pid, SIGKILL), 0);
	ck_assert_int_eq(await_end(who), SIGKILL);
}

static int leave(struct lockfile_pid *lock)
{
	(void)lock;
	_exit(0);
}

void family_leave(enum relative who)
{
	write_order(who, &(struct order){ .f = leave });
	ck_assert_int_eq(await_end(who), 0);
}

static void close_pipe(int ends[2])
{
	close(ends[0]);
	close(ends[1]);
}

static void dismiss(enum relative who)
{
	close(relatives[who].to[1]);
	relatives[who].to[1] = -1;
	if (relatives[who].pid > 0)
		ck_assert_int_eq(await_end(who), 0);
}

void family_end(void)
{
	static const enum relative order_of_end[] = { GRANDCHILD, SIBLING, CHILD, PARENT,
		                                      STRANGER };

	for (size_t i = 0; i < RELATIVES; i++)
		dismiss(order_of_end[i]);
	for (int i = 0; i < RELATIVES; i++) {
		close(relatives[i].to[0]);
		close_pipe(relatives[i].from);
	}
}

pid_t family_pid(enum relative who)
{
	return relatives[who].pid;
}

int family_verify(struct lockfile_pid *lock)
{
	return lockfile_pid_verify(lock);
}

int family_check(struct lockfile_pid *lock)
{
	pid_t pid;

	return lockfile_pid_check(lock, &pid);
}

int family_free(struct lockfile_pid *lock)
{
	my_lock = NULL;
	lockfile_pid_free(lock);
	return 0;
}

int family_set_inheritable(struct lockfile_pid *lock)
{
	return lockfile_pid_set_inheritable(lock, 1);
}

int family_set_not_inheritable(struct lockfile_pid *lock)
{
	return lockfile_pid_set_inheritable(lock, 0);
}

int family_close_underneath(struct lockfile_pid *lock)
{
	return close(lock->file.descriptor.fd);
}

int family_count_descriptors(struct lockfile_pid *lock)
{
	(void)lock;
	return count_descriptors();
}

int family_reuse_number(struct lockfile_pid *lock)
{
	int fd = open("other", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	my_reused_fd = lock->file.descriptor.fd;
	REQUIRE(dup3(fd, my_reused_fd, O_CLOEXEC) == my_reused_fd);
	REQUIRE(write(fd, "content\n", 8) == 8);
	return close(fd);
}

int family_has_other(struct lockfile_pid *lock)
{
	struct stat st, other;

	(void)lock;
	REQUIRE(stat("other", &other) == 0);
	return fstat(my_reused_fd, &st) == 0 && st.st_ino == other.st_ino;
}
