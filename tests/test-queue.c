/* SPDX-License-Identifier: BSD-2-Clause */
/* The line of waiters, call by call. */
#include <config.h>

#include "handle.h"
#include "process.h"
#include "steer.h"
#include "sys.h"
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <lockfile-pid.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define FIFO "x.pid.queue"

/* Of files that are made; then our effective user decides. */
#define NO_OWNER ((uid_t)-1)

static bool is_readable(const struct lockfile_pid *lock, int timeout_ms)
{
	struct pollfd p = { .fd = lockfile_pid_wait_fd(lock), .events = POLLIN };

	ck_assert_int_ge(p.fd, 0);
	return poll(&p, 1, timeout_ms) == 1;
}

static struct lockfile_pid *held(void)
{
	struct lockfile_pid *lock = new_lock("x.pid");

	ck_assert_int_eq(lockfile_pid_lock(lock), 0);
	return lock;
}

static struct lockfile_pid *in_line(void)
{
	struct lockfile_pid *lock = new_lock("x.pid");

	ck_assert_int_eq(lockfile_pid_wait_begin(lock), LOCKFILE_PID_ERR_BUSY);
	return lock;
}

static void begin(void *lock)
{
	ck_assert_int_eq(lockfile_pid_wait_begin(lock), LOCKFILE_PID_ERR_BUSY);
}

static void cancel(void *lock)
{
	ck_assert_int_eq(lockfile_pid_wait_cancel(lock), 0);
}

static void continue_in_vain(struct lockfile_pid *lock)
{
	ck_assert_int_eq(lockfile_pid_wait_continue(lock), LOCKFILE_PID_ERR_BUSY);
}

static void remove_fifo(void *unused)
{
	(void)unused;
	unlink(FIFO);
}

/* What is not needed is not done */

TEST(use_without_contention_looks_for_a_line_once_and_touches_none)
{
	struct lockfile_pid *lock = new_lock("x.pid");

	steer_reset();
	steer_watch_opens(FIFO);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	/* that the link led to our file */
	ck_assert_int_eq(steer_count("sys_fstatat"), 1);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	ck_assert_ptr_nonnull(strstr(steer_trace(), "unlinkat fstatat close_two "));
	ck_assert_int_eq(steer_opens(), 0);
	ck_assert_int_eq(steer_count("sys_mkfifoat"), 0);
	ck_assert_int_eq(steer_count("sys_epoll_create"), 0);
	ck_assert_int_eq(steer_count("sys_epoll_wait"), 0);
	ck_assert_int_eq(steer_count("sys_write"), 0);
	steer_reset();
	lockfile_pid_free(lock);
}

/* Coming */

static const struct {
	const char *call;
	int nth;
} goings[] = {
	{ "sys_mkfifoat", 1 },
	{ "sys_lock_byte", 1 }, /* the place is taken, and the name leads nowhere */
};

/* This happens after a call of its joining: does it stand in line, and how many has it made? */
static void join_while(void (*hook)(void *), const char *call, int nth, bool stands, int made)
{
	struct lockfile_pid *holder = held(), *lock = new_lock("x.pid");

	steer_reset();
	steer_after(call, nth, hook, NULL);
	begin(lock);
	ck_assert_int_eq(exists(FIFO), stands);
	ck_assert_int_eq(lock->queue.fifo.fd >= 0, stands);
	ck_assert_int_eq(steer_count("sys_mkfifoat"), made);
	steer_reset();
	cancel(lock);
	ck_assert_str_eq(list_dir("."), "x.pid ");
	lockfile_pid_free(lock);
	lockfile_pid_free(holder);
}

TEST_EACH(who_comes_when_the_line_goes_away_makes_a_new_one, goings)
{
	join_while(remove_fifo, goings[_i].call, goings[_i].nth, true, 2);
}

static void make_fifo(void *unused)
{
	(void)unused;
	ck_assert_int_eq(mkfifo(FIFO, 0600), 0);
}

static void remove_fifo_and_make_it_when_that_was_seen(void *unused)
{
	remove_fifo(unused);
	steer_after("sys_fstatat", 1, make_fifo, NULL);
}

TEST(who_comes_when_the_line_goes_away_stands_in_the_one_that_another_made)
{
	join_while(remove_fifo_and_make_it_when_that_was_seen, "sys_mkfifoat", 1, true, 1);
}

static void let_none_be_opened_and_remove_it(void *unused)
{
	(void)unused;
	steer_before("sys_openat", 1, remove_fifo, NULL);
	steer_result("sys_openat", 1, -EMFILE);
}

TEST(a_line_that_cannot_be_used_and_is_gone_already_is_none)
{
	join_while(let_none_be_opened_and_remove_it, "sys_mkfifoat", 1, false, 1);
}

