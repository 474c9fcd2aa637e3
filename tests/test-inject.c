/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Each call to the kernel of each operation fails once, with each error that it
 * may plausibly have, and what the contract promises still holds: a result that
 * tells the truth, nobody else disturbed, nothing left behind, nothing leaked.
 *
 * sys_close has no place in the table: it frees the number whatever it says.
 */
#include <config.h>

#include "steer.h"
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <lockfile-pid.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Of so many runs: it does not end. */
#define TIMEOUT_S 600

#define MAX_STEPS 512
#define MAX_ERRORS 12

/*
 * What says that something is so, ENOENT say, is an answer and no failure.  So
 * it is with sys_lseek: a descriptor that cannot is another file's.
 */
static const struct {
	const char *call;
	int errors[MAX_ERRORS];
} plausible[] = {
	{ "openat", { EIO, ENOMEM, EMFILE, ENFILE, EINTR, EACCES } },
	{ "fstat", { EIO, ENOMEM } },
	{ "fstatat", { EIO, ENOMEM, EACCES } },
	{ "fstatfs_type", { EIO, ENOMEM, ENOSYS, EPERM } },
	{ "pread", { EIO, ENOMEM, EINTR } },
	{ "pwrite", { EIO, ENOMEM, ENOSPC, EDQUOT, EINTR } },
	{ "ftruncate", { EIO, EPERM } },
	{ "fchmod", { EIO, ENOMEM, ENOSPC, EPERM, EROFS } },
	{ "fgetxattr", { EIO, ENOMEM } },
	{ "fsetxattr", { EIO, ENOMEM, ENOSPC, EDQUOT, EPERM, EACCES, EOPNOTSUPP } },
	{ "readlinkat", { EIO, ENOMEM, EACCES, ENOENT, ENOSYS } },
	{ "write_lock", { EIO, ENOLCK, EINTR, ENOTSUP } },
	{ "is_write_locked", { EIO, ENOMEM, ENOLCK, ENOTSUP } },
	{ "flock", { EIO, ENOMEM, ENOLCK, EINTR } },
	{ "link_fd", { EIO, ENOMEM, ENOSPC, EDQUOT, EACCES, EROFS, ENOENT } },
	{ "link_proc", { EIO, ENOMEM, ENOSPC, EDQUOT, EACCES, EROFS, ENOENT } },
	{ "linkat", { EIO, ENOMEM, ENOSPC, EDQUOT, EACCES, EPERM, EMLINK } },
	{ "rename", { EIO, ENOMEM, ENOSPC, EDQUOT, EACCES, EPERM, EROFS } },
	{ "rename_noreplace", { EIO, ENOMEM, ENOSPC, EACCES, EPERM, EROFS, EINVAL, ENOSYS } },
	{ "unlinkat", { EIO, ENOMEM, EACCES, EPERM, EROFS } },
	{ "pidfd_open", { ENOMEM, EMFILE, ENFILE, EPERM, ENOSYS } },
	{ "kill", { EPERM } },
	{ "poll", { EINTR, ENOMEM } },
	{ "getrandom", { EAGAIN, ENOSYS, EINTR } },
};

static struct lockfile_pid *lock;
static struct holder other; /* a contender with no faults */
static pid_t checked_pid;

/* What fails at present, for messages and for what is allowed then. */
static struct {
	const char *operation, *call;
	int step, error;
} fault;

#define assert_so(condition, r)                                                                 \
	ck_assert_msg(condition, "%s, %s at step %d fails with %s: result %d: not " #condition, \
	              fault.operation, fault.call, fault.step, strerror(fault.error), r)

/* Errors that are for the library's own use must not come out, nor another errno. */
static bool tells_the_truth(int r)
{
	return r == 0 || r == -fault.error || r == LOCKFILE_PID_ERR_BUSY || r == -ETIMEDOUT;
}

static void assert_others_can_have_it(int r)
{
	assert_so(holder_do(&other, "trylock") == 0, r);
	assert_so(holder_do(&other, "unlock") == 0, r);
	assert_so(strcmp(list_dir("d"), "") == 0, r);
}

static void assert_ours(int r)
{
	assert_so(lockfile_pid_verify(lock) == 0, r);
	assert_so(holder_do(&other, "trylock") == LOCKFILE_PID_ERR_BUSY, r);
	assert_so(lockfile_pid_unlock(lock) == 0, r);
	assert_so(strcmp(list_dir("d"), "") == 0, r);
}

