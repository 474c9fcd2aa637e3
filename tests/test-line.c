/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The line of waiters: who is next, and what becomes of those who leave it.
 *
 * A waiter that looks at PATH just when the lock is released, as each does once a
 * second, is awake, and the next one is woken as well.  So where the order of
 * two is asserted, one such meeting is no failure: the round is repeated.
 */
#include <config.h>

#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <lockfile-pid.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

/* A second in which nothing wakes a waiter goes by before it looks by itself. */
#define SLOW_MS 900

#define ROUNDS 9

static void wait_for_state(pid_t pid, int signal, int state)
{
	siginfo_t info;

	ck_assert_int_eq(kill(pid, signal), 0);
	ck_assert_int_eq(waitid(P_PID, (id_t)pid, &info, state), 0);
}

static void stop(const struct holder *holder)
{
	wait_for_state(holder->pid, SIGSTOP, WSTOPPED);
}

static void go_on(const struct holder *holder)
{
	wait_for_state(holder->pid, SIGCONT, WCONTINUED);
}

static struct holder start_waiter(const char *path)
{
	struct holder waiter = holder_start(path);

	holder_ask(&waiter, "lock");
	await_blocked(&waiter);
	return waiter;
}

static void nap_us(long us)
{
	struct timespec time = { .tv_nsec = us * 1000 };

	if (us > 0)
		nanosleep(&time, NULL);
}

static unsigned int seed_of_this_run(void)
{
	unsigned int seed = (unsigned int)getpid() ^ (unsigned int)now_ms();

	printf("# seed %u\n", seed);
	srand(seed);
	return seed;
}

static int compare(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

static int median(int *values, int count)
{
	qsort(values, (size_t)count, sizeof(*values), compare);
	return values[count / 2];
}

/* The one of them that has an answer; the others have none. */
static int await_one(const struct holder *waiters, int count)
{
	struct pollfd answers[16];
	int found = -1;

	for (int i = 0; i < count; i++)
		answers[i] = (struct pollfd){ .fd = waiters[i].from, .events = POLLIN };
	ck_assert_int_eq(poll(answers, (nfds_t)count, -1), 1);
	for (int i = 0; i < count; i++)
		if (answers[i].revents)
			found = i;
	return found;
}

/* Order */

#define WAITERS 8

static bool come_in_order(struct lockfile_pid *lock)
{
	struct holder waiters[WAITERS];
	bool in_order = true;
	int who = -1;

	ck_assert_int_eq(lockfile_pid_lock(lock), 0);
	for (int i = 0; i < WAITERS; i++)
		waiters[i] = start_waiter("x.pid");
	for (int turn = 0; turn < WAITERS; turn++) {
		for (int i = 0; i < WAITERS; i++)
			if (waiters[i].from >= 0 && i != who)
				await_blocked(&waiters[i]);
		if (turn == 0)
			ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
		else
			ck_assert_int_eq(holder_do(&waiters[who], "unlock"), 0);
		if (turn > 0) {
			holder_end(&waiters[who]);
			waiters[who].from = -1;
		}
		who = await_one(waiters, WAITERS);
		ck_assert_int_eq(holder_answer(&waiters[who]), 0);
		in_order = in_order && who == turn;
	}
	holder_end(&waiters[who]);
	return in_order;
}

TEST(waiters_come_in_the_order_in_which_they_joined)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	int good = 0;

	for (int round = 0; round < ROUNDS && good < 3; round++)
		good += come_in_order(lock);
	ck_assert_int_eq(good, 3);
	lockfile_pid_free(lock);
}

/* Is the first one the first still, after this happened to it in line? */
static bool keeps_its_place(struct lockfile_pid *lock, void (*happens)(const struct holder *))
{
	struct holder waiters[2];
	int first;

	ck_assert_int_eq(lockfile_pid_lock(lock), 0);
	waiters[0] = start_waiter("x.pid");
	waiters[1] = start_waiter("x.pid");
	happens(&waiters[0]);
	await_blocked(&waiters[0]);
	await_blocked(&waiters[1]);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	first = await_one(waiters, 2);
	ck_assert_int_eq(holder_answer(&waiters[first]), 0);
	holder_end(&waiters[first]);
	ck_assert_int_eq(holder_answer(&waiters[!first]), 0);
	holder_end(&waiters[!first]);
	return first == 0;
}