TEST(a_candidate_whose_mode_cannot_be_changed_any_more_is_made_anew)
{
	struct lockfile_pid *holder = held(), *lock = new_lock("x.pid");
	struct stat st;

	begin(lock);
	ck_assert(pidfile_exists(&lock->file));
	/* as of one that was at work, before setuid(2) */
	ck_assert_int_eq(fchmod(lock->file.descriptor.fd, 0600), 0);
	lock->file.mode_now = 0600;
	ck_assert_int_eq(lockfile_pid_unlock(holder), 0);
	steer_reset();
	steer_result("sys_fchmod", 1, -EPERM);
	ck_assert_int_eq(lockfile_pid_wait_continue(lock), 0);
	ck_assert_int_eq(steer_count("sys_fchmod"), 1);
	steer_reset();
	ck_assert_int_eq(stat("x.pid", &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0644);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	assert_nothing_left();
	lockfile_pid_free(lock);
	lockfile_pid_free(holder);
}

static struct holder start_waiter(void)
{
	struct holder waiter = holder_start("x.pid");

	ck_assert_int_eq(holder_do(&waiter, "begin"), LOCKFILE_PID_ERR_BUSY);
	return waiter;
}

/* For hooks, which may run where the list of our descriptors is locked. */
static void holder_begin(void *holder)
{
	ck_assert_int_eq(holder_do(holder, "begin"), LOCKFILE_PID_ERR_BUSY);
}

static void holder_cancel(void *holder)
{
	ck_assert_int_eq(holder_do(holder, "cancel"), 0);
}

TEST(who_comes_when_the_last_one_leaves_tries_again)
{
	struct lockfile_pid *holder = held(), *lock = new_lock("x.pid");
	struct holder last = start_waiter();

	steer_reset();
	steer_result("sys_lock_byte", 1, -EAGAIN); /* the one who leaves has it */
	steer_before("sys_lock_byte", 2, holder_cancel, &last);
	begin(lock);
	ck_assert(exists(FIFO));
	ck_assert_int_ge(lock->queue.fifo.fd, 0);
	steer_reset();
	cancel(lock);
	ck_assert_str_eq(list_dir("."), "x.pid ");
	holder_end(&last);
	lockfile_pid_free(lock);
	lockfile_pid_free(holder);
}

TEST(who_comes_when_another_makes_the_line_stands_in_that)
{
	struct lockfile_pid *holder = held(), *lock = new_lock("x.pid");
	struct holder other = holder_start("x.pid");

	steer_reset();
	steer_before("sys_mkfifoat", 1, holder_begin, &other);
	begin(lock);
	ck_assert_int_eq(steer_count("sys_mkfifoat"), 1);
	steer_reset();
	ck_assert_int_ge(lock->queue.fifo.fd, 0);
	ck_assert(queue_has_others(&lock->queue));
	holder_cancel(&other);
	ck_assert(!queue_has_others(&lock->queue));
	cancel(lock);
	ck_assert_str_eq(list_dir("."), "x.pid ");
	holder_end(&other);
	lockfile_pid_free(lock);
	lockfile_pid_free(holder);
}

/* For ever: somebody is stopped just then. */
TEST(who_cannot_come_for_the_one_who_leaves_waits_without_a_line)
{
	struct lockfile_pid *holder = held(), *lock = new_lock("x.pid");

	steer_reset();
	steer_result("sys_lock_byte", EVERY, -EAGAIN);
	begin(lock);
	ck_assert_int_lt(lock->queue.fifo.fd, 0);
	steer_reset();
	continue_in_vain(lock); /* and looks for the line again */
	ck_assert_int_ge(lock->queue.fifo.fd, 0);
	cancel(lock);
	ck_assert_str_eq(list_dir("."), "x.pid ");
	lockfile_pid_free(lock);
	lockfile_pid_free(holder);
}

TEST(the_kernel_that_wakes_all_will_do)
{
	struct lockfile_pid *holder = held(), *lock = new_lock("x.pid");

	steer_reset();
	steer_result("sys_epoll_add", 1, -EINVAL);
	begin(lock);
	steer_reset();
	ck_assert_int_ge(lock->queue.fifo.fd, 0);
	lockfile_pid_free(holder);
	ck_assert(is_readable(lock, 0));
	ck_assert_int_eq(lockfile_pid_wait_continue(lock), 0);
	lockfile_pid_free(lock);
}

/* Leaving */

TEST(who_leaves_lets_go_first_and_removes_the_line_only_with_the_lock)
{
	struct lockfile_pid *holder = held(), *lock = in_line();
	const char *order = "unlock_bytes lock_byte fstatat unlinkat ";

	steer_reset();
	cancel(lock);
	ck_assert_int_eq(strncmp(steer_trace(), order, strlen(order)), 0);
	steer_reset();
	lockfile_pid_free(lock);
	lockfile_pid_free(holder);
}

TEST(who_leaves_others_behind_wakes_one_and_removes_nothing)
{
	struct lockfile_pid *holder = held(), *lock = in_line(), *other = in_line();

	steer_reset();
	cancel(lock);
	ck_assert_int_eq(steer_count("sys_unlinkat"), 0);
	ck_assert_int_eq(steer_count("sys_write"), 1);
	steer_reset();
	ck_assert(is_readable(other, 0));
	ck_assert(exists(FIFO));
	lockfile_pid_free(other);
	lockfile_pid_free(lock);
	lockfile_pid_free(holder);
}

/* Something happens at each call of one who leaves, in turn; returns whether there was one. */
static bool leave_while(struct lockfile_pid *lock, void (*happens)(void *), void *argument, int nth)
{
	begin(lock);
	steer_reset();
	steer_before(ANY_CALL, nth, happens, argument);
	cancel(lock);
	happens = steer_count(ANY_CALL) < nth ? NULL : happens;
	steer_reset();
	return happens != NULL;
}

TEST(two_who_leave_at_once_remove_the_line_between_them)
{
	struct lockfile_pid *holder = held(), *lock = new_lock("x.pid");
	struct holder other = holder_start("x.pid");
	bool happened = true;

	for (int nth = 1; happened; nth++) {
		holder_begin(&other);
		happened = leave_while(lock, holder_cancel, &other, nth);
		holder_cancel(&other);
		ck_assert_str_eq(list_dir("."), "x.pid ");
	}
	holder_end(&other);
	lockfile_pid_free(lock);
	lockfile_pid_free(holder);
}

TEST(one_who_comes_while_the_last_one_leaves_stands_in_a_line_that_has_its_name)
{
	struct lockfile_pid *holder = held(), *lock = new_lock("x.pid");
	struct holder other = holder_start("x.pid");

	for (int nth = 1; leave_while(lock, holder_begin, &other, nth); nth++) {
		/* the one who leaves may have had the lock all the time */
		ck_assert(holder_do(&other, "continue") == LOCKFILE_PID_ERR_BUSY);
		ck_assert(exists(FIFO));
		holder_cancel(&other);
		ck_assert_str_eq(list_dir("."), "x.pid ");
	}
	holder_end(&other);
	lockfile_pid_free(lock);
	lockfile_pid_free(holder);
}

/* Going along, where the names lead elsewhere */

TEST(who_waits_makes_a_line_anew_that_was_removed)
{
	struct lockfile_pid *holder = held(), *lock = in_line();

	remove_fifo(NULL);
	continue_in_vain(lock);
	ck_assert(exists(FIFO));
	lockfile_pid_free(holder);
	ck_assert(is_readable(lock, 0));
	ck_assert_int_eq(lockfile_pid_wait_continue(lock), 0);
	lockfile_pid_free(lock);
}

static struct lockfile_pid *in_line_in(const char *dir, struct holder *ret_holder)
{
	struct lockfile_pid *lock;

	ck_assert_int_eq(mkdir(dir, 0755), 0);
	lock = new_lock("d/x.pid");
	*ret_holder = holder_start("d/x.pid");
	ck_assert_int_eq(holder_do(ret_holder, "trylock"), 0);
	begin(lock);
	ck_assert_int_eq(rename(dir, "moved"), 0);
	return lock;
}

static void expect_moved(struct lockfile_pid *lock, struct holder *holder)
{
	ck_assert_str_eq(list_dir("moved"), "x.pid ");
	lockfile_pid_free(lock);
	ck_assert_int_eq(rename("moved", "d"), 0);
	holder_end(holder);
	ck_assert_int_eq(rmdir("d"), 0);
}

TEST(who_waits_goes_along_to_a_directory_that_was_made_anew)
{
	struct holder holder;
	struct lockfile_pid *lock = in_line_in("d", &holder);

	ck_assert_int_eq(mkdir("d", 0755), 0);
	/* it may not be the first there, for all it knows */
	continue_in_vain(lock);
	ck_assert(exists("d/" FIFO));
	ck_assert_int_eq(lockfile_pid_wait_continue(lock), 0);
	assert_content("d/x.pid", "%d\n", (int)getpid());
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	ck_assert_int_eq(rmdir("d"), 0);
	expect_moved(lock, &holder);
}

TEST(who_waits_is_told_of_a_directory_that_is_gone)
{
	struct holder holder;
	struct lockfile_pid *lock = in_line_in("d", &holder);

	ck_assert_int_eq(lockfile_pid_wait_continue(lock), -ENOENT);
	ck_assert_int_eq(lockfile_pid_wait_fd(lock), -EBADF);
	expect_moved(lock, &holder);
}

/* The first in line has one ready. */
TEST(a_candidate_in_line_is_no_lock)
{
	struct lockfile_pid *holder = held(), *lock = in_line();

	ck_assert(pidfile_exists(&lock->file));
	ck_assert_int_eq(lockfile_pid_verify(lock), LOCKFILE_PID_ERR_ROGUE_DELETION);
	ck_assert_int_eq(lockfile_pid_fileno(lock), -EBADF);
	ck_assert_int_eq(lockfile_pid_unlock(lock), -EINPROGRESS);
	ck_assert_int_eq(lockfile_pid_verify(holder), 0);
	lockfile_pid_free(lock);
	lockfile_pid_free(holder);
}

/* The first */

TEST(the_first_in_line_alone_watches_the_holder_and_hands_that_on)
{
	struct lockfile_pid *holder, *first, *second;

	skip_without_pidfds();
	holder = held();
	first = in_line();
	second = in_line();
	ck_assert(first->queue.first && !second->queue.first);
	ck_assert_int_ge(first->queue.pidfd.fd, 0);
	ck_assert_int_lt(second->queue.pidfd.fd, 0);
	continue_in_vain(second);
	ck_assert_int_lt(second->queue.pidfd.fd, 0);
	cancel(first);
	ck_assert(is_readable(second, 0));
	continue_in_vain(second);
	ck_assert(second->queue.first);
	ck_assert_int_ge(second->queue.pidfd.fd, 0);
	lockfile_pid_free(second);
	lockfile_pid_free(first);
	lockfile_pid_free(holder);
}

static void kill_holder(void *holder)
{
	holder_kill(holder);
}

/* Too late for the look at PATH, too early to be watched, or just watched. */
static const char *const deaths[] = {
	"sys_lock_byte", /* to be the first in line; each is the last of its name */
	"sys_pidfd_open",
	"sys_epoll_add", /* the pidfd */
	"sys_timer_set",
};

static int count_in_begin(const char *call)
{
	struct lockfile_pid *lock = new_lock("x.pid");
	int count;

	steer_reset();
	begin(lock);
	count = steer_count(call);
	ck_assert_int_gt(count, 0);
	lockfile_pid_free(lock);
	return count;
}

TEST_EACH(a_holder_that_dies_just_when_it_is_to_be_watched_is_noticed_at_once, deaths)
{
	struct holder holder = holder_start("x.pid");
	struct lockfile_pid *lock = new_lock("x.pid");
	int nth;

	skip_without_pidfds();
	ck_assert_int_eq(holder_do(&holder, "lock"), 0);
	count_in_begin(deaths[_i]); /* the first time it looks itself up, too */
	nth = count_in_begin(deaths[_i]);
	steer_reset();
	steer_before(deaths[_i], nth, kill_holder, &holder);
	begin(lock);
	ck_assert_int_eq(steer_count(deaths[_i]), nth);
	steer_reset();
	ck_assert(lock->queue.pause_ms <= 50 || is_readable(lock, 0));
	ck_assert(is_readable(lock, -1));
	ck_assert_int_eq(lockfile_pid_wait_continue(lock), 0);
	lockfile_pid_free(lock);
}

static const int no_pidfd[] = { EPERM, ENOSYS };

TEST_EACH(without_pidfds_the_death_of_the_holder_is_noticed_all_the_same, no_pidfd)
{
	struct holder holder = holder_start("x.pid");
	struct lockfile_pid *lock = new_lock("x.pid");

	ck_assert_int_eq(holder_do(&holder, "lock"), 0);
	steer_reset();
	steer_result("sys_pidfd_open", EVERY, -no_pidfd[_i]);
	begin(lock);
	ck_assert_int_lt(lock->queue.pidfd.fd, 0);
	holder_kill(&holder);
	ck_assert(is_readable(lock, -1));
	ck_assert_int_eq(lockfile_pid_wait_continue(lock), 0);
	steer_reset();
	lockfile_pid_free(lock);
}

/* Who let go of a lock that a child inherited lives on, and is the one who is watched. */

static pid_t let_go_to_a_child(struct holder *holder)
{
	pid_t child;

	ck_assert_int_eq(holder_do(holder, "inheritable 1"), 0);
	ck_assert_int_eq(holder_do(holder, "trylock"), 0);
	child = holder_do(holder, "fork");
	ck_assert_int_gt(child, 0);
	ck_assert_int_eq(holder_do(holder, "free"), 0);
	return child;
}

/* With all threads, which an emulator has more of, so that its locks are gone. */
static void await_death(pid_t pid)
{
	struct pollfd end = { .fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN };

	ck_assert_int_ge(end.fd, 0);
	ck_assert_int_eq(poll(&end, 1, -1), 1);
	close(end.fd);
}

TEST(a_look_without_a_wake_up_sees_that_the_last_heir_died)
{
	struct holder holder = holder_start("x.pid");
	struct lockfile_pid *lock = new_lock("x.pid");
	pid_t heir;

	skip_without_pidfds();
	skip_without_attributes();
	heir = let_go_to_a_child(&holder);
	begin(lock);
	ck_assert_int_eq(lock->queue.watched, holder.pid);
	continue_in_vain(lock);
	ck_assert_int_eq(kill(heir, SIGKILL), 0);
	await_death(heir);
	ck_assert_int_ge(lock->queue.pidfd.fd, 0);
	ck_assert_int_eq(lockfile_pid_wait_continue(lock), 0);
	assert_content("x.pid", "%d\n", (int)getpid());
	lockfile_pid_free(lock);
	holder_end(&holder);
}

TEST(a_look_at_a_holder_that_lives_classifies_nothing)
{
	struct lockfile_pid *holder, *lock;

	skip_without_pidfds();
	holder = held();
	lock = in_line();
	steer_reset();
	continue_in_vain(lock);
	ck_assert_int_eq(steer_count("sys_openat"), 0);
	ck_assert_int_eq(steer_count("sys_pread"), 0);
	lockfile_pid_free(lock);
	lockfile_pid_free(holder);
}

/* What has no kernel lock is judged each time. */
TEST(a_look_without_a_wake_up_judges_what_is_not_locked)
{
	struct holder holder = holder_start("x.pid");
	struct lockfile_pid *lock = new_lock("x.pid");

	skip_without_pidfds();
	skip_without_attributes();
	ck_assert_int_eq(holder_do(&holder, "trylock"), 0);
	ck_assert_int_eq(holder_do(&holder, "closefrom"), 0);
	begin(lock);
	ck_assert_int_eq(lock->queue.watched, holder.pid);
	steer_reset();
	continue_in_vain(lock);
	ck_assert_int_eq(steer_count("sys_pread"), 1);
	ck_assert_int_eq(holder_do(&holder, "unlock"), 0);
	lockfile_pid_free(lock);
	holder_end(&holder);
}

/* Who is watched, and how long until the next look */

static void watch_of_user(struct queue *queue, uid_t user)
{
	const struct awaited awaited = {
		.pid = getpid(), .user = user, .wakes = true, .locked = true
	};

	queue_watch(queue, &awaited);
}

static void watch(struct queue *queue, pid_t pid, bool wakes)
{
	const struct awaited awaited = {
		.pid = pid, .user = geteuid(), .wakes = wakes, .locked = true
	};

	queue_watch(queue, &awaited);
}

static struct lockfile_pid *join(struct queue *ret, bool with_timer)
{
	struct lockfile_pid *lock = new_lock("x.pid"); /* its path */

	steer_reset();
	ck_assert_int_eq(queue_join(ret, &lock->path, NO_OWNER, with_timer), 0);
	return lock;
}

static struct lockfile_pid *join_alone(struct queue *ret)
{
	return join(ret, false);
}

static void leave_alone(struct queue *queue, struct lockfile_pid *lock)
{
	queue_leave(queue, &lock->path, false);
	lockfile_pid_free(lock);
	assert_nothing_left();
}

/* A child by clone(2), say, has a copy of its descriptor. */
TEST(a_holder_that_has_exited_and_still_holds_ends_the_sleep_once)
{
	struct lockfile_pid *lock;
	struct queue queue;
	pid_t pid;

	skip_without_pidfds();
	lock = join_alone(&queue);
	pid = idle_child();
	watch(&queue, pid, true);
	ck_assert_int_ge(queue.pidfd.fd, 0);
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(queue_sleep(&queue, -1, NULL, NULL), 1);
	for (int i = 0; i < 2; i++) {
		watch(&queue, pid, true);
		ck_assert_int_eq(queue.pause_ms, 1000);
		ck_assert_int_eq(queue_sleep(&queue, 0, NULL, NULL), 0);
	}
	ck_assert_int_eq(steer_count("sys_pidfd_open"), 1);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	leave_alone(&queue, lock);
}

TEST(the_death_of_a_holder_wakes_once_even_where_a_copy_of_its_pidfd_stays_open)
{
	struct lockfile_pid *lock;
	struct queue queue;
	pid_t pid;
	int copy;

	skip_without_pidfds();
	lock = join_alone(&queue);
	pid = idle_child();
	watch(&queue, pid, true);
	copy = dup(queue.pidfd.fd); /* as a child has it that was made by clone(2) */
	ck_assert_int_ge(copy, 0);
	kill_child(pid);
	ck_assert_int_eq(queue_sleep(&queue, -1, NULL, NULL), 1);
	watch(&queue, getpid(), true); /* who has the lock now */
	ck_assert_int_eq(queue_sleep(&queue, 0, NULL, NULL), 0);
	ck_assert_int_eq(close(copy), 0);
	leave_alone(&queue, lock);
}

TEST(a_holder_that_is_a_zombie_already_ends_the_sleep_once)
{
	struct lockfile_pid *lock;
	struct queue queue;
	pid_t pid;

	skip_without_pidfds();
	lock = join_alone(&queue);
	pid = idle_child();
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	await_zombie(pid);
	watch(&queue, pid, true);
	ck_assert_int_eq(queue_sleep(&queue, 0, NULL, NULL), 1);
	watch(&queue, pid, true);
	ck_assert_int_eq(queue_sleep(&queue, 0, NULL, NULL), 0);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	leave_alone(&queue, lock);
}

TEST(path_is_looked_at_soon_once_where_the_holder_is_gone_already)
{
	struct lockfile_pid *lock;
	struct queue queue;
	pid_t pid;

	skip_without_pidfds();
	lock = join_alone(&queue);
	pid = idle_child();
	kill_child(pid);
	watch(&queue, pid, true);
	ck_assert_int_lt(queue.pidfd.fd, 0);
	ck_assert_int_eq(queue.pause_ms, 1);
	watch(&queue, pid, true);
	ck_assert_int_eq(queue.pause_ms, 1000);
	leave_alone(&queue, lock);
}

TEST(a_holder_of_unknown_pid_is_not_watched)
{
	struct lockfile_pid *lock;
	struct queue queue;
	pid_t pid;

	skip_without_pidfds();
	lock = join_alone(&queue);
	pid = idle_child();
	watch(&queue, pid, true);
	ck_assert_int_ge(queue.pidfd.fd, 0);
	watch(&queue, 0, true);
	ck_assert_int_lt(queue.pidfd.fd, 0);
	ck_assert_int_eq(queue.watched, 0);
	ck_assert_int_eq(queue.pause_ms, 1000);
	kill_child(pid);
	leave_alone(&queue, lock);
}

/* Looks at PATH: after 1 ms, 2 ms... 50 ms. */
static const int pauses[] = { 1, 2, 4, 8, 16, 32, 50, 50 };
#define PAUSES (sizeof(pauses) / sizeof(pauses[0]))

TEST(the_first_looks_often_at_a_third_party_file)
{
	struct queue first, second;
	struct lockfile_pid *lock = join_alone(&first);

	ck_assert_int_eq(queue_join(&second, &lock->path, NO_OWNER, false), 0);
	for (int i = 0; i < 2; i++) {
		for (size_t j = 0; j < PAUSES; j++) {
			watch(&first, getpid(), false);
			ck_assert_int_eq(first.pause_ms, pauses[j]);
			watch(&second, getpid(), false);
			ck_assert_int_eq(second.pause_ms, 1000);
		}
		watch(&first, getpid(), true);
		ck_assert_int_eq(first.pause_ms, 1000);
	}
	queue_leave(&second, &lock->path, false);
	leave_alone(&first, lock);
}

TEST(all_look_often_at_a_file_of_another_user)
{
	struct queue first, second;
	struct lockfile_pid *lock = join_alone(&first);

	ck_assert_int_eq(queue_join(&second, &lock->path, NO_OWNER, false), 0);
	for (size_t j = 0; j < PAUSES; j++) {
		watch_of_user(&first, geteuid() + 1);
		ck_assert_int_eq(first.pause_ms, pauses[j]);
		watch_of_user(&second, geteuid() + 1);
		ck_assert_int_eq(second.pause_ms, pauses[j]);
	}
	watch_of_user(&first, geteuid());
	ck_assert_int_eq(first.pause_ms, 1000);
	watch_of_user(&second, geteuid());
	ck_assert_int_eq(second.pause_ms, 1000);
	queue_leave(&second, &lock->path, false);
	leave_alone(&first, lock);
}

TEST(nobody_else_is_seen_without_a_line)
{
	struct queue queue, other;
	struct lockfile_pid *lock = join_alone(&queue);

	ck_assert(!queue_has_others(&queue));
	ck_assert_int_eq(queue_join(&other, &lock->path, NO_OWNER, false), 0);
	ck_assert(queue_has_others(&queue));
	fd_close(&queue.fifo);
	ck_assert(!queue_has_others(&queue));
	queue_leave(&other, &lock->path, false);
	leave_alone(&queue, lock);
}

TEST(nobody_else_is_seen_where_that_cannot_be_asked)
{
	struct queue queue, other;
	struct lockfile_pid *lock = join_alone(&queue);

	ck_assert_int_eq(queue_join(&other, &lock->path, NO_OWNER, false), 0);
	ck_assert(queue_has_others(&queue));
	steer_reset();
	steer_result("sys_is_byte_locked", EVERY, -ENOLCK);
	ck_assert(!queue_has_others(&queue));
	ck_assert_int_eq(steer_count("sys_is_byte_locked"), 1);
	steer_reset();
	queue_leave(&other, &lock->path, false);
	leave_alone(&queue, lock);
}

/* PATH is free, and nobody was woken. */
TEST(who_is_the_first_or_has_let_it_go_first_does_not_defer)
{
	struct lockfile_pid *holder = held(), *first = in_line(), *second = in_line();

	ck_assert(!queue_defers(&second->queue, &second->path));
	ck_assert_int_eq(unlink("x.pid"), 0);
	ck_assert(!queue_defers(&first->queue, &first->path));
	ck_assert(queue_defers(&second->queue, &second->path));
	ck_assert(!queue_defers(&second->queue, &second->path));
	lockfile_pid_free(second);
	lockfile_pid_free(first);
	lockfile_pid_free(holder);
}

TEST(who_is_not_the_first_lets_the_first_go_first_once)
{
	struct lockfile_pid *holder = held(), *first = in_line(), *second = in_line();

	ck_assert_int_eq(unlink("x.pid"), 0);
	continue_in_vain(second);
	ck_assert(second->queue.deferred);
	ck_assert(is_readable(first, 0));
	ck_assert_int_eq(lockfile_pid_wait_continue(second), 0);
	continue_in_vain(first);
	ck_assert_int_eq(lockfile_pid_unlock(second), 0);
	ck_assert_int_eq(lockfile_pid_wait_continue(first), 0);
	lockfile_pid_free(second);
	lockfile_pid_free(first);
	lockfile_pid_free(holder);
}

/* The file that was judged is there, and locked.  Is it as it was? */

static void another_inode(struct queue *queue)
{
	queue->awaited.ino++;
}

static void another_second(struct queue *queue)
{
	queue->awaited.changed.tv_sec--;
}

static void another_nanosecond(struct queue *queue)
{
	queue->awaited.changed.tv_nsec ^= 1;
}

static void unlocked_before(struct queue *queue)
{
	queue->awaited.locked = false;
}

static void foreign_before(struct queue *queue)
{
	queue->awaited.wakes = false;
}

static void exited(struct queue *queue)
{
	(void)queue;
	steer_result("sys_poll", 1, 1);
}

static void gone(struct queue *queue)
{
	(void)queue;
	steer_result("sys_fstatat", 1, -ENOENT);
}

static void (*const news[])(struct queue *) = {
	another_inode, another_second, another_nanosecond, unlocked_before, foreign_before,
	exited,        gone,
};

TEST_EACH(a_look_without_a_wake_up_sees_each_change, news)
{
	struct lockfile_pid *holder, *lock;
	int descriptors;

	skip_without_pidfds();
	holder = held();
	lock = in_line();
	steer_reset();
	ck_assert(queue_sees_no_change(&lock->queue, &lock->path));
	steer_reset();
	descriptors = count_descriptors();
	news[_i](&lock->queue);
	ck_assert(!queue_sees_no_change(&lock->queue, &lock->path));
	steer_reset();
	ck_assert_int_eq(count_descriptors(), descriptors);
	lockfile_pid_free(lock);
	lockfile_pid_free(holder);
}

/* Joining and leaving, without a handle */

static bool is_woken(struct queue *queue)
{
	int r = queue_sleep(queue, 0, NULL, NULL);

	ck_assert_int_ge(r, 0);
	return r == 1;
}

/* What somebody who releases the lock writes. */
static void write_wake_up(const struct queue *queue)
{
	ck_assert_int_eq(write(queue->fifo.fd, "", 1), 1);
}

static int bytes_in(const struct queue *queue)
{
	int bytes;

	ck_assert_int_eq(ioctl(queue->fifo.fd, FIONREAD, &bytes), 0);
	return bytes;
}

TEST(who_is_woken_takes_the_byte_away)
{
	struct lockfile_pid *lock;
	struct queue queue;

	lock = join_alone(&queue);
	ck_assert(!is_woken(&queue));
	write_wake_up(&queue);
	ck_assert(is_woken(&queue));
	ck_assert_int_eq(bytes_in(&queue), 0);
	leave_alone(&queue, lock);
}

/* With a timer, as an event loop has it. */
static struct lockfile_pid *join_with_timer(struct queue *ret)
{
	struct lockfile_pid *lock = join(ret, true);

	ck_assert(!queue_drain(ret, false));
	return lock;
}

TEST(an_event_loop_that_is_woken_takes_the_byte_away)
{
	struct lockfile_pid *lock;
	struct queue queue;

	lock = join_with_timer(&queue);
	write_wake_up(&queue);
	ck_assert(queue_drain(&queue, false));
	ck_assert_int_eq(bytes_in(&queue), 0);
	ck_assert(!queue_drain(&queue, false));
	leave_alone(&queue, lock);
}

TEST(a_byte_of_which_the_event_loop_was_told_is_a_wake_up)
{
	struct lockfile_pid *lock;
	struct epoll_event event;
	struct queue queue;

	lock = join_with_timer(&queue);
	write_wake_up(&queue);
	ck_assert_int_eq(epoll_wait(queue.epoll.fd, &event, 1, -1), 1);
	ck_assert(queue_drain(&queue, false));
	leave_alone(&queue, lock);
}

/* It may be the one that woke those to whom we yield, and who have not read it. */
TEST(a_byte_that_is_no_news_is_left_to_others_by_one_who_yields)
{
	struct lockfile_pid *lock;
	struct queue first, second;

	lock = join_with_timer(&first);
	write_wake_up(&first);
	ck_assert_int_eq(queue_join(&second, &lock->path, NO_OWNER, true), 0);
	ck_assert(!queue_drain(&second, true));
	ck_assert_int_eq(bytes_in(&first), 1);
	write_wake_up(&first);
	ck_assert(queue_drain(&second, true));
	queue_leave(&second, &lock->path, false);
	leave_alone(&first, lock);
}

TEST(the_death_of_the_holder_is_a_wake_up_without_a_byte)
{
	struct lockfile_pid *lock;
	struct queue queue;
	pid_t pid;

	skip_without_pidfds();
	lock = join_with_timer(&queue);
	pid = idle_child();
	watch(&queue, pid, true);
	kill_child(pid);
	ck_assert(queue_drain(&queue, false));
	leave_alone(&queue, lock);
}

TEST(time_that_is_over_is_no_wake_up)
{
	struct lockfile_pid *lock;
	struct pollfd timer = { .events = POLLIN };
	struct queue queue;

	lock = join_with_timer(&queue);
	queue_pause(&queue, 1);
	timer.fd = queue.timer.fd;
	ck_assert_int_eq(poll(&timer, 1, -1), 1);
	ck_assert(!queue_drain(&queue, false));
	leave_alone(&queue, lock);
}

static void let_time_end(void *queue)
{
	struct pollfd timer = { .fd = ((struct queue *)queue)->timer.fd, .events = POLLIN };

	queue_pause(queue, 1);
	ck_assert_int_eq(poll(&timer, 1, -1), 1);
}

TEST(wake_up_counts_although_the_time_ends_just_then)
{
	struct lockfile_pid *lock;
	struct queue queue;

	lock = join_with_timer(&queue);
	write_wake_up(&queue);
	steer_after("sys_epoll_wait", 1, let_time_end, &queue);
	ck_assert(queue_drain(&queue, true));
	ck_assert_int_eq(bytes_in(&queue), 0);
	steer_reset();
	leave_alone(&queue, lock);
}

/* Open, it keeps its inode number to itself. */
static void replace_fifo(void *ret_fd)
{
	ck_assert_int_eq(unlink(FIFO), 0);
	ck_assert_int_eq(mkfifo(FIFO, 0600), 0);
	*(int *)ret_fd = open(FIFO, O_RDWR | O_NONBLOCK | O_CLOEXEC);
}

TEST(a_line_that_took_the_place_of_ours_is_stood_in_and_not_removed)
{
	struct lockfile_pid *lock = new_lock("x.pid"); /* its path */
	struct queue queue;
	struct stat theirs;
	int fd = -1;

	steer_reset();
	steer_before("sys_lock_byte", 1, replace_fifo, &fd);
	ck_assert_int_eq(queue_join(&queue, &lock->path, NO_OWNER, false), 0);
	ck_assert_int_eq(steer_count("sys_mkfifoat"), 1);
	ck_assert_int_eq(steer_count("sys_unlinkat"), 0);
	steer_reset();
	ck_assert_int_eq(fstat(fd, &theirs), 0);
	ck_assert_int_ge(queue.fifo.fd, 0);
	ck_assert_uint_eq(queue.fifo_ino, theirs.st_ino);
	ck_assert_uint_eq(theirs.st_nlink, 1);
	close(fd);
	leave_alone(&queue, lock);
}

TEST(a_queue_that_was_there_and_cannot_be_used_is_left)
{
	struct lockfile_pid *lock = new_lock("x.pid"); /* its path */
	struct queue queue;

	ck_assert_int_eq(mkfifo(FIFO, 0600), 0);
	steer_reset();
	steer_result("sys_lock_byte", 1, -ENOLCK);
	ck_assert_int_eq(queue_join(&queue, &lock->path, NO_OWNER, false), 0);
	ck_assert_int_lt(queue.fifo.fd, 0);
	steer_reset();
	ck_assert(exists(FIFO));
	ck_assert_int_eq(unlink(FIFO), 0);
	leave_alone(&queue, lock);
}

TEST(where_no_line_can_be_made_that_is_tried_once)
{
	struct lockfile_pid *lock = new_lock("x.pid"); /* its path */
	struct queue queue;

	steer_reset();
	steer_result("sys_mkfifoat", EVERY, -EACCES);
	ck_assert_int_eq(queue_join(&queue, &lock->path, NO_OWNER, false), 0);
	ck_assert_int_eq(steer_count("sys_mkfifoat"), 1);
	steer_reset();
	ck_assert(queue_is_joined(&queue));
	ck_assert_int_lt(queue.fifo.fd, 0);
	leave_alone(&queue, lock);
}

TEST(a_byte_from_before_one_came_does_not_wake_it)
{
	struct queue first, second;
	struct lockfile_pid *lock = join_alone(&first);

	ck_assert_int_eq(write(first.fifo.fd, "", 1), 1);
	ck_assert_int_eq(queue_join(&second, &lock->path, NO_OWNER, false), 0);
	ck_assert_int_ge(second.fifo.fd, 0);
	ck_assert(!is_woken(&second));
	ck_assert(is_woken(&first));
	/* a new one would have */
	ck_assert_int_eq(write(first.fifo.fd, "", 1), 1);
	ck_assert(is_woken(&second));
	queue_leave(&second, &lock->path, false);
	leave_alone(&first, lock);
}

static struct lockfile_pid *join_as_two(struct queue *ret_first, struct queue *ret_second)
{
	struct lockfile_pid *lock = join_alone(ret_first);

	ck_assert_int_eq(queue_join(ret_second, &lock->path, NO_OWNER, false), 0);
	watch(ret_first, 0, true);
	watch(ret_second, 0, true);
	ck_assert(ret_first->first && !ret_second->first);
	ck_assert(!is_woken(ret_first));
	return lock;
}

TEST(who_leaves_with_a_wake_up_that_it_has_not_used_wakes_another)
{
	struct queue first, second;
	struct lockfile_pid *lock = join_as_two(&first, &second);

	queue_leave(&second, &lock->path, true);
	ck_assert(is_woken(&first));
	leave_alone(&first, lock);
}

TEST(who_leaves_as_the_second_and_was_not_woken_wakes_nobody)
{
	struct queue first, second;
	struct lockfile_pid *lock = join_as_two(&first, &second);

	queue_leave(&second, &lock->path, false);
	ck_assert(exists(FIFO));
	ck_assert(!is_woken(&first));
	leave_alone(&first, lock);
}

/* Waking */

/* Bytes that nobody came to read; the last one is no news to those in line. */
static void fill(struct lockfile_pid *lock)
{
	char bytes[4096] = "";
	struct epoll_event event;
	int fd = open(FIFO, O_RDWR | O_NONBLOCK | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	while (write(fd, bytes, sizeof(bytes)) > 0 || write(fd, bytes, 1) > 0)
		;
	ck_assert_int_eq(errno, EAGAIN);
	close(fd);
	ck_assert_int_ge(epoll_wait(lockfile_pid_wait_fd(lock), &event, 1, 0), 0);
}

TEST(a_line_that_is_full_of_bytes_wakes_all_the_same)
{
	struct lockfile_pid *holder = held(), *lock = new_lock("x.pid");
	struct epoll_event event;

	steer_reset();
	steer_result("sys_timer_set", EVERY, 0); /* it would wake as well */
	begin(lock);
	fill(lock);
	ck_assert_int_eq(epoll_wait(lockfile_pid_wait_fd(lock), &event, 1, 0), 0);
	steer_reset();
	lockfile_pid_free(holder);
	/* a page of it was read, in pieces, until it took a byte */
	ck_assert_int_eq(steer_count("sys_read"), sysconf(_SC_PAGESIZE) / 256);
	ck_assert_int_eq(steer_count("sys_write"), sysconf(_SC_PAGESIZE) / 256 + 1);
	steer_reset();
	ck_assert(is_readable(lock, 0));
	ck_assert_int_eq(lockfile_pid_wait_continue(lock), 0);
	lockfile_pid_free(lock);
}

/* Between our two calls, by those in line. */
/* Others fill it as fast as it is emptied: a waiter looks by itself in the end. */
TEST(a_queue_that_stays_full_does_not_delay_a_release)
{
	struct lockfile_pid *holder = held(), *lock = new_lock("x.pid");

	steer_reset();
	begin(lock);
	fill(lock);
	steer_result("sys_write", EVERY, -EAGAIN);
	ck_assert_int_eq(lockfile_pid_unlock(holder), 0);
	ck_assert_int_le(steer_count("sys_read"), 65536 / 256);
	steer_reset();
	lockfile_pid_free(holder);
	ck_assert_int_eq(lockfile_pid_wait_continue(lock), 0);
	lockfile_pid_free(lock);
}

TEST(a_line_that_was_full_and_is_emptied_meanwhile_wakes_all_the_same)
{
	struct lockfile_pid *holder = held(), *lock = new_lock("x.pid");

	steer_reset();
	steer_result("sys_timer_set", EVERY, 0); /* it would wake as well */
	begin(lock);
	ck_assert(!is_readable(lock, 0));
	steer_result("sys_write", 1, -EAGAIN);
	steer_result("sys_read", 1, -EAGAIN);
	lockfile_pid_free(holder);
	ck_assert_int_eq(steer_count("sys_write"), 2);
	steer_reset();
	ck_assert(is_readable(lock, 0));
	ck_assert_int_eq(lockfile_pid_wait_continue(lock), 0);
	lockfile_pid_free(lock);
}

static void make_file(void *name)
{
	unlink(name);
	write_file(name, "data");
}

static void make_link(void *name)
{
	unlink(name);
	write_file("aim", "data");
	ck_assert_int_eq(symlink("aim", name), 0);
}

static void make_directory(void *name)
{
	unlink(name);
	ck_assert_int_eq(mkdir(name, 0755), 0);
}

static void make_device(void *name)
{
	unlink(name);
	if (mknod(name, S_IFCHR | 0666, 1 << 8 | 3) < 0)
		SKIP("cannot make a device");
}

static void make_nothing(void *name)
{
	unlink(name);
}

static void (*const things[])(void *) = {
	make_file, make_link, make_directory, make_device, make_nothing,
};

static void expect_thing(int row)
{
	ck_assert_int_eq(steer_count("sys_write"), 0);
	ck_assert(exists(FIFO) == (things[row] != make_nothing));
	if (row == 0)
		assert_content(FIFO, "data");
	if (row == 1)
		assert_content("aim", "data");
	remove(FIFO);
	remove("aim");
}

TEST_EACH(a_release_writes_into_nothing_but_a_line, things)
{
	struct lockfile_pid *lock = held();
	char name[] = FIFO;

	things[_i](name);
	steer_reset();
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	expect_thing(_i);
	steer_reset();
	lockfile_pid_free(lock);
}

TEST_EACH(a_release_writes_into_nothing_that_takes_the_place_of_a_line_just_then, things)
{
	struct lockfile_pid *lock = held();
	char name[] = FIFO;

	ck_assert_int_eq(mkfifo(FIFO, 0600), 0);
	steer_reset();
	/* calls of unlock: one look at our own file, one at the line */
	steer_after("sys_fstatat", 2, things[_i], name);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	expect_thing(_i);
	steer_reset();
	lockfile_pid_free(lock);
}

/* Another thread forks. */
static struct {
	pthread_t thread;
	atomic_int tid;
	atomic_bool has_forked;
} forker;

static void *fork_once(void *unused)
{
	pid_t pid;

	(void)unused;
	forker.tid = (int)syscall(SYS_gettid);
	pid = fork();
	if (pid == 0)
		_exit(0);
	forker.has_forked = true;
	return waitpid(pid, NULL, 0) == pid ? NULL : unused;
}

static void start_fork(void *ret_waits)
{
	ck_assert_int_eq(pthread_create(&forker.thread, NULL, fork_once, NULL), 0);
	while (forker.tid == 0)
		sched_yield();
	while (!forker.has_forked && thread_state(forker.tid) != 'S')
		sched_yield();
	*(bool *)ret_waits = !forker.has_forked;
}

/* Of those of unlock, after the removal of the lock file; the line is one that a crash left. */
static const struct {
	const char *call;
	int nth;
} calls_of_wake[] = { { "sys_write", 1 }, { "sys_lock_byte", 1 }, { "sys_unlinkat", 2 } };

TEST_EACH(no_fork_takes_a_line_along_that_is_woken, calls_of_wake)
{
	struct lockfile_pid *lock = held();
	bool waits = false;

	ck_assert_int_eq(mkfifo(FIFO, 0600), 0);
	steer_reset();
	steer_fork_without_timeout();
	steer_before(calls_of_wake[_i].call, calls_of_wake[_i].nth, start_fork, &waits);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	ck_assert_int_eq(pthread_join(forker.thread, NULL), 0);
	steer_reset();
	ck_assert(waits);
	ck_assert(forker.has_forked);
	lockfile_pid_free(lock);
}

/* Somebody else's, that takes the place of the line that was just made. */

static void make_way(void *name)
{
	ck_assert_int_eq(unlink(FIFO), 0);
	ck_assert_int_eq(rename(name, FIFO), 0);
}

static void begin_while_it_is_moved(char *name)
{
	struct lockfile_pid *holder = held(), *lock = new_lock("x.pid");

	ck_assert_int_eq(chmod(".", 0777), 0);
	steer_reset();
	steer_after("sys_mkfifoat", 1, make_way, name);
	begin(lock);
	steer_reset();
	lockfile_pid_free(lock);
	lockfile_pid_free(holder);
}

TEST(a_file_that_took_the_place_of_the_line_is_not_removed)
{
	char name[] = "theirs";

	write_file(name, "data");
	begin_while_it_is_moved(name);
	assert_content(FIFO, "data");
	ck_assert_int_eq(unlink(FIFO), 0);
}

TEST(a_fifo_with_another_name_is_no_line)
{
	struct lockfile_pid *holder = held(), *lock;
	char byte;
	int fd;

	ck_assert_int_eq(mkfifo("theirs", 0600), 0);
	ck_assert_int_eq(link("theirs", FIFO), 0);
	fd = open("theirs", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	lock = in_line();
	ck_assert_int_lt(lock->queue.fifo.fd, 0);
	ck_assert_int_eq(lockfile_pid_unlock(holder), 0);
	ck_assert_int_eq(read(fd, &byte, 1), -1);
	ck_assert_int_eq(errno, EAGAIN);
	lockfile_pid_free(lock);
	lockfile_pid_free(holder);
	close(fd);
	ck_assert_int_eq(unlink("theirs"), 0);
	ck_assert_int_eq(unlink(FIFO), 0);
}

/* Failures */

static const struct fault {
	const char *call;
	int nth, error, result; /* of a wait in vain */
} faults[] = {
	{ "sys_epoll_create", 1, EMFILE, -EMFILE },
	{ "sys_epoll_create", 1, ENFILE, -ENFILE },
	{ "sys_epoll_create", 1, ENOMEM, -ENOMEM },
	{ "sys_epoll_add", 1, ENOMEM, -ENOMEM },
	{ "sys_epoll_add", 1, ENOSPC, -ENOSPC },
	{ "sys_epoll_add", 2, ENOMEM, -ETIMEDOUT }, /* that of the pidfd */
	{ "sys_mkfifoat", EVERY, EPERM, -ETIMEDOUT },
	{ "sys_mkfifoat", EVERY, EROFS, -ETIMEDOUT },
	{ "sys_mkfifoat", EVERY, EOPNOTSUPP, -ETIMEDOUT },
	{ "sys_mkfifoat", EVERY, EACCES, -ETIMEDOUT },
	{ "sys_mkfifoat", EVERY, ENOSPC, -ETIMEDOUT },
	{ "sys_mkfifoat", EVERY, EDQUOT, -ETIMEDOUT },
	{ "sys_mkfifoat", EVERY, EIO, -ETIMEDOUT },
	{ "sys_lock_byte", EVERY, ENOLCK, -ETIMEDOUT },
	{ "sys_lock_byte", 1, ENOLCK, -ETIMEDOUT },
	{ "sys_lock_byte", 2, ENOLCK, -ETIMEDOUT }, /* to be the first */
	{ "sys_fchmod", EVERY, EPERM, -ETIMEDOUT },
	{ "sys_reopen", EVERY, EACCES, -ETIMEDOUT },
	{ "sys_pidfd_open", EVERY, EPERM, -ETIMEDOUT },
	{ "sys_pidfd_open", EVERY, EMFILE, -ETIMEDOUT },
	{ "sys_write", EVERY, EAGAIN, -ETIMEDOUT },
	{ "sys_read", EVERY, EAGAIN, -ETIMEDOUT },
};

TEST_EACH(a_wait_with_a_call_that_fails_leaves_nothing, faults)
{
	struct holder holder = holder_start("x.pid");
	struct lockfile_pid *lock = new_lock("x.pid");
	int descriptors = count_descriptors();

	ck_assert_int_eq(holder_do(&holder, "lock"), 0);
	steer_reset();
	steer_result(faults[_i].call, faults[_i].nth, -faults[_i].error);
	/* the time is not to be up before an error */
	ck_assert_int_eq(lockfile_pid_timedlock(lock, faults[_i].result == -ETIMEDOUT ? 30 : -1),
	                 faults[_i].result);
	steer_reset();
	ck_assert_int_eq(count_descriptors(), descriptors);
	ck_assert_str_eq(list_dir("."), "x.pid ");
	holder_end(&holder);
	ck_assert_int_eq(lockfile_pid_timedlock(lock, 30), 0);
	lockfile_pid_free(lock);
}

static const int timer_errors[] = { EMFILE, ENFILE, ENOMEM };

TEST_EACH(a_timer_that_cannot_be_had_is_told_by_begin, timer_errors)
{
	struct lockfile_pid *holder = held(), *lock = new_lock("x.pid");
	int descriptors = count_descriptors();

	steer_reset();
	steer_result("sys_timer_create", 1, -timer_errors[_i]);
	ck_assert_int_eq(lockfile_pid_wait_begin(lock), -timer_errors[_i]);
	steer_reset();
	ck_assert_int_eq(lockfile_pid_wait_fd(lock), -EBADF);
	ck_assert_int_eq(count_descriptors(), descriptors);
	ck_assert_str_eq(list_dir("."), "x.pid ");
	lockfile_pid_free(lock);
	lockfile_pid_free(holder);
}

/* Any call of a place in line that has a number fails, once. */
static bool join_with_fault(struct path *path, const char *call, int nth, int error)
{
	struct queue queue = QUEUE_NONE;
	int r;

	steer_reset();
	steer_result(call, nth, -error);
	r = queue_join(&queue, path, NO_OWNER, true);
	if (r == 0)
		queue_leave(&queue, path, true);
	nth = steer_count(call) < nth ? 0 : nth;
	steer_reset();
	ck_assert(r == 0 || r == -error);
	ck_assert_str_eq(list_dir("."), "");
	return nth != 0;
}

static const char *const calls[] = {
	"sys_openat",    "sys_fstat",        "sys_reopen",    "sys_mkfifoat",   "sys_epoll_create",
	"sys_epoll_add", "sys_timer_create", "sys_lock_byte", "sys_epoll_wait",
};

TEST_EACH(whichever_call_of_joining_fails_nothing_is_left, calls)
{
	static const int errors[] = { EMFILE, EIO };
	struct lockfile_pid *lock = new_lock("x.pid"); /* its path */
	int descriptors = count_descriptors();

	ck_assert_int_eq(chmod(".", 0777), 0);
	for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
		/* the last one removes the line, and is retried by nobody */
		int last = strcmp(calls[_i], "sys_lock_byte") == 0 ? 1 : 100;

		for (int nth = 1; nth <= last; nth++)
			if (!join_with_fault(&lock->path, calls[_i], nth, errors[i]))
				break;
	}
	ck_assert_int_eq(count_descriptors(), descriptors);
	lockfile_pid_free(lock);
}

static const char *const directory_calls[] = { "sys_openat", "sys_fstat" };

TEST_EACH(there_is_no_place_in_line_without_the_directory, directory_calls)
{
	struct lockfile_pid *lock = new_lock("x.pid"); /* its path */
	struct queue queue;

	steer_reset();
	steer_result(directory_calls[_i], 1, -EIO);
	ck_assert_int_eq(queue_join(&queue, &lock->path, NO_OWNER, false), -EIO);
	ck_assert_int_eq(steer_count("sys_mkfifoat"), 0);
	steer_reset();
	ck_assert(!queue_is_joined(&queue));
	lockfile_pid_free(lock);
	assert_nothing_left();
}

/* Signals */

TEST(an_interruption_ends_a_wait_only_where_there_are_handlers_that_interrupt)
{
	struct lockfile_pid *holder = held(), *lock = new_lock("x.pid");

	steer_reset();
	steer_result("sys_has_interrupting_handlers", EVERY, false);
	for (int nth = 2; nth < 20; nth++)
		steer_result("sys_epoll_wait", nth, -EINTR);
	ck_assert_int_eq(lockfile_pid_timedlock(lock, 20), -ETIMEDOUT);
	steer_reset();
	steer_result("sys_has_interrupting_handlers", EVERY, true);
	steer_result("sys_epoll_wait", 2, -EINTR);
	ck_assert_int_eq(lockfile_pid_lock(lock), -EINTR);
	steer_reset();
	ck_assert_str_eq(list_dir("."), "x.pid ");
	lockfile_pid_free(lock);
	lockfile_pid_free(holder);
}

/* By another thread; what was there to be interrupted for may be gone by now. */
TEST(a_handler_that_was_installed_in_our_sleep_is_one)
{
	struct lockfile_pid *holder = held(), *lock = new_lock("x.pid");

	steer_reset();
	steer_result("sys_has_interrupting_handlers", 1, false);
	steer_result("sys_has_interrupting_handlers", 2, true);
	steer_result("sys_epoll_wait", 2, -EINTR);
	ck_assert_int_eq(lockfile_pid_lock(lock), -EINTR);
	ck_assert_int_eq(steer_count("sys_has_interrupting_handlers"), 2);
	steer_reset();
	ck_assert_str_eq(list_dir("."), "x.pid ");
	lockfile_pid_free(lock);
	lockfile_pid_free(holder);
}

static void ignore_all_signals(void)
{
	struct sigaction action = { .sa_handler = SIG_IGN };

	/* those of Check */
	for (int i = 1; i <= SIGRTMAX; i++)
		sigaction(i, &action, NULL);
}

static volatile sig_atomic_t handled;

static void ignore(int number)
{
	(void)number;
	handled++;
}

static void handle(int number, int flags)
{
	struct sigaction action = { .sa_handler = ignore, .sa_flags = flags };

	ck_assert_int_eq(sigaction(number, &action, NULL), 0);
}

static void raise_signal(void *number)
{
	ck_assert_int_eq(raise(*(int *)number), 0);
}

/* It is let in by the sleep itself, as one with SA_RESTART is not. */
TEST(without_a_descriptor_for_signals_each_ends_a_wait)
{
	struct lockfile_pid *holder = held(), *lock = new_lock("x.pid");
	int restarting = SIGUSR2;

	ignore_all_signals();
	handle(SIGUSR1, 0);
	handle(SIGUSR2, SA_RESTART);
	steer_reset();
	steer_result("sys_signalfd", EVERY, -EMFILE);
	steer_before("sys_epoll_wait", 2, raise_signal, &restarting);
	ck_assert_int_eq(lockfile_pid_lock(lock), -EINTR);
	steer_reset();
	ck_assert_str_eq(list_dir("."), "x.pid ");
	lockfile_pid_free(lock);
	lockfile_pid_free(holder);
}

static void release(void *holder)
{
	ck_assert_int_eq(lockfile_pid_unlock(holder), 0);
}

/* A signal with SA_RESTART ends the first sleep, and the release the second. */
TEST(with_handlers_of_both_kinds_a_release_ends_the_wait)
{
	struct lockfile_pid *holder = held(), *lock = new_lock("x.pid");
	int restarting = SIGUSR2;

	ignore_all_signals();
	handle(SIGUSR1, 0);
	handle(SIGUSR2, SA_RESTART);
	steer_reset();
	steer_before("sys_epoll_wait", 2, raise_signal, &restarting);
	steer_before("sys_epoll_wait", 3, release, holder);
	ck_assert_int_eq(lockfile_pid_lock(lock), 0);
	ck_assert_int_eq(handled, 1);
	ck_assert_int_eq(steer_count("sys_epoll_wait"), 3);
	steer_reset();
	lockfile_pid_free(holder);
	lockfile_pid_free(lock);
	assert_nothing_left();
}

TEST(signals_that_are_let_in_are_no_wake_up)
{
	struct lockfile_pid *lock;
	struct queue queue;
	sigset_t signals, before;

	lock = join_alone(&queue);
	handle(SIGUSR2, SA_RESTART);
	sigemptyset(&signals);
	sigaddset(&signals, SIGUSR2);
	ck_assert_int_eq(sigprocmask(SIG_BLOCK, &signals, &before), 0);
	ck_assert_int_eq(queue_add_signals(&queue, &signals), 0);
	ck_assert_int_eq(raise(SIGUSR2), 0);
	ck_assert_int_eq(queue_sleep(&queue, -1, NULL, &signals), 0);
	write_wake_up(&queue);
	ck_assert_int_eq(raise(SIGUSR2), 0);
	ck_assert_int_eq(queue_sleep(&queue, -1, NULL, &signals), 1);
	ck_assert_int_eq(sigprocmask(SIG_SETMASK, &before, NULL), 0);
	leave_alone(&queue, lock);
}

/* Death at each call after the wake-up */

static void die(void *unused)
{
	(void)unused;
	raise(SIGKILL);
}

struct victim {
	int nth;
	int ready, go; /* pipe ends */
	struct lockfile_pid *inherited[2];
};

static void join_and_die(void *argument)
{
	const struct victim *victim = argument;
	struct lockfile_pid *lock = new_lock("x.pid");
	char byte = 0;

	begin(lock);
	REQUIRE(write(victim->ready, &byte, 1) == 1);
	REQUIRE(read(victim->go, &byte, 1) == 1);
	steer_reset();
	steer_before(ANY_CALL, victim->nth, die, NULL);
	REQUIRE(lockfile_pid_wait_continue(lock) == 0);
	REQUIRE(lockfile_pid_unlock(lock) == 0);
	lockfile_pid_free(lock);
	lockfile_pid_free(victim->inherited[0]);
	lockfile_pid_free(victim->inherited[1]);
}

static int start_victim(struct victim *victim, pid_t *ret_pid)
{
	int ready[2], go[2];
	char byte;

	ck_assert_int_eq(pipe2(ready, O_CLOEXEC), 0);
	ck_assert_int_eq(pipe2(go, O_CLOEXEC), 0);
	victim->ready = ready[1];
	victim->go = go[0];
	*ret_pid = checked_fork();
	if (*ret_pid == 0) {
		join_and_die(victim);
		_exit(0);
	}
	close(ready[1]);
	close(go[0]);
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return go[1];
}

/* Returns whether it died before it was done. */
static bool survive_victim(struct lockfile_pid *holder, struct lockfile_pid *lock, int nth)
{
	struct victim victim = { .nth = nth, .inherited = { holder, lock } };
	int status, go, r;
	pid_t pid;

	ck_assert_int_eq(lockfile_pid_lock(holder), 0);
	go = start_victim(&victim, &pid);
	begin(lock);
	ck_assert_int_eq(lockfile_pid_unlock(holder), 0);
	ck_assert_int_eq(write(go, "", 1), 1);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	close(go);
	ck_assert(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
	r = lockfile_pid_wait_continue(lock); /* by itself within a second, */
	if (r == LOCKFILE_PID_ERR_BUSY) {     /* and once it lets the first go first */
		ck_assert(is_readable(lock, -1));
		r = lockfile_pid_wait_continue(lock);
	}
	ck_assert_int_eq(r, 0);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	assert_nothing_left();
	return WIFSIGNALED(status);
}

TEST(a_waiter_killed_at_any_call_after_its_wake_up_holds_up_nobody)
{
	struct lockfile_pid *holder = new_lock("x.pid"), *lock = new_lock("x.pid");
	int nth = 1;

	while (survive_victim(holder, lock, nth))
		nth++;
	ck_assert_int_gt(nth, 20);
	lockfile_pid_free(lock);
	lockfile_pid_free(holder);
}
