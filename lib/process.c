/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Descriptors and fork(2)
 * -----------------------
 * A child of fork(2) has copies of its parent's descriptors, and the kernel lock on
 * a file lives until the last copy is closed.  So a fork handler closes the child's
 * copies immediately, except those that it is to keep.
 *
 * Three things happen in the prepare handler, in this order:
 * 1. All signals but those of faults are blocked until the parent's or the child's
 *    handler has run.  A signal handler that interrupted fork() in between and called
 *    the library would wait for a lock that its own thread holds.
 * 2. The gate closes: no call enters any more, and fork() waits until those that
 *    are inside have left.  None of them may wait for the forking thread.
 * 3. The mutex of the list is acquired, so that the child gets a consistent list.
 *
 * A call on a file system that does not answer stays inside.  fork() waits 100 ms for
 * it and then goes on; it does not wait for that call again.  The child then may
 * have a copy of a descriptor that it does not know.  It never makes two holders:
 * - A lock file, or a prepared one: its record names the parent, so it is stale when
 *   the parent is dead, whoever has a copy (classification).  While the parent lives,
 *   the copy changes nothing.  An inheritable lock counts as held while the child
 *   lives and does not execute a program.
 * - The FIFO of the wait queue: its name stays behind as long, and if the parent was
 *   the head, the other waiters notice the death of a holder up to a second later.
 * - A directory, or a file that is only looked at: it has no kernel lock.
 *
 * The child's handler does not wait for a server either.  close(2) of a regular file
 * on a network or FUSE file system does (it flushes), so the child's copies of these
 * stay open, which is the first case above.  They are closed all the same where the
 * record would not help: where there is none, and with cluster locks, since other
 * hosts see the kernel lock alone.
 *
 * The thread that forks passes the gate and the list freely from its prepare handler
 * to the end of the parent's or child's: fork handlers that were registered before
 * this library was loaded (by dlopen(3)) run in between, and may call it, and fork.
 * Such a handler must not wait for a lock that another thread holds while that one
 * calls the library or fork(): that thread waits for the end of the fork.
 *
 * Who this process is
 * -------------------
 * There are ways to make a process that call no fork handlers (clone(2), _Fork(3)),
 * and a child may even have its parent's PID, in a PID namespace of its own.
 * Therefore what this process knows of itself is on a page that the kernel wipes in
 * every child (MADV_WIPEONFORK, Linux 4.14), and each descriptor remembers the
 * generation of the process that tracked it.
 */
#include <config.h>

#include "process.h"

#include "sys.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

struct identity {
	uint64_t generation; /* 0: none yet, as in a new process */
	uint64_t random;     /* state of the generator */
	pid_t pid;
	struct owner owner; /* if its PID is that */
};

/* fork() waits this long for calls that are inside the gate, */
#define GATE_WAIT_NS (100 * INT64_C(1000000))
/* and looks this often whether they have left. */
#define GATE_PAUSE_NS (50 * 1000L)
/* A pause counts as so long at most: the whole process may have been stopped. */
#define GATE_LOOK_NS INT64_C(1000000)

/* The pass of the thread that forks, which is not counted; and the first of others. */
#define FORKER_PASS  0
#define FIRST_PASS   ((uintptr_t)1)
#define PASS_SHIFT   (4 * sizeof(uintptr_t))
#define PASS(calls)  ((calls) >> PASS_SHIFT)
#define COUNT(calls) ((calls) & ((FIRST_PASS << PASS_SHIFT) - 1))

static struct {
	/* what pthread_atfork(3) returned */
	int fork_error;

	/* held by the thread that forks, and for an instant by a call that enters */
	pthread_mutex_t gate;
	/* the thread that forks, by pthread_self(3); 0: none */
	_Atomic uintptr_t forker;
	/* its signal mask */
	sigset_t forker_mask;
	/* so many times its fork handlers have called fork(2) again */
	unsigned int nested;

	/*
	 * How many calls are inside, not counting those that fork() gave up waiting for, in
	 * the lower half of the bits; and the pass of those that are counted.
	 */
	_Atomic uintptr_t calls;

	/* guards all that follows */
	pthread_mutex_t mutex;
	/* on a page that is wiped in children, */
	struct identity *identity;
	/* if the kernel can do that */
	bool wiped;
	/* so many generations were drawn up to now; */
	uint64_t generations;
	/* the copies of these were closed when this process was forked */
	uint64_t lost_generations;
	struct descriptor *descriptors;
} process = {
	.gate = PTHREAD_MUTEX_INITIALIZER,
	.mutex = PTHREAD_MUTEX_INITIALIZER,
	.calls = FIRST_PASS << PASS_SHIFT,
};

