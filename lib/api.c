/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The public functions.  They check their arguments, keep thread cancellation
 * out of the calls that would leak by it, and refuse what a handle in its
 * present state cannot do; the work is done elsewhere.
 */

/*
 * With -fexceptions, pthread_cleanup_push() would need libgcc_s (wait.c has the reason).
 */
#undef __EXCEPTIONS

#include <config.h>

#include "adopt.h"
#include "handle.h"
#include "held.h"
#include "lock.h"
#include "process.h"
#include "sys.h"
#include "target.h"
#include "wait.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define DEFAULT_MODE 0644
#define ALL_FLAGS    (LOCKFILE_PID_INHERITABLE | LOCKFILE_PID_CLUSTER_LOCKS | LOCKFILE_PID_WAIT)

static int disable_cancellation(void)
{
	int state;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	return state;
}

static void restore_cancellation(int state)
{
	pthread_setcancelstate(state, &state);
}

int lockfile_pid_new(struct lockfile_pid **ret_lock, const char *path)
{
	struct lockfile_pid *lock;
	int r;

	if (!ret_lock || !path)
		return -EINVAL;
	r = process_init();
	if (r < 0)
		return r;
	lock = malloc(sizeof(*lock));
	if (!lock)
		return -ENOMEM;
	*lock = (struct lockfile_pid){ .mode = DEFAULT_MODE,
		                       .file = PIDFILE_NONE,
		                       .spare = PIDFILE_NONE,
		                       .dir = DESCRIPTOR_NONE,
		                       .queue = QUEUE_NONE };
	r = path_init(&lock->path, path);
	if (r < 0) {
		free(lock);
		return r;
	}
	*ret_lock = lock;
	return 0;
}

static void give_up(struct lockfile_pid *lock)
{
	if (lock->file.inheritable)
		held_let_go(lock);
	else if (held_release(lock) < 0 && lock_is_held(lock))
		held_retract(lock);
}

void lockfile_pid_free(struct lockfile_pid *lock)
{
	int state;

	if (!lock)
		return;
	state = disable_cancellation();
	if (queue_is_joined(&lock->queue))
		wait_cancel(lock);
	queue_drop(&lock->queue);
	if (lock_is_held(lock))
		give_up(lock);
	lock_drop(lock);
	restore_cancellation(state);
	path_release(&lock->path);
	free(lock);
}

const char *lockfile_pid_path(const struct lockfile_pid *lock)
{
	return lock ? lock->path.given : NULL;
}

static bool is_in_use(const struct lockfile_pid *lock)
{
	return lock_is_held(lock) || queue_is_joined(&lock->queue);
}

int lockfile_pid_set_mode(struct lockfile_pid *lock, unsigned int mode)
{
	if (!lock || (mode & ~0777U) != 0 || (mode & 0600) != 0600)
		return -EINVAL;
	if (is_in_use(lock))
		return -EBUSY;
	lock->mode = mode;
	return 0;
}

int lockfile_pid_set_inheritable(struct lockfile_pid *lock, int inheritable)
{
	if (!lock)
		return -EINVAL;
	if (is_in_use(lock))
		return -EBUSY;
	if (inheritable && lock->file.holder)
		return -EINVAL;
	lock->inheritable = inheritable != 0;
	/* what a child adopts is inheritable because that child says so, and no ancestor */
	lock->inheritable_by = process_generation();
	return 0;
}

static int identify_process(struct lockfile_pid *lock, pid_t pid)
{
	struct owner self, process;
	int r = process_self(&self);

	if (r == 0)
		r = owner_of(pid, &self, &process);
	if (r < 0)
		return r;
	lock->process = process;
	lock->file.holder = &lock->process;
	return 0;
}

int lockfile_pid_set_process(struct lockfile_pid *lock, pid_t pid)
{
	int state, r = 0;

	if (!lock || pid < 0)
		return -EINVAL;
	if (is_in_use(lock))
		return -EBUSY;
	if (lock->inheritable)
		return -EINVAL;
	state = disable_cancellation();
	if (pid == 0)
		lock->file.holder = NULL;
	else
		r = identify_process(lock, pid);
	restore_cancellation(state);
	return r;
}