static void assert_not_ours(int r, const char *left)
{
	assert_so(lockfile_pid_verify(lock) == LOCKFILE_PID_ERR_ROGUE_DELETION, r);
	assert_so(lockfile_pid_fileno(lock) == -EBADF, r);
	assert_so(strcmp(list_dir("d"), left) == 0, r);
}

static void nothing(void)
{
}

static void acquired_fresh(int r)
{
	if (r == 0) {
		assert_ours(r);
		return;
	}
	assert_not_ours(r, "");
	assert_others_can_have_it(r);
}

static void lay_stale_file(void)
{
	ck_assert_int_eq(link("stale", "d/x.pid"), 0);
}

static void acquired_stale(int r)
{
	if (r == 0) {
		assert_ours(r);
		return;
	}
	assert_not_ours(r, "x.pid ");
	assert_others_can_have_it(r);
}

static void other_holds(void)
{
	ck_assert_int_eq(holder_do(&other, "trylock"), 0);
}

/*
 * To remove the line may be the very thing that fails.  Then it is a leftover,
 * which the next release clears.
 */
static const char *with_line(int r)
{
	if (!exists("d/x.pid.queue"))
		return "x.pid ";
	assert_so(strcmp(fault.call, "fstatat") == 0 || strcmp(fault.call, "unlinkat") == 0 ||
		  strcmp(fault.call, "lock_byte") == 0, r);
	return "x.pid x.pid.queue ";
}

static void contended(int r)
{
	assert_so(r != 0, r);
	assert_not_ours(r, with_line(r));
	assert_so(holder_do(&other, "verify") == 0, r);
	assert_so(holder_do(&other, "unlock") == 0, r);
	assert_so(strcmp(list_dir("d"), "") == 0, r);
}

static void we_hold(void)
{
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
}

static void we_hold_without_descriptor(void)
{
	we_hold();
	ck_assert_int_eq(close(lockfile_pid_fileno(lock)), 0);
}

/*
 * To remove the takeover name may be the very thing that fails.  Then it is a
 * leftover, which the next one to take over clears.
 */
static void clear_leftover(int r)
{
	if (!exists("d/x.pid.takeover"))
		return;
	assert_so(strcmp(fault.call, "fstatat") == 0 || strcmp(fault.call, "unlinkat") == 0, r);
	lay_stale_file();
	assert_others_can_have_it(r);
}

/* Released, or still the holder. */
static void released(int r)
{
	clear_leftover(r);
	if (r < 0) {
		assert_ours(r);
		return;
	}
	assert_not_ours(r, "");
	assert_others_can_have_it(r);
}

static void inheritable(void)
{
	ck_assert_int_eq(lockfile_pid_set_inheritable(lock, 1), 0);
}

static void inheritable_stale(void)
{
	inheritable();
	lay_stale_file();
}

static void we_hold_inheritably(void)
{
	inheritable();
	we_hold();
}

/* The holder, or still the heir. */
static void adopted(int r)
{
	assert_so(tells_the_truth(r), r);
	if (r < 0) {
		assert_so(lockfile_pid_verify(lock) == LOCKFILE_PID_ERR_ROGUE_DELETION, r);
		assert_so(holder_do(&other, "trylock") == LOCKFILE_PID_ERR_BUSY, r);
		assert_so(lockfile_pid_adopt(lock) == 0, r);
	}
	assert_content("d/x.pid", "%d\n", (int)getpid());
	assert_ours(r);
}

/* Whatever failed, others need not wait for the end of this process. */
static void let_go(int r)
{
	lock = new_lock("d/x.pid");
	clear_leftover(r);
	assert_others_can_have_it(r);
}

static void verified(int r)
{
	assert_so(r == 0 || r == -fault.error, r);
	assert_ours(r);
}

static int check(void)
{
	checked_pid = -7;
	return lockfile_pid_check(lock, &checked_pid);
}

/* Nobody but us knows better: never free, dead or invalid. */
static void checked_held(int r)
{
	assert_so(r != 0, r);
	if (r == LOCKFILE_PID_ERR_BUSY)
		assert_so(checked_pid == other.pid || checked_pid == 0, r);
	else
		assert_so(checked_pid == -7, r);
	contended(r);
}