static void stop_often(const struct holder *waiter)
{
	for (int i = 0; i < 10; i++) {
		stop(waiter);
		go_on(waiter);
		await_blocked(waiter);
	}
}

TEST(a_waiter_that_was_stopped_and_goes_on_keeps_its_place)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	int good = 0;

	for (int round = 0; round < ROUNDS && good < 3; round++)
		good += keeps_its_place(lock, stop_often);
	ck_assert_int_eq(good, 3);
	lockfile_pid_free(lock);
}

static void send_signals(const struct holder *waiter)
{
	for (int i = 0; i < 10; i++) {
		ck_assert_int_eq(kill(waiter->pid, SIGUSR2), 0);
		await_blocked(waiter);
	}
}

/* Its handlers: of SIGUSR2 with SA_RESTART; and of SIGUSR1 without, or none. */
static const char *const handlers[] = { "handle-restart", "handle-both" };

static bool keeps_its_place_with(struct lockfile_pid *lock, const char *word)
{
	struct holder waiters[2] = { holder_start("x.pid"), holder_start("x.pid") };
	int first;

	ck_assert_int_eq(lockfile_pid_lock(lock), 0);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(holder_do(&waiters[i], word), 0);
		holder_ask(&waiters[i], "lock");
		await_blocked(&waiters[i]);
	}
	send_signals(&waiters[0]);
	await_blocked(&waiters[1]);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	first = await_one(waiters, 2);
	ck_assert_int_eq(holder_answer(&waiters[first]), 0);
	holder_end(&waiters[first]);
	ck_assert_int_eq(holder_answer(&waiters[!first]), 0);
	holder_end(&waiters[!first]);
	return first == 0;
}

TEST_EACH(a_waiter_whose_handlers_ran_and_restart_keeps_its_place, handlers)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	int good = 0;

	for (int round = 0; round < ROUNDS && good < 3; round++)
		good += keeps_its_place_with(lock, handlers[_i]);
	ck_assert_int_eq(good, 3);
	lockfile_pid_free(lock);
}

/* How long the second takes while the first, stopped, is passed over. */
static int pass_over_stopped(struct lockfile_pid *lock)
{
	struct holder first, second;
	int64_t start;
	int took;

	ck_assert_int_eq(lockfile_pid_lock(lock), 0);
	first = start_waiter("x.pid");
	second = start_waiter("x.pid");
	stop(&first);
	start = now_ms();
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	ck_assert_int_eq(holder_answer(&second), 0);
	took = (int)(now_ms() - start);
	go_on(&first);
	await_blocked(&first);
	ck_assert_int_eq(holder_do(&second, "unlock"), 0);
	ck_assert_int_eq(holder_answer(&first), 0);
	holder_end(&first);
	holder_end(&second);
	return took;
}

TEST(a_stopped_first_waiter_is_passed_over_at_once_and_has_its_turn_later)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	int took[ROUNDS];

	for (int round = 0; round < ROUNDS; round++)
		took[round] = pass_over_stopped(lock);
	ck_assert_int_lt(median(took, ROUNDS), SLOW_MS / 2);
	lockfile_pid_free(lock);
}

/* Death */

TEST(a_waiter_killed_at_any_moment_after_the_release_holds_up_nobody)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	unsigned int seed = seed_of_this_run();

	for (int round = 0; round < 12; round++) {
		struct holder first, second;

		ck_assert_int_eq(lockfile_pid_lock(lock), 0);
		first = start_waiter("x.pid");
		second = start_waiter("x.pid");
		ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
		nap_us(rand() % 100);
		holder_kill(&first);
		ck_assert_msg(holder_answer(&second) == 0, "seed %u", seed);
		holder_end(&second);
		ck_assert_msg(!exists("x.pid"), "seed %u", seed);
	}
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0); /* clears what the last one left */
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	assert_nothing_left();
	lockfile_pid_free(lock);
}

