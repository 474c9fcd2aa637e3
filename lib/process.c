/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A child of fork(2) has copies of its parent's descriptors, and the kernel
 * lock on a file lives as long as any copy.  So a handler for forks closes the
 * child's copies at once, those apart that it is to keep.  There are ways to make
 * a process that call no such handlers (clone(2), _Fork(3)), and a child may even
 * have its parent's PID, in a PID namespace of its own.  Therefore what this process
 * knows of itself is on a page that the kernel wipes in every child (MADV_WIPEONFORK,
 * Linux 4.14), and each descriptor remembers the generation of the process that
 * entered it.
 *
 * A signal handler that interrupts this library must not fork: the list may be
 * locked (POSIX.1-2024 took fork() off the list of async-signal-safe functions
 * for the sake of such handlers).
 */
#include <config.h>

#include "process.h"

#include "sys.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

struct identity {
	uint64_t generation; /* 0: none yet, as in a new process */
	uint64_t random;     /* state of the generator */
	pid_t pid;
	struct owner owner; /* if its PID is that */
};

static struct {
	int fork_error;
	pthread_mutex_t mutex;
	struct identity *identity; /* on the wiped page, */
	bool wiped;                /* if the kernel can do that */
	uint64_t generations;      /* so many were drawn up to now */
	struct descriptor *descriptors;
} process = { .mutex = PTHREAD_MUTEX_INITIALIZER };

void process_lock_list(void)
{
	pthread_mutex_lock(&process.mutex);
}

void process_unlock_list(void)
{
	pthread_mutex_unlock(&process.mutex);
}

static void remove_from_list(struct descriptor *descriptor)
{
	*descriptor->link = descriptor->next;
	if (descriptor->next)
		descriptor->next->link = descriptor->link;
	descriptor->fd = -1;
}

/* In the child, which has one thread: async-signal-safe calls only. */
static void forget_all(void)
{
	if (process.identity)
		memset(process.identity, 0, sizeof(*process.identity));
	for (struct descriptor *d = process.descriptors, *next; d; d = next) {
		next = d->next;
		if (d->is_shared)
			continue;
		if (!d->is_ours || d->is_ours(d))
			sys_close(d->fd);
		remove_from_list(d);
	}
	process_unlock_list();
}

/*
 * When the library is loaded, so that no fork finds the list locked, and nobody
 * there to unlock it in the child.
 */
__attribute__((constructor)) static void handle_forks(void)
{
	process.fork_error = pthread_atfork(process_lock_list, process_unlock_list, forget_all);
}

int process_init(void)
{
	if (process.fork_error != 0)
		return -process.fork_error;
	process_lock_list();
	if (!process.identity)
		process.identity = sys_map_wiped(sizeof(*process.identity), &process.wiped);
	process_unlock_list();
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

/* With the list locked. */
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

int process_self(struct owner *ret)
{
	struct identity *self;
	struct owner owner;
	int r = 0;

	process_lock_list();
	self = identity();
	if (self->owner.pid != self->pid) {
		r = owner_self(&owner);
		if (r == 0)
			self->owner = owner;
	}
	*ret = self->owner;
	process_unlock_list();
	return r;
}

/* SplitMix64 (Steele, Lea, Flood 2014): a bijection of a counter, seeded anew in each process. */
uint64_t process_nonce(void)
{
	uint64_t z;

	process_lock_list();
	z = identity()->random += 0x9e3779b97f4a7c15;
	process_unlock_list();
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static void add_to_list(struct descriptor *descriptor)
{
	descriptor->next = process.descriptors;
	descriptor->link = &process.descriptors;
	if (descriptor->next)
		descriptor->next->link = &descriptor->next;
	process.descriptors = descriptor;
}

void process_enter(struct descriptor *descriptor, int fd)
{
	descriptor->fd = fd;
	descriptor->is_shared = false;
	descriptor->generation = identity()->generation;
	add_to_list(descriptor);
}

void process_move(struct descriptor *to, struct descriptor *from)
{
	*to = *from;
	remove_from_list(from);
	add_to_list(to);
}

void process_share(struct descriptor *descriptor)
{
	process_lock_list();
	descriptor->is_shared = true;
	process_unlock_list();
}

void process_leave(struct descriptor *descriptor, bool is_ours)
{
	process_lock_list();
	if (is_ours)
		sys_close(descriptor->fd);
	remove_from_list(descriptor);
	process_unlock_list();
}

void process_close(struct descriptor *descriptor)
{
	if (descriptor->fd >= 0)
		process_leave(descriptor, true);
}

bool process_entered(const struct descriptor *descriptor)
{
	bool entered;

	process_lock_list();
	entered = descriptor->fd >= 0 && descriptor->generation == identity()->generation;
	process_unlock_list();
	return entered;
}

bool process_finds(bool (*matches)(const struct descriptor *, const void *), const void *what)
{
	bool found = false;

	process_lock_list();
	for (const struct descriptor *d = process.descriptors; d && !found; d = d->next)
		found = d->generation == identity()->generation && matches(d, what);
	process_unlock_list();
	return found;
}