static void checked_stale(int r)
{
	assert_so(r == LOCKFILE_PID_ERR_PROCESS_DEAD || r == LOCKFILE_PID_ERR_BUSY ||
	                  r == -fault.error,
	          r);
	acquired_stale(LOCKFILE_PID_ERR_BUSY);
}

static int trylock(void)
{
	return lockfile_pid_trylock(lock);
}

static int timedlock(void)
{
	return lockfile_pid_timedlock(lock, 12);
}

static int unlock(void)
{
	return lockfile_pid_unlock(lock);
}

static int verify(void)
{
	return lockfile_pid_verify(lock);
}

static int adopt(void)
{
	return lockfile_pid_adopt(lock);
}

static int give_back(void)
{
	lockfile_pid_free(lock);
	return 0;
}

struct operation {
	const char *name;
	void (*prepare)(void);
	int (*act)(void);
	void (*judge)(int r);
	int result; /* when nothing fails */
};

static const struct operation operations[] = {
	{ "fresh trylock", nothing, trylock, acquired_fresh, 0 },
	{ "contended trylock", other_holds, trylock, contended, LOCKFILE_PID_ERR_BUSY },
	{ "takeover", lay_stale_file, trylock, acquired_stale, 0 },
	{ "unlock", we_hold, unlock, released, 0 },
	{ "verify", we_hold, verify, verified, 0 },
	{ "check, held", other_holds, check, checked_held, LOCKFILE_PID_ERR_BUSY },
	{ "check, stale", lay_stale_file, check, checked_stale, LOCKFILE_PID_ERR_PROCESS_DEAD },
	{ "timedlock", other_holds, timedlock, contended, -ETIMEDOUT },
	{ "unlock without descriptor", we_hold_without_descriptor, unlock, released, 0 },
	{ "verify without descriptor", we_hold_without_descriptor, verify, verified, 0 },
	{ "inheritable trylock", inheritable, trylock, acquired_fresh, 0 },
	{ "inheritable takeover", inheritable_stale, trylock, acquired_stale, 0 },
	{ "inheritable unlock", we_hold_inheritably, unlock, released, 0 },
	{ "inheritable free", we_hold_inheritably, give_back, let_go, 0 },
	{ "adopt", we_hold_inheritably, adopt, adopted, 0 },
};
#define OPERATIONS (sizeof(operations) / sizeof(operations[0]))

static char *steps[MAX_STEPS];
static int step_count;

/* In one process, with a fault or without. */
struct trial {
	const struct operation *operation;
	int no_tmpfile;
	const char *call; /* that fails, */
	int nth;
};

static void run(void *argument)
{
	const struct trial *trial = argument;
	const struct operation *operation = trial->operation;
	int descriptors = count_descriptors(), r;

	steer_reset();
	steer_no_tmpfile(trial->no_tmpfile);
	if (trial->call)
		steer_result(trial->call, trial->nth, -fault.error);
	r = operation->act();
	if (!trial->call) {
		ck_assert_int_eq(r, operation->result);
		write_file("trace", steer_trace());
	}
	steer_reset();
	if (operation->act == trylock || operation->act == timedlock)
		assert_so(tells_the_truth(r), r);
	operation->judge(r);
	assert_so(count_descriptors() <= descriptors, r);
}

/* What the heir has taken, and given back, is not at PATH any more. */
static void run_in_heir(struct trial *trial)
{
	ck_assert_int_eq(in_child(run, trial), 0);
	ck_assert_int_eq(lockfile_pid_unlock(lock), LOCKFILE_PID_ERR_ROGUE_DELETION);
}

static void try(struct trial *trial)
{
	int descriptors = count_descriptors();

	trial->operation->prepare();
	if (trial->operation->act == adopt)
		run_in_heir(trial);
	else
		run(trial);
	ck_assert_int_le(count_descriptors(), descriptors);
}

/* What does it ask of the kernel when nothing fails? */
static void record(const struct operation *operation, int no_tmpfile)
{
	struct trial trial = { .operation = operation, .no_tmpfile = no_tmpfile };
	char *trace;

	fault.operation = operation->name;
	fault.call = "nothing";
	fault.error = 0;
	try(&trial);
	trace = strdup(read_file("trace"));
	ck_assert_int_eq(unlink("trace"), 0);
	for (char *name = strtok(trace, " "); name; name = strtok(NULL, " "))
		if (step_count < MAX_STEPS)
			steps[step_count++] = strdup(name);
	free(trace);
}

