/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A holder looks at its lock or releases it, and from one of its calls on there is no new
 * descriptor (EMFILE), or at one of its calls all descriptors are closed by the program
 * (closefrom(3) in another thread).  Which call, is tried from the first to the last.
 *
 * The holder is a process that stops where another contender is to look:
 * once it holds, and after the operation.
 */
#include <config.h>

#include "pace.h"
#include "steer.h"
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <lockfile-pid.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define DIR   "d"
#define ROOT  "root"
#define PATH  DIR "/x.pid"
#define BUSY  LOCKFILE_PID_ERR_BUSY
#define ROGUE LOCKFILE_PID_ERR_ROGUE_DELETION

/* Of so many processes: it does not end. */
#define TIMEOUT_S 300

enum {
	NEEDS_ROOT = 1,
	IS_WAITED_FOR = 2,    /* by another process */
	PREPARES_FILE = 4,    /* for a moment, to release the lock; */
	NEEDS_DESCRIPTOR = 8, /* for that one */
	CANNOT_REMOVE = 16,   /* free leaves the file for the next one to replace */
	NEEDS_DIRECTORY = 32, /* its name leads nowhere */
};

struct scene {
	const char *name;
	void (*prepare)(void);
	void (*rules)(void); /* what system it is, in the words of steer.h */
	int flags;
};

struct operation {
	const char *name;
	int (*act)(void);
};

/* Of the holder; shared with it. */
static struct told {
	pid_t pid;
	int result, calls; /* of the operation */
	int verified;      /* what verify says after it */
	int released;      /* and then unlock */
	int leaked;        /* so many descriptors more than there may be at the end */
	bool happened;     /* there was such a call */
} * told;

/* In the holder. */
static struct lockfile_pid *lock;
static int outside = -1; /* what is needed to leave the other root */
static struct rlimit limit;
static int may_be_open; /* so many descriptors at the end */

static void stop(void)
{
	REQUIRE(raise(SIGSTOP) == 0);
}