int lockfile_pid_set_cluster_locks(struct lockfile_pid *lock, int cluster)
{
	if (!lock)
		return -EINVAL;
	if (is_in_use(lock))
		return -EBUSY;
	lock->cluster_locks = cluster != 0;
	return 0;
}

/*
 * Does the handle hold already?  One whose file was taken away does not, nor
 * one that a parent locked: it lets go of what it has left.
 */
static bool still_holds(struct lockfile_pid *lock)
{
	if (lock_is_held(lock) && held_verify(lock) != LOCKFILE_PID_ERR_ROGUE_DELETION) {
		lock->found = lock->file.pid;
		return true;
	}
	held_lose(lock);
	queue_drop(&lock->queue);
	return false;
}

int lockfile_pid_trylock(struct lockfile_pid *lock)
{
	struct awaited holder;
	int state, r;

	if (!lock)
		return -EINVAL;
	if (queue_is_joined(&lock->queue))
		return -EINPROGRESS;
	state = disable_cancellation();
	r = still_holds(lock) ? LOCKFILE_PID_ERR_BUSY : lock_acquire(lock, &holder);
	restore_cancellation(state);
	return r;
}

int lockfile_pid_timedlock(struct lockfile_pid *lock, int timeout_ms)
{
	int state, r;

	if (!lock)
		return -EINVAL;
	if (timeout_ms == 0)
		return lockfile_pid_trylock(lock);
	if (queue_is_joined(&lock->queue))
		return -EINPROGRESS;
	state = disable_cancellation();
	r = still_holds(lock) ? -EDEADLK : wait_for(lock, timeout_ms, state);
	restore_cancellation(state);
	return r;
}

int lockfile_pid_lock(struct lockfile_pid *lock)
{
	return lockfile_pid_timedlock(lock, -1);
}

static void free_handle(void *lock)
{
	lockfile_pid_free(lock);
}

/* A thread that is cancelled while it waits frees the handle, which its caller has not got. */
static int lock_or_free(struct lockfile_pid *lock, unsigned int flags, pid_t *ret_holder)
{
	int r;

	pthread_cleanup_push(free_handle, lock);
	r = flags & LOCKFILE_PID_WAIT ? lockfile_pid_lock(lock) : lockfile_pid_trylock(lock);
	pthread_cleanup_pop(0);
	if (r < 0) {
		if (ret_holder)
			*ret_holder = lock->found;
		lockfile_pid_free(lock);
	}
	return r;
}

int lockfile_pid_open(struct lockfile_pid **ret_lock, const char *path, unsigned int flags,
                      pid_t *ret_holder)
{
	struct lockfile_pid *lock;
	int r;

	if (ret_holder)
		*ret_holder = 0;
	if (!ret_lock || flags & ~(unsigned int)ALL_FLAGS)
		return -EINVAL;
	r = lockfile_pid_new(&lock, path);
	if (r < 0)
		return r;
	lock->inheritable = flags & LOCKFILE_PID_INHERITABLE;
	lock->cluster_locks = flags & LOCKFILE_PID_CLUSTER_LOCKS;
	r = lock_or_free(lock, flags, ret_holder);
	if (r == 0)
		*ret_lock = lock;
	return r;
}

pid_t lockfile_pid_holder(const struct lockfile_pid *lock)
{
	return lock ? lock->found : 0;
}

int lockfile_pid_unlock(struct lockfile_pid *lock)
{
	int state, r;

	if (!lock)
		return -EINVAL;
	if (queue_is_joined(&lock->queue))
		return -EINPROGRESS;
	state = disable_cancellation();
	r = held_release(lock);
	restore_cancellation(state);
	return r;
}

/*
 * Word by word: fprintf(3) has a buffer of 8 KiB for a stream without one on the stack, and
 * that of a thread may be smaller.
 */