static const int *errors_of(const char *call)
{
	static const int none[] = { 0 };

	for (size_t i = 0; i < sizeof(plausible) / sizeof(plausible[0]); i++)
		if (strcmp(plausible[i].call, call) == 0)
			return plausible[i].errors;
	return none;
}

/* Which of the calls of that name is it? */
static int occurrence(int step)
{
	int nth = 0;

	for (int i = 0; i <= step; i++)
		nth += strcmp(steps[i], steps[step]) == 0;
	return nth;
}

static void inject(const struct operation *operation, int no_tmpfile, int step, int error)
{
	struct trial trial = { .operation = operation, .no_tmpfile = no_tmpfile };
	char call[64];

	fault.call = steps[step];
	fault.step = step;
	fault.error = error;
	snprintf(call, sizeof(call), "sys_%s", steps[step]);
	trial.call = call;
	trial.nth = occurrence(step);
	try(&trial);
}

static void set_up(void)
{
	struct holder dying;

	ck_assert_int_eq(mkdir("d", 0755), 0);
	dying = holder_start("d/x.pid");
	ck_assert_int_eq(holder_do(&dying, "trylock"), 0);
	holder_kill(&dying);
	ck_assert_int_eq(rename("d/x.pid", "stale"), 0);
	other = holder_start("d/x.pid");
	lock = new_lock("d/x.pid");
	/* who we are is looked up once; that has a test of its own */
	we_hold();
	ck_assert_int_eq(unlock(), 0);
	step_count = 0;
}

static void tear_down(void)
{
	for (int i = 0; i < step_count; i++)
		free(steps[i]);
	lockfile_pid_free(lock);
	holder_end(&other);
	ck_assert_int_eq(unlink("stale"), 0);
	ck_assert_int_eq(rmdir("d"), 0);
}

static void fail_each_step(const struct operation *operation, int no_tmpfile)
{
	set_up();
	record(operation, no_tmpfile);
	for (int step = 0; step < step_count; step++)
		for (const int *error = errors_of(steps[step]); *error; error++)
			inject(operation, no_tmpfile, step, *error);
	tear_down();
}

TEST_EACH_WITHIN(any_failing_call_keeps_the_promises, operations, TIMEOUT_S)
{
	fail_each_step(&operations[_i], 0);
}

TEST_EACH_WITHIN(any_failing_call_keeps_the_promises_without_o_tmpfile, operations, TIMEOUT_S)
{
	fail_each_step(&operations[_i], EOPNOTSUPP);
}

/* What a full table does to the look at who we are, at the first use. */
static const struct {
	const char *call;
	int nth, error;
} first_looks[] = {
	{ "sys_readlinkat", 1, ENOMEM },   { "sys_readlinkat", 2, ENOMEM },
	{ "sys_readlinkat", 3, ENOMEM },   { "sys_readlinkat", 4, ENOMEM },
	{ "sys_openat", 1, EMFILE },       { "sys_openat", 1, ENFILE },
	{ "sys_openat", 2, EMFILE },       { "sys_openat", 2, ENOMEM },
	{ "sys_pread", 1, ENOMEM },        { "sys_pread", 2, ENOMEM },
	{ "sys_pidfd_open", 1, EMFILE },   { "sys_pidfd_open", 1, ENOMEM },
	{ "sys_fstatfs_type", 1, ENOMEM }, { "sys_fstat", 1, ENOMEM },
	{ "sys_getrandom", 1, EAGAIN },
};

/* Held without a descriptor, by what the attribute says alone. */
static void lock_for_the_first_time(void *argument)
{
	int row = *(int *)argument, r;

	steer_result(first_looks[row].call, first_looks[row].nth, -first_looks[row].error);
	r = lockfile_pid_trylock(lock);
	steer_reset();
	if (r < 0)
		r = lockfile_pid_trylock(lock);
	REQUIRE(r == 0);
	close(lockfile_pid_fileno(lock));
	REQUIRE(holder_do(&other, "trylock") == LOCKFILE_PID_ERR_BUSY);
	REQUIRE(lockfile_pid_unlock(lock) == 0);
}

TEST_EACH_WITHIN(a_failing_first_look_at_who_we_are_has_no_lasting_effect, first_looks, TIMEOUT_S)
{
	set_up();
	ck_assert_int_eq(in_child(lock_for_the_first_time, &_i), 0);
	tear_down();
}