static bool is_forker(void)
{
	return process.forker == (uintptr_t)pthread_self();
}

static void lock_list(void)
{
	if (!is_forker())
		pthread_mutex_lock(&process.mutex);
}

static void unlock_list(void)
{
	if (!is_forker())
		pthread_mutex_unlock(&process.mutex);
}

uintptr_t gate_enter(void)
{
	uintptr_t calls;

	if (is_forker())
		return FORKER_PASS;
	pthread_mutex_lock(&process.gate);
	calls = process.calls++;
	pthread_mutex_unlock(&process.gate);
	return PASS(calls);
}

/* Without the gate's mutex, which the thread that waits for us holds. */
void gate_leave(uintptr_t pass)
{
	uintptr_t calls = process.calls;

	while (pass != FORKER_PASS && PASS(calls) == pass &&
	       !atomic_compare_exchange_weak(&process.calls, &calls, calls - 1))
		;
}

/*
 * With the gate closed: fork() does not wait any more for those that are inside.  A call
 * that leaves at the same moment finds another pass, or is among those that are forgotten.
 */
static void give_up_calls(void)
{
	if (COUNT(process.calls) > 0)
		process.calls = (PASS(process.calls) + 1) << PASS_SHIFT;
}

/* Returns with the list locked, and nobody inside whom fork() would still wait for. */
static void wait_for_calls(void)
{
	int64_t left = GATE_WAIT_NS, before = sys_clock_ns(CLOCK_MONOTONIC), now;
	int cancel_state;

	/* fork(2) is no cancellation point, and sleeping is one */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
	while (COUNT(process.calls) > 0 && left > 0) {
		sys_sleep_ns(GATE_PAUSE_NS);
		now = sys_clock_ns(CLOCK_MONOTONIC);
		left -= now - before < GATE_LOOK_NS ? now - before : GATE_LOOK_NS;
		before = now;
	}
	give_up_calls();
	pthread_mutex_lock(&process.mutex);
	pthread_setcancelstate(cancel_state, &cancel_state);
}

static void prepare_fork(void)
{
	sigset_t mask;

	if (is_forker()) {
		process.nested++;
		return;
	}
	sys_block_signals(&mask);
	pthread_mutex_lock(&process.gate);
	wait_for_calls();
	process.forker_mask = mask;
	process.forker = (uintptr_t)pthread_self();
}

static void finish_fork(void)
{
	sigset_t mask = process.forker_mask;

	if (process.nested > 0) {
		process.nested--;
		return;
	}
	process.forker = 0;
	pthread_mutex_unlock(&process.mutex);
	pthread_mutex_unlock(&process.gate);
	sys_restore_signals(&mask);
}

/* Whether it was a parent's, and the child's copy was closed. */
static bool is_lost(const struct descriptor *descriptor)
{
	return !descriptor->is_kept && descriptor->generation <= process.lost_generations;
}

static void remove_from_list(struct descriptor *descriptor)
{
	*descriptor->link = descriptor->next;
	if (descriptor->next)
		descriptor->next->link = descriptor->link;
	descriptor->fd = -1;
}

static void add_to_list(struct descriptor *descriptor)
{
	descriptor->next = process.descriptors;
	descriptor->link = &process.descriptors;
	if (descriptor->next)
		descriptor->next->link = &descriptor->next;
	process.descriptors = descriptor;
}

static void close_copy(const struct descriptor *descriptor)
{
	if (!descriptor->may_hang && (!descriptor->is_ours || descriptor->is_ours(descriptor)))
		sys_close(descriptor->fd);
}

/*
 * In the child, which has one thread: async-signal-safe calls only.  A handler that
 * ran before ours may have locked something already, in the name of this process,
 * which can be told where the page was wiped.
 *
 * What is closed is only read, and is known as lost by its generation afterwards.  To
 * write to it would copy a page of memory for every few locks, which takes longer
 * than to close them.
 */
static void forget_parent(void)
{
	struct identity *identity = process.identity;
	uint64_t ours = identity && process.wiped ? identity->generation : 0;
	struct descriptor *next = process.descriptors;

	if (identity && ours == 0)
		memset(identity, 0, sizeof(*identity));
	process.lost_generations = ours == 0 ? process.generations : ours - 1;
	process.descriptors = NULL;
	for (struct descriptor *d = next; d; d = next) {
		next = d->next;
		if (is_lost(d))
			close_copy(d);
		else
			add_to_list(d);
	}
	finish_fork();
}