static void say_failure(const struct lockfile_pid *lock, int error)
{
	flockfile(stderr);
	fputs("lockfile-pid: cannot unlock ", stderr);
	fputs(lock ? lock->path.given : "(null)", stderr);
	fputs(": ", stderr);
	fputs(lockfile_pid_strerror(error), stderr);
	fputs("\n", stderr);
	funlockfile(stderr);
}

void lockfile_pid_must_unlock(struct lockfile_pid *lock)
{
	int state = disable_cancellation();
	int r = lockfile_pid_unlock(lock);

	if (r < 0) {
		say_failure(lock, r);
		abort();
	}
	restore_cancellation(state);
}

int lockfile_pid_verify(const struct lockfile_pid *lock)
{
	int state, r;

	if (!lock)
		return -EINVAL;
	state = disable_cancellation();
	r = held_verify(lock);
	restore_cancellation(state);
	return r;
}

static int check(const struct lockfile_pid *lock, pid_t *ret_pid)
{
	struct judged judged;
	int dirfd = path_open_dir(&lock->path), verdict;

	if (dirfd < 0)
		return dirfd;
	verdict = lock_look(lock, dirfd, &judged);
	sys_close(dirfd);
	if (verdict < 0)
		return verdict;
	verdict_release(&judged);
	if (verdict == VERDICT_DAMAGED || verdict == VERDICT_ALIEN)
		return LOCKFILE_PID_ERR_INVALID_PID;
	if (ret_pid)
		*ret_pid = judged.pid;
	return verdict == VERDICT_BUSY  ? LOCKFILE_PID_ERR_BUSY :
	       verdict == VERDICT_STALE ? LOCKFILE_PID_ERR_PROCESS_DEAD :
	                                  0;
}

int lockfile_pid_check(const struct lockfile_pid *lock, pid_t *ret_pid)
{
	int state, r;

	if (!lock)
		return -EINVAL;
	state = disable_cancellation();
	r = check(lock, ret_pid);
	restore_cancellation(state);
	return r;
}

int lockfile_pid_signal(struct lockfile_pid *lock, int signo)
{
	int state, r;

	if (!lock)
		return -EINVAL;
	state = disable_cancellation();
	r = target_signal(lock, signo);
	restore_cancellation(state);
	return r;
}

int lockfile_pid_adopt(struct lockfile_pid *lock)
{
	int state, r;

	if (!lock)
		return -EINVAL;
	if (queue_is_joined(&lock->queue))
		return -EINPROGRESS;
	state = disable_cancellation();
	r = adopt(lock);
	restore_cancellation(state);
	return r;
}

int lockfile_pid_fileno(const struct lockfile_pid *lock)
{
	if (!lock)
		return -EINVAL;
	return lock_is_held(lock) && pidfile_has_fd(&lock->file) ? lock->file.descriptor.fd :
	                                                           -EBADF;
}

int lockfile_pid_wait_begin(struct lockfile_pid *lock)
{
	int state, r;

	if (!lock)
		return -EINVAL;
	if (queue_is_joined(&lock->queue))
		return -EINPROGRESS;
	state = disable_cancellation();
	r = still_holds(lock) ? -EDEADLK : wait_begin(lock);
	restore_cancellation(state);
	return r;
}

int lockfile_pid_wait_fd(const struct lockfile_pid *lock)
{
	if (!lock)
		return -EINVAL;
	return queue_is_joined(&lock->queue) ? lock->queue.epoll.fd : -EBADF;
}

int lockfile_pid_wait_continue(struct lockfile_pid *lock)
{
	int state, r;

	if (!lock || !queue_is_joined(&lock->queue))
		return -EINVAL;
	state = disable_cancellation();
	r = wait_continue(lock, queue_drain(&lock->queue, lock->yield.is_on));
	restore_cancellation(state);
	return r;
}

int lockfile_pid_wait_cancel(struct lockfile_pid *lock)
{
	int state;

	if (!lock)
		return -EINVAL;
	if (!queue_is_joined(&lock->queue))
		return 0;
	state = disable_cancellation();
	wait_cancel(lock);
	restore_cancellation(state);
	return 0;
}