TEST(sigterm_ends_a_waiter_and_the_next_release_clears_what_it_left)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	struct holder other;
	int status;

	ck_assert_int_eq(lockfile_pid_lock(lock), 0);
	other = start_waiter("x.pid");
	ck_assert_int_eq(kill(other.pid, SIGTERM), 0);
	ck_assert_int_eq(waitpid(other.pid, &status, 0), other.pid);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	assert_nothing_left();
	close(other.to);
	close(other.from);
	lockfile_pid_free(lock);
}

static int time_to_inherit(void)
{
	struct holder holder = holder_start("x.pid"), waiter;
	int64_t start;
	int took;

	ck_assert_int_eq(holder_do(&holder, "lock"), 0);
	waiter = start_waiter("x.pid");
	start = now_ms();
	holder_kill(&holder);
	ck_assert_int_eq(holder_answer(&waiter), 0);
	took = (int)(now_ms() - start);
	holder_end(&waiter);
	return took;
}

TEST(the_death_of_the_holder_wakes_the_first_in_line_at_once)
{
	int took[ROUNDS];

	skip_without_pidfds();
	for (int round = 0; round < ROUNDS; round++)
		took[round] = time_to_inherit();
	ck_assert_int_lt(median(took, ROUNDS), SLOW_MS / 2);
}

/* By hand, and foreign */

static const char *const removed[] = { "x.pid", "x.pid.queue" };

TEST_EACH(a_name_removed_by_hand_is_noticed, removed)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	struct holder other;

	ck_assert_int_eq(lockfile_pid_lock(lock), 0);
	other = start_waiter("x.pid");
	ck_assert_int_eq(unlink(removed[_i]), 0);
	while (!exists(removed[_i]))
		nap_us(1000);
	ck_assert_int_eq(lockfile_pid_unlock(lock), _i ? 0 : LOCKFILE_PID_ERR_ROGUE_DELETION);
	ck_assert_int_eq(holder_answer(&other), 0);
	ck_assert_str_eq(list_dir("."), "x.pid ");
	holder_end(&other);
	lockfile_pid_free(lock);
}

static void end_foreign(pid_t pid)
{
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
}

static void remove_foreign(pid_t pid)
{
	(void)pid;
	ck_assert_int_eq(unlink("x.pid"), 0);
}

static void (*const foreign_ends[])(pid_t) = { end_foreign, remove_foreign };

static int time_to_follow_foreign(void (*end)(pid_t))
{
	pid_t child = idle_child();
	struct holder waiter;
	char content[16];
	int64_t start;
	int took;

	snprintf(content, sizeof(content), "%d\n", (int)child);
	write_file("x.pid", content);
	waiter = start_waiter("x.pid");
	start = now_ms();
	end(child);
	ck_assert_int_eq(holder_answer(&waiter), 0);
	took = (int)(now_ms() - start);
	holder_end(&waiter);
	kill_child(child);
	return took;
}

TEST_EACH(the_end_of_a_foreign_lock_is_noticed_well_within_a_second, foreign_ends)
{
	int took[ROUNDS];

	if (foreign_ends[_i] == end_foreign)
		skip_if_shared();
	for (int round = 0; round < ROUNDS; round++)
		took[round] = time_to_follow_foreign(foreign_ends[_i]);
	ck_assert_int_lt(median(took, ROUNDS), SLOW_MS / 2);
}

/* Both names at once. */
static void exchange(const char *one, const char *other)
{
	if (syscall(SYS_renameat2, AT_FDCWD, one, AT_FDCWD, other, 2) < 0)
		SKIP("two names cannot be exchanged here: %s", strerror(errno));
}

static struct holder start_holder(const char *path)
{
	struct holder holder = holder_start(path);

	ck_assert_int_eq(holder_do(&holder, "lock"), 0);
	return holder;
}

