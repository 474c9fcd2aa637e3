/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A system call of the library never returns, in one thread of one process: as on a
 * mount whose server does not answer.  Each call of each scene in turn.  Meanwhile
 * - other threads of that process fork, and use other handles;
 * - other processes get an answer for the same path within their time;
 * and when that process is killed the lock is free, and nothing is left behind.
 */
#include <config.h>

#include "forge.h"
#include "pace.h"
#include "steer.h"
#include "world.h"

#include <errno.h>
#include <lockfile-pid.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define PATH  "x.pid"
#define OTHER "other.pid"

/* What everybody else takes at most: a second for the takeover lock, and a slow machine. */
#define OTHERS_MS 20000

/* The thread whose call does not return, in the process that is killed. */
static struct lockfile_pid *lock;
static sem_t arrived;
static bool is_stuck;
static int calls_left;

/* What asks neither a file system nor anything else that another process can hold up. */
static bool returns_always(const char *call)
{
	static const char *const calls[] = { "sys_getpid", "sys_getrandom", "sys_clock_ns" };

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		if (strcmp(call, calls[i]) == 0)
			return true;
	return false;
}

static void never_return(void *unused)
{
	(void)unused;
	if (returns_always(steer_call()->name) || calls_left-- != 0)
		return;
	is_stuck = true;
	sem_post(&arrived);
	for (;;)
		pause();
}

static int try_lock(void)
{
	return lockfile_pid_trylock(lock);
}

static int wait_a_little(void)
{
	return lockfile_pid_timedlock(lock, 30);
}

static int unlock(void)
{
	return lockfile_pid_unlock(lock);
}

static int check(void)
{
	pid_t pid;

	return lockfile_pid_check(lock, &pid);
}

static int verify(void)
{
	return lockfile_pid_verify(lock);
}

static int adopt(void)
{
	return lockfile_pid_adopt(lock);
}

static int free_lock(void)
{
	lockfile_pid_free(lock);
	return 0;
}

static void nothing(void)
{
}

static void stale_file(void)
{
	forge_foreign(PATH, dead_pid());
}

static void stale_takeover_file(void)
{
	stale_file();
	write_file(PATH ".takeover", "");
	REQUIRE(chmod(PATH ".takeover", 0600) == 0);
}

static void held(void)
{
	REQUIRE(lockfile_pid_trylock(lock) == 0);
}

static void held_inheritable(void)
{
	REQUIRE(lockfile_pid_set_inheritable(lock, 1) == 0);
	held();
}

/* The process that is killed is a child of the holder, which has ended. */
static void inherited(void)
{
	held_inheritable();
	if (fork() != 0)
		_exit(0);
}

/* A wait queue that a crash left behind. */
static void held_with_queue(void)
{
	held();
	REQUIRE(mkfifo(PATH ".queue", 0600) == 0);
}

static const struct {
	const char *what;
	void (*prepare)(void);
	int (*act)(void);
	bool held_by_other; /* by a process that goes on */
} scenes[] = {
	{ "lock", nothing, try_lock, false },
	{ "take over", stale_file, try_lock, false },
	{ "take over after a crash", stale_takeover_file, try_lock, false },
	{ "unlock", held, unlock, false },
	{ "unlock and wake", held_with_queue, unlock, false },
	{ "unlock an inheritable lock", held_inheritable, unlock, false },
	{ "free a held lock", held, free_lock, false },
	{ "free an inheritable lock", held_inheritable, free_lock, false },
	{ "verify", held, verify, false },
	{ "adopt", inherited, adopt, false },
	{ "try a lock that is held", nothing, try_lock, true },
	{ "check a lock that is held", nothing, check, true },
	{ "wait for a lock that is held", nothing, wait_a_little, true },
};

static void *act_in_thread(void *scene)
{
	scenes[*(int *)scene].act();
	sem_post(&arrived);
	return NULL;
}

/* Other threads go on. */
static void use_other_handle(void)
{
	struct lockfile_pid *other;
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(0);
	REQUIRE(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0);
	REQUIRE(lockfile_pid_new(&other, OTHER) == 0);
	REQUIRE(lockfile_pid_trylock(other) == 0);
	REQUIRE(lockfile_pid_verify(other) == 0);
	REQUIRE(lockfile_pid_unlock(other) == 0);
	lockfile_pid_free(other);
}

