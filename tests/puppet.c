/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "puppet.h"

#include "steer.h"
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

/* No step takes so long. */
#define STEP_TIMEOUT_S 60

#define START_NS    INT64_C(1000000000000)
#define ALARM       1 /* an event of ours among those of the library, which are 0 */
#define NOBODY_SELF (-1)

struct puppet {
	_Atomic enum puppet_state state;
	sem_t go, arrived;
	bool sleeps; /* as far as the puppeteer knows */
	int alarm;   /* an eventfd: the time is up */
	const char *call;
	int64_t deadline_ns;
	pid_t pid;
};

static struct stage {
	int64_t now_ns;
	unsigned holders; /* a bit each */
	int wins, note;
	char complaint[256];
	struct puppet puppets[PUPPETS];
} * stage;

static int self = NOBODY_SELF;

void stage_open(void)
{
	stage = mmap(NULL, sizeof(*stage), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
	             0);
	ck_assert(stage != MAP_FAILED);
	for (int i = 0; i < PUPPETS; i++) {
		sem_init(&stage->puppets[i].go, 1, 0);
		sem_init(&stage->puppets[i].arrived, 1, 0);
		stage->puppets[i].alarm = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		ck_assert_int_ge(stage->puppets[i].alarm, 0);
	}
}

void stage_clear(void)
{
	stage->now_ns = START_NS;
	stage->holders = 0;
	stage->wins = stage->note = 0;
	stage->complaint[0] = '\0';
}

void stage_close(void)
{
	for (int i = 0; i < PUPPETS; i++)
		close(stage->puppets[i].alarm);
	munmap(stage, sizeof(*stage));
}

int64_t stage_now_ns(void)
{
	return stage->now_ns - START_NS;
}

const char *stage_complaint(void)
{
	return stage->complaint[0] ? stage->complaint : NULL;
}

int stage_wins(void)
{
	return stage->wins;
}

int *stage_note(void)
{
	return &stage->note;
}

void stage_hold(int who)
{
	stage->wins++;
	if (stage->holders & ~(1U << who))
		puppet_complain("%d has the lock, and so have others: %#x", who, stage->holders);
	stage->holders |= 1U << who;
}

void stage_inherit(int who)
{
	stage->holders |= 1U << who;
}

void stage_let_go(int who)
{
	stage->holders &= ~(1U << who);
}

bool stage_holds(int who)
{
	return (stage->holders & 1U << who) != 0;
}

int puppet_self(void)
{
	return self;
}

void puppet_complain(const char *format, ...)
{
	va_list arguments;

	if (stage->complaint[0])
		return;
	va_start(arguments, format);
	vsnprintf(stage->complaint, sizeof(stage->complaint), format, arguments);
	va_end(arguments);
}

static void await(sem_t *semaphore)
{
	while (sem_wait(semaphore) < 0 && errno == EINTR)
		;
}

/* In the puppet: until it is told to go on. */
static void stop(enum puppet_state how)
{
	struct puppet *me = &stage->puppets[self];

	me->state = how;
	sem_post(&me->arrived);
	await(&me->go);
	me->state = PUPPET_RUNNING;
}

void puppet_step(const char *name)
{
	stage->puppets[self].call = name;
	stop(PUPPET_STOPPED);
}

static bool is_one_of(const char *call, const char *const *calls)
{
	while (*calls && strcmp(*calls, call) != 0)
		calls++;
	return *calls != NULL;
}

/*
 * A candidate that got a name.  The mark belongs to the open file description, and
 * means nothing without O_ASYNC; inode numbers would be those of other files later.
 */
#define MARK SIGUSR1

static void mark_if_named(void *unused)
{
	struct stat st;

	(void)unused;
	if (fstat(steer_call()->fd, &st) == 0 && st.st_nlink > 0)
		fcntl(steer_call()->fd, F_SETSIG, MARK);
}

/* A file that nobody else ever saw; or a directory, none of which changes; or no file. */
static bool is_own(int fd)
{
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return false;
	if (S_ISDIR(st.st_mode))
		return true;
	return S_ISREG(st.st_mode) && st.st_nlink == 0 &&
	       (fcntl(fd, F_GETFL) & O_TMPFILE) == O_TMPFILE && fcntl(fd, F_GETSIG) != MARK;
}