/*
 * Another directory takes the place of that with the lock, and the former
 * holder's death wakes the waiter before it has come along.
 */
TEST(who_is_woken_in_a_directory_that_was_moved_away_locks_in_the_new_one)
{
	struct holder former, holder, waiter;

	ck_assert(mkdir("d", 0755) == 0 && mkdir("e", 0755) == 0);
	former = start_holder("d/x.pid");
	holder = start_holder("e/x.pid");
	waiter = start_waiter("d/x.pid");
	exchange("d", "e");
	holder_kill(&former);
	holder_kill(&holder);
	ck_assert_int_eq(holder_answer(&waiter), 0);
	ck_assert_int_eq(holder_do(&waiter, "verify"), 0);
	holder_end(&waiter);
	ck_assert_str_eq(list_dir("d"), "");
	ck_assert_str_eq(list_dir("e"), "x.pid ");
	ck_assert_int_eq(unlink("e/x.pid"), 0);
	ck_assert(rmdir("d") == 0 && rmdir("e") == 0);
}

/* As a service manager does when a service ends and starts again. */
TEST(who_is_woken_in_a_directory_that_was_removed_locks_in_the_new_one)
{
	struct holder former, waiter;

	ck_assert(mkdir("d", 0755) == 0 && mkdir("e", 0755) == 0);
	former = start_holder("d/x.pid");
	waiter = start_waiter("d/x.pid");
	exchange("d", "e");
	unlink("e/x.pid");
	unlink("e/x.pid.queue");
	ck_assert_int_eq(rmdir("e"), 0);
	holder_kill(&former);
	ck_assert_int_eq(holder_answer(&waiter), 0);
	ck_assert_int_eq(holder_do(&waiter, "verify"), 0);
	holder_end(&waiter);
	ck_assert_int_eq(rmdir("d"), 0);
}

/* Where there can be no line */

static void make_directory(void)
{
	ck_assert_int_eq(mkdir("x.pid.queue", 0755), 0);
}

static void make_file(void)
{
	write_file("x.pid.queue", "data");
}

static void make_link(void)
{
	ck_assert_int_eq(mkfifo("fifo", 0666), 0);
	ck_assert_int_eq(symlink("fifo", "x.pid.queue"), 0);
}

static void (*const obstacles[])(void) = { make_directory, make_file, make_link };

/* Two that wait, one after the other. */
static void serve_two(struct lockfile_pid *lock)
{
	struct holder waiters[2];
	int first;

	ck_assert_int_eq(lockfile_pid_lock(lock), 0);
	waiters[0] = start_waiter("x.pid");
	waiters[1] = start_waiter("x.pid");
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	first = await_one(waiters, 2);
	ck_assert_int_eq(holder_answer(&waiters[first]), 0);
	holder_kill(&waiters[first]);
	ck_assert_int_eq(holder_answer(&waiters[!first]), 0);
	holder_end(&waiters[!first]);
}

TEST_EACH(waiting_works_where_something_else_stands_in_the_place_of_the_line, obstacles)
{
	struct lockfile_pid *lock = new_lock("x.pid");

	obstacles[_i]();
	serve_two(lock);
	lockfile_pid_free(lock);
	ck_assert_str_eq(list_dir("."), _i == 2 ? "fifo x.pid.queue " : "x.pid.queue ");
	if (_i == 1)
		assert_content("x.pid.queue", "data");
	ck_assert_int_eq(remove("x.pid.queue"), 0);
	if (_i == 2)
		ck_assert_int_eq(unlink("fifo"), 0);
}

/* Other users; the mode is that of the directory. */

static const struct {
	mode_t mode;
	const char *holder, *waiter; /* "check" does nothing: stays root */
	int after_kill;
} users[] = {
	{ 0777, "check", "nobody", 0 },       { 0777, "nobody", "check", 0 },
	{ 01777, "check", "nobody", -EPERM }, /* cannot replace the dead one's file */
	{ 01777, "nobody", "check", -EPERM }, { 01777, "nobody", "nobody", 0 },
};

static struct holder start_user(const char *user)
{
	struct holder holder = holder_start("x.pid");