struct report {
	pid_t pid;
	bool is_stuck; /* the nth call was reached */
};

static void be_stuck(int scene, int nth, int to)
{
	struct report report;
	pthread_t thread;

	REQUIRE(lockfile_pid_new(&lock, PATH) == 0);
	scenes[scene].prepare();
	REQUIRE(sem_init(&arrived, 0, 0) == 0);
	steer_reset();
	calls_left = nth - 1;
	steer_before(ANY_CALL, EVERY, never_return, NULL);
	REQUIRE(pthread_create(&thread, NULL, act_in_thread, &scene) == 0);
	while (sem_wait(&arrived) < 0)
		;
	if (is_stuck)
		use_other_handle();
	report = (struct report){ getpid(), is_stuck };
	if (write(to, &report, sizeof(report)) != sizeof(report))
		_exit(1);
	for (;;)
		pause();
}

static struct report start_stuck(int scene, int nth)
{
	struct report report;
	int ends[2];
	pid_t pid;

	ck_assert_int_eq(pipe(ends), 0);
	pid = checked_fork();
	if (pid == 0)
		be_stuck(scene, nth, ends[1]);
	close(ends[1]);
	ck_assert_int_eq(read(ends[0], &report, sizeof(report)), sizeof(report));
	close(ends[0]);
	/* where a child of that process tells, it has ended */
	if (report.pid != pid)
		ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	return report;
}

/* All this comes to an end while the other one is stuck. */
static void contend_meanwhile(struct lockfile_pid *contender)
{
	int r = lockfile_pid_trylock(contender);

	ck_assert(r == 0 || r == LOCKFILE_PID_ERR_BUSY);
	if (r == 0)
		ck_assert_int_eq(lockfile_pid_unlock(contender), 0);
	r = lockfile_pid_timedlock(contender, 5);
	ck_assert(r == 0 || r == -ETIMEDOUT);
	if (r == 0)
		ck_assert_int_eq(lockfile_pid_unlock(contender), 0);
	r = lockfile_pid_check(contender, &(pid_t){ 0 });
	ck_assert(r == 0 || r == LOCKFILE_PID_ERR_BUSY || r == LOCKFILE_PID_ERR_PROCESS_DEAD);
}

/* What a crash leaves the next user of each removes: of PATH.takeover, of PATH.queue. */
static void use_all_names(struct lockfile_pid *contender)
{
	struct holder waiter = holder_start(PATH);

	stale_file();
	ck_assert_int_eq(lockfile_pid_timedlock(contender, OTHERS_MS), 0);
	holder_ask(&waiter, "lock");
	await_blocked(&waiter);
	ck_assert_int_eq(lockfile_pid_unlock(contender), 0);
	ck_assert_int_eq(holder_answer(&waiter), 0);
	holder_end(&waiter);
}

/* Returns whether the scene has an nth call. */
static bool try_call(int scene, int nth)
{
	struct lockfile_pid *contender = new_lock(PATH);
	struct holder holder = holder_start(PATH);
	struct report report;

	if (scenes[scene].held_by_other)
		ck_assert_int_eq(holder_do(&holder, "trylock"), 0);
	report = start_stuck(scene, nth);
	contend_meanwhile(contender);
	if (scenes[scene].held_by_other)
		ck_assert_int_eq(holder_do(&holder, "unlock"), 0);
	kill_child(report.pid);
	ck_assert_int_eq(lockfile_pid_timedlock(contender, OTHERS_MS), 0);
	ck_assert_int_eq(lockfile_pid_unlock(contender), 0);
	use_all_names(contender);
	holder_end(&holder);
	lockfile_pid_free(contender);
	return report.is_stuck;
}

TEST_EACH_WITHIN(others_go_on_whatever_call_does_not_return, scenes, 240)
{
	int nth = 1, step = pace();

	adopt_orphans();
	while (try_call(_i, nth)) {
		assert_nothing_left();
		nth += step;
	}
	ck_assert_int_gt(nth, 1);
	printf("# %s: each of %d calls\n", scenes[_i].what, (nth - 1) / step);
}