/*
 * When the library is loaded, so that no fork finds a mutex locked, and nobody
 * there to unlock it in the child.
 */
__attribute__((constructor)) static void handle_forks(void)
{
	process.fork_error = pthread_atfork(prepare_fork, finish_fork, forget_parent);
}

int process_init(void)
{
	if (process.fork_error != 0)
		return -process.fork_error;
	lock_list();
	/* it waits for nothing that fork(2) itself would not wait for */
	if (!process.identity)
		process.identity = sys_map_wiped(sizeof(*process.identity), &process.wiped);
	unlock_list();
	return process.identity ? 0 : -ENOMEM;
}

static uint64_t seed(void)
{
	uint64_t random;

	/* too early in the boot, or a kernel before 3.17: unique will do */
	if (sys_getrandom(&random, sizeof(random)) != sizeof(random))
		random = (uint64_t)sys_clock_ns(CLOCK_REALTIME) << 20 ^ (uint64_t)sys_getpid() ^
		         (uint64_t)(uintptr_t)&random << 32;
	return random;
}

/* The caller holds the mutex of the list. */
static struct identity *identity(void)
{
	struct identity *identity = process.identity;

	if (identity->generation == 0 || (!process.wiped && identity->pid != sys_getpid())) {
		*identity = (struct identity){
			.generation = ++process.generations,
			.random = seed(),
			.pid = sys_getpid(),
		};
	}
	return identity;
}

uint64_t process_generation(void)
{
	uint64_t generation;

	lock_list();
	generation = identity()->generation;
	unlock_list();
	return generation;
}

/* Whether who we are was looked up already. */
static bool knows_self(struct owner *ret)
{
	const struct identity *self;
	bool known;

	lock_list();
	self = identity();
	known = self->owner.pid == self->pid;
	*ret = self->owner;
	unlock_list();
	return known;
}

int process_self(struct owner *ret)
{
	int r;

	if (knows_self(ret))
		return 0;
	/* it reads /proc, so no mutex is held; two threads may do it at the same time */
	r = owner_self(ret);
	if (r < 0)
		return r;
	lock_list();
	identity()->owner = *ret;
	unlock_list();
	return 0;
}

/* SplitMix64 (Steele, Lea, Flood 2014): a bijection of a counter, seeded anew in each process. */
uint64_t process_nonce(void)
{
	uint64_t z;

	lock_list();
	z = identity()->random += 0x9e3779b97f4a7c15;
	unlock_list();
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

void fd_track(struct descriptor *descriptor, int fd)
{
	lock_list();
	descriptor->fd = fd;
	descriptor->is_kept = false;
	descriptor->generation = identity()->generation;
	add_to_list(descriptor);
	unlock_list();
}

void fd_move(struct descriptor *to, struct descriptor *from)
{
	lock_list();
	*to = *from;
	remove_from_list(from);
	add_to_list(to);
	unlock_list();
}

void fd_keep_in_child(struct descriptor *descriptor)
{
	lock_list();
	descriptor->is_kept = true;
	unlock_list();
}

bool fd_exists(const struct descriptor *descriptor)
{
	return descriptor->fd >= 0 && !is_lost(descriptor);
}

void fd_untrack(struct descriptor *descriptor, bool close)
{
	int fd = descriptor->fd;
	uintptr_t pass = gate_enter();

	/* first the list: the number may be another file's as soon as it is closed */
	lock_list();
	remove_from_list(descriptor);
	unlock_list();
	if (close)
		sys_close(fd);
	gate_leave(pass);
}

void fd_close_two(struct descriptor *descriptor, struct descriptor *other)
{
	int fd = descriptor->fd, other_fd = other->fd;
	uintptr_t pass = gate_enter();

	lock_list();
	remove_from_list(descriptor);
	remove_from_list(other);
	unlock_list();
	sys_close_two(fd, other_fd);
	gate_leave(pass);
}

void fd_close(struct descriptor *descriptor)
{
	if (fd_exists(descriptor))
		fd_untrack(descriptor, true);
	descriptor->fd = -1;
}

bool fd_is_of_process(const struct descriptor *descriptor)
{
	bool is_of_process;

	lock_list();
	is_of_process = descriptor->fd >= 0 && descriptor->generation == identity()->generation;
	unlock_list();
	return is_of_process;
}

bool fd_any(bool (*matches)(const struct descriptor *, const void *), const void *what)
{
	bool found = false;

	lock_list();
	for (const struct descriptor *d = process.descriptors; d && !found; d = d->next)
		found = d->generation == identity()->generation && matches(d, what);
	unlock_list();
	return found;
}