static bool is_regular(int fd)
{
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

/*
 * What only its own process notices, and what has the same result at any time, is
 * no step.  The calls that make a name of an own file are steps, of course.
 */
static bool is_local(const struct steer_call *call)
{
	static const char *const local[] = {
		"sys_block_signals",
		"sys_clock_ns",
		"sys_epoll_create",
		"sys_fstatfs_type",
		"sys_geteuid",
		"sys_getpid",
		"sys_getrandom",
		"sys_has_interrupting_handlers",
		"sys_has_restarting_handlers",
		"sys_let_in",
		"sys_lseek",
		"sys_map_wiped",
		"sys_may_write",
		"sys_pidfd_send_signal",
		"sys_restore_signals",
		"sys_signalfd",
		"sys_timer_create",
		"sys_timer_set",
		NULL,
	};
	static const char *const of_file[] = {
		"sys_close",     "sys_fchmod",     "sys_fgetxattr",
		"sys_fsetxattr", "sys_fstat",      "sys_pread",
		"sys_pwrite",    "sys_write_lock", NULL,
	};

	if (is_one_of(call->name, local))
		return true;
	if (strcmp(call->name, "sys_openat") == 0)
		return (call->flags & O_DIRECTORY) != 0; /* O_TMPFILE has it, too */
	if (strcmp(call->name, "sys_fstat") == 0 && is_regular(call->fd))
		return true;
	return is_one_of(call->name, of_file) && is_own(call->fd);
}

static void stop_before_call(void *unused)
{
	(void)unused;
	if (!is_local(steer_call()))
		puppet_step(steer_call()->name);
}

/* Of files the real one: it is compared with that of the file system. */
static int64_t tell_time(int clock)
{
	struct timespec ts;

	if (clock == CLOCK_MONOTONIC)
		return stage->now_ns;
	clock_gettime(clock, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static void sleep_until(int64_t ns, enum puppet_state how)
{
	stage->puppets[self].deadline_ns = stage->now_ns + ns;
	stop(how);
}

static int pause_ns(long ns)
{
	sleep_until(ns, PUPPET_PAUSING);
	return 0;
}

void puppet_sleep_ms(int ms)
{
	stage->puppets[self].call = "(sleeps)";
	sleep_until(ms * INT64_C(1000000), PUPPET_PAUSING);
}

static int pause_or_poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
	int r;

	if (count == 0)
		return pause_ns(timeout_ms * 1000000L);
	r = poll(fds, count, timeout_ms);
	return r < 0 ? -errno : r;
}

static int without_alarm(const struct epoll_event *events, int count)
{
	uint64_t value;
	int others = 0;

	for (int i = 0; i < count; i++)
		others += events[i].data.u32 != ALARM;
	(void)!read(stage->puppets[self].alarm, &value, sizeof(value));
	return others;
}

/* The puppeteer ends it by the alarm, when this time is over. */
static void begin_wait(struct puppet *me, int timeout_ms)
{
	me->deadline_ns = stage->now_ns + timeout_ms * INT64_C(1000000);
	me->state = PUPPET_WAITING;
	me->sleeps = true;
	sem_post(&me->arrived);
}

static int wait_in_kernel(int epoll, int timeout_ms, const sigset_t *mask)
{
	struct epoll_event events[4], alarm = { .events = EPOLLIN, .data.u32 = ALARM };
	struct puppet *me = &stage->puppets[self];
	int r;

	if (timeout_ms > 0) {
		epoll_ctl(epoll, EPOLL_CTL_ADD, me->alarm, &alarm);
		begin_wait(me, timeout_ms);
	}
	r = epoll_pwait(epoll, events, 4, timeout_ms > 0 ? -1 : 0, mask);
	me->state = PUPPET_RUNNING;
	return r < 0 ? -errno : without_alarm(events, r);
}

void puppet_loop(int fd, int timeout_ms, bool takes)
{
	struct puppet *me = &stage->puppets[self];
	struct pollfd fds[] = { { .fd = fd, .events = POLLIN },
		                { .fd = me->alarm, .events = POLLIN } };

	puppet_step("(loop)");
	if (takes) {
		wait_in_kernel(fd, timeout_ms, NULL);
		return;
	}
	begin_wait(me, timeout_ms);
	poll(fds, 2, -1);
	me->state = PUPPET_RUNNING;
	without_alarm(NULL, 0);
}

static const struct steer_clockwork clockwork = {
	tell_time,
	pause_ns,
	pause_or_poll,
	wait_in_kernel,
};

void puppet_begin(void)
{
	steer_before(ANY_CALL, EVERY, stop_before_call, NULL);
	/* that of an event loop is the puppeteer's */
	steer_result("sys_timer_set", EVERY, 0);
	steer_after("sys_link_fd", EVERY, mark_if_named, NULL);
	steer_after("sys_link_proc", EVERY, mark_if_named, NULL);
}

static void become(int who, void (*live)(void *), void *argument)
{
	self = who;
	stage->puppets[who].pid = getpid();
	steer_clockwork(&clockwork);
	live(argument);
	puppet_step("exit");
	_exit(0);
}

static void await_arrival(int who)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += STEP_TIMEOUT_S;
	while (sem_timedwait(&stage->puppets[who].arrived, &until) < 0)
		ck_assert_msg(errno == EINTR, "%d does not come to an end of %s", who,
		              stage->puppets[who].call);
}

void puppet_start(int who, void (*live)(void *), void *argument)
{
	struct puppet *puppet = &stage->puppets[who];
	uint64_t value;
	pid_t pid;

	sem_init(&puppet->go, 1, 0);
	sem_init(&puppet->arrived, 1, 0);
	(void)!read(puppet->alarm, &value, sizeof(value));
	puppet->call = "start";
	puppet->sleeps = false;
	puppet->state = PUPPET_RUNNING;
	pid = checked_fork();
	if (pid == 0)
		become(who, live, argument);
	await_arrival(who);
}

enum puppet_state puppet_state(int who)
{
	return stage->puppets[who].state;
}

pid_t puppet_pid(int who)
{
	return stage->puppets[who].pid;
}

const char *puppet_call(int who)
{
	return stage->puppets[who].call;
}

int64_t puppet_deadline_ns(int who)
{
	return stage->puppets[who].deadline_ns - START_NS;
}

/* Dead, and reaped if it is ours, as it is if whose child it was is dead. */
static void await_end(int who)
{
	struct puppet *puppet = &stage->puppets[who];
	char state;

	if (waitpid(puppet->pid, NULL, 0) < 0)
		while ((state = process_state(puppet->pid)) != 'Z' && state != 0)
			sched_yield();
	puppet->state = PUPPET_NONE;
	puppet->sleeps = false;
}

/* It came to sleep in the kernel: is it asleep, or was it woken up to its next stop? */
static void settle(int who)
{
	struct puppet *puppet = &stage->puppets[who];

	while (puppet->state == PUPPET_WAITING) {
		if (process_state(puppet->pid) == 'S' && puppet->state == PUPPET_WAITING)
			return;
		sched_yield();
	}
	puppet->sleeps = false;
	await_arrival(who);
}

/* Whom a step has woken by the time it is over. */
static void settle_all(void)
{
	for (int i = 0; i < PUPPETS; i++)
		if (stage->puppets[i].sleeps)
			settle(i);
}

static void let(int who)
{
	sem_post(&stage->puppets[who].go);
}

void puppet_go_on(int who)
{
	bool ends = strcmp(puppet_call(who), "exit") == 0;

	let(who);
	if (ends)
		await_end(who);
	else
		await_arrival(who);
	settle_all();
}

void puppet_time_is_up(int who)
{
	struct puppet *puppet = &stage->puppets[who];
	uint64_t one = 1;

	if (stage->now_ns < puppet->deadline_ns)
		stage->now_ns = puppet->deadline_ns;
	if (puppet->state == PUPPET_PAUSING) {
		let(who);
		await_arrival(who);
		settle_all();
		return;
	}
	ck_assert_int_eq(write(puppet->alarm, &one, sizeof(one)), sizeof(one));
	/* that has woken it; settling reads its state, which is not 'S' any more */
	settle_all();
}

void puppet_kill(int who)
{
	kill(stage->puppets[who].pid, SIGKILL);
	await_end(who);
	stage_let_go(who);
	settle_all();
}