	ck_assert_int_eq(holder_do(&holder, user), 0);
	return holder;
}

static void serve_user(int row, bool kill_holder)
{
	struct holder holder = start_user(users[row].holder),
		      waiter = start_user(users[row].waiter);
	int expected = kill_holder ? users[row].after_kill : 0;

	ck_assert_int_eq(holder_do(&holder, "lock"), 0);
	holder_ask(&waiter, "lock");
	await_blocked(&waiter);
	if (kill_holder)
		holder_kill(&holder);
	else
		holder_end(&holder);
	ck_assert_int_eq(holder_answer(&waiter), expected);
	holder_end(&waiter);
	ck_assert(exists("x.pid") == (expected != 0));
	if (expected != 0)
		ck_assert_int_eq(unlink("x.pid"), 0);
}

TEST_EACH(a_waiter_of_another_user_is_served, users)
{
	SKIP_UNLESS_ROOT();
	ck_assert_int_eq(chmod(".", users[_i].mode), 0);
	serve_user(_i, false);
	serve_user(_i, true);
	assert_nothing_left();
}

TEST(a_line_of_another_user_in_a_sticky_directory_is_left_alone)
{
	struct holder holder, waiter;

	SKIP_UNLESS_ROOT();
	ck_assert_int_eq(chmod(".", 01777), 0);
	ck_assert_int_eq(mkfifo("x.pid.queue", 0600), 0);
	ck_assert_int_eq(chmod("x.pid.queue", 0666), 0);
	holder = start_user("nobody");
	waiter = start_user("nobody");
	ck_assert_int_eq(holder_do(&holder, "lock"), 0);
	holder_ask(&waiter, "lock");
	await_blocked(&waiter);
	ck_assert_int_eq(holder_do(&holder, "unlock"), 0);
	ck_assert_int_eq(holder_answer(&waiter), 0);
	holder_ask(&holder, "lock");
	await_blocked(&holder);
	holder_kill(&waiter);
	ck_assert_int_eq(holder_answer(&holder), 0);
	holder_end(&holder);
	ck_assert_str_eq(list_dir("."), "x.pid.queue ");
	ck_assert_int_eq(unlink("x.pid.queue"), 0);
}

/* Of holder and waiter one is in another PID namespace; row 0: the waiter. */
static const char *const inside[] = { "waiter", "holder" };

static void start_pair(int row, struct holder *holder, struct holder *waiter)
{
	if (ADDRESS_SANITIZER)
		SKIP("the leak sanitizer cannot look from a PID namespace");
	if (row == 0)
		*holder = holder_start("x.pid");
	else
		*waiter = holder_start("x.pid");
	if (unshare(CLONE_NEWPID) < 0)
		SKIP("cannot have a PID namespace for the %s", inside[row]);
	if (row == 0)
		*waiter = holder_start("x.pid");
	else
		*holder = holder_start("x.pid");
}

TEST_EACH(a_waiter_in_another_pid_namespace_is_served_on_release, inside)
{
	struct holder holder, waiter;

	start_pair(_i, &holder, &waiter);
	ck_assert_int_eq(holder_do(&holder, "lock"), 0);
	holder_ask(&waiter, "lock");
	await_blocked(&waiter);
	ck_assert_int_eq(holder_do(&holder, "unlock"), 0);
	ck_assert_int_eq(holder_answer(&waiter), 0);
	holder_end(&waiter);
	holder_end(&holder);
}

TEST_EACH(a_waiter_in_another_pid_namespace_is_served_when_the_holder_dies, inside)
{
	struct holder holder, waiter;

	/* its PID may be that of a living process out here, and nothing else tells */
	skip_without_attributes();
	start_pair(_i, &holder, &waiter);
	ck_assert_int_eq(holder_do(&holder, "lock"), 0);
	holder_ask(&waiter, "lock");
	await_blocked(&waiter);
	holder_kill(&holder);
	ck_assert_int_eq(holder_answer(&waiter), 0);
	holder_end(&waiter);
}
