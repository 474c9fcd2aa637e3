/* SPDX-License-Identifier: BSD-2-Clause */
/* Failing calls of what holds the lock: to look at it, to release it, to adopt it. */
#include <config.h>

#include "handle.h"
#include "heir.h"
#include "inject.h"
#include "outcome.h"
#include "steer.h"

#include <errno.h>
#include <fcntl.h>
#include <lockfile-pid.h>
#include <string.h>

#define TAKEOVER SCENE_PATH ".takeover"
#define QUEUE    SCENE_PATH ".queue"
#define BUSY     LOCKFILE_PID_ERR_BUSY

/* How we hold it. */

static void hold(void)
{
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
}

static void close_underneath(void)
{
	ck_assert_int_eq(close(lockfile_pid_fileno(lock)), 0);
}

static void hold_without_descriptor(void)
{
	hold();
	close_underneath();
}

static void hold_inheritably(void)
{
	ck_assert_int_eq(lockfile_pid_set_inheritable(lock, 1), 0);
	hold();
}

static void hold_inheritably_without_descriptor(void)
{
	hold_inheritably();
	close_underneath();
}

static void hold_and_leftover(void)
{
	hold_inheritably();
	write_file(TAKEOVER, "");
}

static void hold_while_third_waits(void)
{
	hold();
	scene_third_waits();
}

static void hold_inheritably_while_third_waits(void)
{
	hold_inheritably();
	scene_third_waits();
}

/* Bytes that nobody came to read. */
static void hold_while_the_line_is_full(void)
{
	char bytes[4096] = "";
	int fd;

	hold_while_third_waits();
	fd = open(QUEUE, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	while (write(fd, bytes, sizeof(bytes)) > 0)
		;
	ck_assert_int_eq(errno, EAGAIN);
	close(fd);
}

static void file_cannot_be_removed(void)
{
	steer_result("sys_unlinkat", EVERY, -EPERM);
}

static int unlock(void)
{
	return lockfile_pid_unlock(lock);
}

static int give_back(void)
{
	lockfile_pid_free(lock);
	lock = NULL;
	return 0;
}

static int verify(void)
{
	return lockfile_pid_verify(lock);
}

static int adopt(void)
{
	return lockfile_pid_adopt(lock);
}

/* None: to look whether it could be sent. */
static int send_nothing(void)
{
	return lockfile_pid_signal(lock, 0);
}

static int set_mode(void)
{
	return lockfile_pid_set_mode(lock, 0600);
}

static int set_inheritable(void)
{
	return lockfile_pid_set_inheritable(lock, 1);
}

static int set_cluster_locks(void)
{
	return lockfile_pid_set_cluster_locks(lock, 1);
}

static int set_process(void)
{
	return lockfile_pid_set_process(lock, 1);
}

static int number(void)
{
	int fd = lockfile_pid_fileno(lock);

	return fd < 0 ? fd : 0;
}

static void released(int r)
{
	outcome_released(r);
	ck_assert_int_eq(lockfile_pid_set_inheritable(lock, 0), 0);
}

static void kept(int r)
{
	outcome_kept(r);
	ck_assert_int_eq(lockfile_pid_set_inheritable(lock, 0), 0);
}

#define UNLOCK(title, way)                                                          \
	{                                                                           \
		.name = title, .function = "unlock", .prepare = way, .act = unlock, \
		.judge = released                                                   \
	}
#define FREE(title, way, around, after)                                             \
	{                                                                           \
		.name = title, .function = "free", .prepare = way, .rules = around, \
		.act = give_back, .judge = after, .in_child = true                  \
	}
#define ADOPT(title, way)                                                         \
	{                                                                         \
		.name = title, .function = "adopt", .prepare = way, .act = adopt, \
		.judge = outcome_adopted, .in_child = true                        \
	}
#define KEEP(title, which, what, gives)                                                        \
	{                                                                                      \
		.name = title, .function = which, .prepare = hold, .act = what, .judge = kept, \
		.result = gives                                                                \
	}

/* clang-format off: a row a line */
static const struct operation releases[] = {
	UNLOCK("simple", hold),
	UNLOCK("without descriptor", hold_without_descriptor),
	UNLOCK("inheritable", hold_inheritably),
	UNLOCK("inheritable, without descriptor", hold_inheritably_without_descriptor),
	UNLOCK("inheritable, and a leftover", hold_and_leftover),
	UNLOCK("somebody waits", hold_while_third_waits),
	UNLOCK("inheritable, and somebody waits", hold_inheritably_while_third_waits),
	UNLOCK("the line is full", hold_while_the_line_is_full),
};
/* clang-format on */

INJECT_EACH(failing_unlock_keeps_the_promises, releases)

#define SOON outcome_let_go
#define LATE outcome_let_go_in_the_end

/* clang-format off: a row a line */
static const struct operation frees[] = {
	FREE("simple", hold, NULL, SOON),
	FREE("without descriptor", hold_without_descriptor, NULL, LATE),
	FREE("file stays", hold, file_cannot_be_removed, LATE),
	FREE("somebody waits", hold_while_third_waits, NULL, SOON),
	FREE("inheritable", hold_inheritably, NULL, SOON),
	FREE("inheritable, without descriptor", hold_inheritably_without_descriptor, NULL, LATE),
	FREE("inheritable, file stays", hold_inheritably, file_cannot_be_removed, LATE),
	FREE("inheritable, and somebody waits", hold_inheritably_while_third_waits, NULL, SOON),
};
/* clang-format on */

INJECT_EACH(failing_free_keeps_the_promises, frees)

/* clang-format off: a row a line */
static const struct operation looks[] = {
	{ .name = "adopt by the holder of an inheritable lock",
	  .function = "adopt",
	  .act = adopt,
	  .prepare = hold_inheritably,
	  .judge = kept },
	KEEP("verify", "verify", verify, 0),
	KEEP("adopt by the holder", "adopt", adopt, 0),
	KEEP("signal", "signal", send_nothing, 0),
	KEEP("set mode", "set_mode", set_mode, -EBUSY),
	KEEP("set inheritable", "set_inheritable", set_inheritable, -EBUSY),
	KEEP("set cluster locks", "set_cluster_locks", set_cluster_locks, -EBUSY),
	KEEP("set process", "set_process", set_process, -EBUSY),
	KEEP("fileno", "fileno", number, 0),
	{ .name = "verify without descriptor",
	  .function = "verify",
	  .act = verify,
	  .prepare = hold_without_descriptor,
	  .judge = kept },
};
/* clang-format on */

INJECT_EACH(failing_looks_of_the_holder_keep_the_promises, looks)

/* clang-format off: a row a line */
static const struct operation adoptions[] = {
	ADOPT("parent lives", heir_of_the_living),
	ADOPT("parent has let go", heir_of_who_let_go),
	ADOPT("parent is dead", heir_of_the_dead),
	ADOPT("for good", heir_for_good),
	ADOPT("without descriptor", heir_without_descriptor),
	ADOPT("somebody waits", heir_while_third_waits),
};
/* clang-format on */

INJECT_EACH(failing_adopt_keeps_the_promises, adoptions)