static int count_open(void)
{
	int count = 0;

	for (int fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* Scenes */

static void all_there_is(void)
{
}

static void no_tmpfile(void)
{
	steer_no_tmpfile(EOPNOTSUPP);
}

static void hold(void)
{
	REQUIRE(lockfile_pid_trylock(lock) == 0);
}

static void hold_inheritably(void)
{
	REQUIRE(lockfile_pid_set_inheritable(lock, 1) == 0);
	hold();
}

static void hold_and_chroot(void)
{
	hold();
	outside = enter_root(ROOT);
}

static void hold_and_setuid(void)
{
	hold();
	REQUIRE(setresuid(NOBODY, NOBODY, NOBODY) == 0);
}

/* The first holder ends; the test waits for its child. */
static void become_another(void)
{
	pid_t child;

	hold_inheritably();
	child = fork();
	REQUIRE(child >= 0);
	if (child > 0)
		_exit(0);
	told->pid = getpid();
}

static void adopt(void)
{
	become_another();
	REQUIRE(lockfile_pid_set_inheritable(lock, 0) == 0);
	REQUIRE(lockfile_pid_adopt(lock) == 0);
}

static void adopt_inheritably(void)
{
	become_another();
	REQUIRE(lockfile_pid_adopt(lock) == 0);
}

/* clang-format off: a row a line */
static const struct scene scenes[] = {
	{ "plain", hold, all_there_is, 0 },
	{ "waited for", hold, all_there_is, IS_WAITED_FOR },
	{ "without O_TMPFILE", hold, no_tmpfile, 0 },
	{ "inheritable", hold_inheritably, all_there_is, PREPARES_FILE },
	{ "inheritable, waited for", hold_inheritably, all_there_is,
	  PREPARES_FILE | IS_WAITED_FOR },
	{ "inheritable, without O_TMPFILE", hold_inheritably, no_tmpfile,
	  PREPARES_FILE | NEEDS_DESCRIPTOR },
	{ "adopted", adopt, all_there_is, 0 },
	{ "adopted, inheritable", adopt_inheritably, all_there_is, PREPARES_FILE },
	{ "after chroot", hold_and_chroot, all_there_is, NEEDS_ROOT | NEEDS_DIRECTORY },
	{ "after setuid", hold_and_setuid, all_there_is, NEEDS_ROOT | CANNOT_REMOVE },
};
/* clang-format on */

/* Operations */

static int unlock(void)
{
	return lockfile_pid_unlock(lock);
}

static int verify(void)
{
	return lockfile_pid_verify(lock);
}

static int give_back(void)
{
	lockfile_pid_free(lock);
	lock = NULL;
	return 0;
}

static const struct operation operations[] = {
	{ "unlock", unlock },
	{ "verify", verify },
	{ "free", give_back },
};
#define OPERATIONS (sizeof(operations) / sizeof(operations[0]))

/* What happens at a call */

/* The number of one that is closed from now on can be given again. */
static void run_out(void *unused)
{
	struct rlimit full = { .rlim_max = limit.rlim_max };

	(void)unused;
	told->happened = true;
	while (fcntl((int)full.rlim_cur, F_GETFD) >= 0)
		full.rlim_cur++;
	REQUIRE(setrlimit(RLIMIT_NOFILE, &full) == 0);
}

static void close_all(void *unused)
{
	(void)unused;
	told->happened = true;
	for (int fd = STDERR_FILENO + 1; fd < 256; fd++)
		if (fd != outside)
			close(fd);
	may_be_open = STDERR_FILENO + 1;
}

static void be_holder(const struct scene *scene, const struct operation *operation, int nth,
                      void (*event)(void *))
{
	may_be_open = count_open();
	*told = (struct told){ .pid = getpid() };
	REQUIRE(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	REQUIRE(lockfile_pid_new(&lock, PATH) == 0);
	steer_reset();
	scene->rules();
	scene->prepare();
	stop();
	steer_reset();
	steer_no_pauses();
	scene->rules();
	steer_before(ANY_CALL, nth, event, NULL);
	told->result = operation->act();
	told->calls = steer_count(ANY_CALL);
	REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	steer_reset();
	scene->rules();
	told->verified = lock ? lockfile_pid_verify(lock) : ROGUE;
	stop();
	told->released = lock ? lockfile_pid_unlock(lock) : ROGUE;
	lockfile_pid_free(lock);
	if (outside >= 0) {
		leave_root(outside);
		close(outside);
	}
	told->leaked = count_open() - may_be_open;
	_exit(0);
}

/* In the test */

static struct holder other;

static void await_stop(void)
{
	int status = 0;
	pid_t pid;

	do {
		pid = waitpid(-1, &status, WUNTRACED);
		ck_assert_int_gt(pid, 0);
		ck_assert_msg(WIFSTOPPED(status) || status == 0, "the holder failed: %x", status);
	} while (!WIFSTOPPED(status) || pid != told->pid);
}

static void go_on(void)
{
	ck_assert_int_eq(kill(told->pid, SIGCONT), 0);
}

static void await_end(void)
{
	int status = -1;

	ck_assert_int_eq(waitpid(told->pid, &status, 0), told->pid);
	ck_assert_int_eq(status, 0);
}

/* The present trial */

static const struct trial {
	const struct scene *scene;
	const struct operation *operation;
	void (*event)(void *);
	int nth;
} * trial;

static const char *describe(void)
{
	static char text[300];

	snprintf(text, sizeof(text),
	         "%s, %s, %s %d of %d: result %d, then verify %d, unlock %d, left %s",
	         trial->scene->name, trial->operation->name,
	         trial->event == run_out ? "no descriptor from call" : "all closed at call",
	         trial->nth, told->calls, told->result, told->verified, told->released,
	         list_dir(DIR));
	return text;
}

#define assert_so(condition) ck_assert_msg(condition, "%s: not " #condition, describe())

static bool is(int flags)
{
	return (trial->scene->flags & flags) != 0;
}

static bool is_closed(void)
{
	return told->happened && trial->event == close_all;
}

static bool is_of(int (*act)(void))
{
	return trial->operation->act == act;
}

static bool is_documented_error(int r)
{
	if (is(CANNOT_REMOVE) && (r == -EACCES || r == -EPERM))
		return is_of(unlock);
	if (is_closed())
		return r == -EBADF || (r == ROGUE && is(NEEDS_DIRECTORY));
	return r == -EMFILE && is(NEEDS_DESCRIPTOR) && is_of(unlock) && told->happened;
}

/* Of the operation, and of what the handle says after it. */
static void check_results(void)
{
	assert_so(told->result == 0 || is_documented_error(told->result));
	if (is_of(give_back) || told->result == ROGUE || (is_of(unlock) && told->result == 0))
		assert_so(told->verified == ROGUE);
	else if (!(is_closed() && is(NEEDS_DIRECTORY)))
		assert_so(told->verified == 0);
}

/* May others have it before the holder ends? */
static void check_others(void)
{
	int r = holder_do(&other, "trylock");

	assert_so(r == 0 || r == BUSY);
	if (told->result == 0 && is_of(unlock))
		assert_so(r == 0);
	else if (!is_of(give_back))
		assert_so(r == BUSY);
	else
		assert_so(r == 0 || is_closed());
	if (r == 0)
		ck_assert_int_eq(holder_do(&other, "unlock"), 0);
}

/* It waits since the lock was held; returns whether it had it meanwhile. */
static bool let_waiter_release(void)
{
	if (is_of(verify) || told->result < 0) {
		assert_so(!has_answer(&other));
		return false;
	}
	if (is_of(give_back) && is_closed())
		return false;
	ck_assert_int_eq(holder_answer(&other), 0);
	ck_assert_int_eq(holder_do(&other, "unlock"), 0);
	return true;
}

static void look_while_holder_is_stopped(void)
{
	bool had_it = false;

	check_results();
	if (is(IS_WAITED_FOR))
		had_it = let_waiter_release();
	else
		check_others();
	go_on();
	await_end();
	if (is(IS_WAITED_FOR) && !had_it) {
		ck_assert_int_eq(holder_answer(&other), 0);
		ck_assert_int_eq(holder_do(&other, "unlock"), 0);
	}
}

static void write_stale(void)
{
	char text[32];

	snprintf(text, sizeof(text), "%d\n", (int)dead_pid());
	write_file(PATH, text);
}

/* Whoever comes next can have it, and then nothing is left. */
static void look_after_holder(void)
{
	assert_so(told->leaked == 0);
	if (!is_of(give_back) && told->verified == 0)
		assert_so(told->released == 0 || is(CANNOT_REMOVE));
	if (exists(PATH))
		assert_so(is(CANNOT_REMOVE) || (is_closed() && is_of(give_back)) ||
		          (is_closed() && is(NEEDS_DIRECTORY)));
	assert_so(!exists(PATH ".queue"));
	if (exists(PATH ".takeover")) {
		assert_so(is_closed() && is(PREPARES_FILE));
		unlink(PATH);
		write_stale();
	}
	ck_assert_int_eq(holder_do(&other, "trylock"), 0);
	ck_assert_int_eq(holder_do(&other, "unlock"), 0);
	assert_so(strcmp(list_dir(DIR), "") == 0);
}

static void try(void)
{
	pid_t first = checked_fork();

	if (first == 0)
		be_holder(trial->scene, trial->operation, trial->nth, trial->event);
	await_stop();
	if (is(IS_WAITED_FOR)) {
		holder_ask(&other, "lock");
		await_blocked(&other);
	}
	go_on();
	await_stop();
	look_while_holder_is_stopped();
	look_after_holder();
}

/* A lock that children may have is missed by waiters within a second: some calls will do. */
#define SLOW 7

static bool takes(int nth)
{
	bool is_slow = is(IS_WAITED_FOR) && is(PREPARES_FILE) && is_of(give_back);

	return pace_takes(nth - 1) && (!is_slow || nth % SLOW == 1);
}

/* Until nothing happens any more. */
static void try_each_call(const struct scene *scene, void (*event)(void *))
{
	for (size_t i = 0; i < OPERATIONS; i++) {
		struct trial each = { scene, &operations[i], event, 1 };

		trial = &each;
		do {
			if (takes(each.nth))
				try();
			each.nth++;
		} while (told->happened);
		assert_so(told->result == 0 || is(CANNOT_REMOVE));
	}
}

static void try_scene(const struct scene *scene, void (*event)(void *))
{
	if (scene->flags & NEEDS_ROOT)
		SKIP_UNLESS_ROOT();
	skip_without_attributes();
	adopt_orphans();
	told = mmap(NULL, sizeof(*told), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(told, MAP_FAILED);
	/* for another user, too */
	ck_assert_int_eq(chmod(".", 0755), 0);
	ck_assert_int_eq(chmod("..", 0755), 0);
	ck_assert_int_eq(mkdir(DIR, 0755), 0);
	ck_assert_int_eq(mkdir(ROOT, 0755), 0);
	other = holder_start(PATH);
	try_each_call(scene, event);
	holder_end(&other);
	ck_assert_int_eq(rmdir(DIR), 0);
	ck_assert_int_eq(rmdir(ROOT), 0);
}

TEST_EACH_WITHIN(without_new_descriptors_a_lock_is_looked_at_and_released, scenes, TIMEOUT_S)
{
	try_scene(&scenes[_i], run_out);
}

TEST_EACH_WITHIN(a_lock_whose_descriptors_are_closed_at_any_call_is_not_lost, scenes, TIMEOUT_S)
{
	try_scene(&scenes[_i], close_all);
}
