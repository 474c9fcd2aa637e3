/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wait-cancel PATH SECONDS - waits for a lock in a thread, until a deadline or until another
 * thread ends the wait
 *
 * lockfile_pid_lock() can be ended by another thread only by pthread_cancel(3), which ends
 * the thread as well.  This waits in steps instead, and for an eventfd(2) at the same time.
 * Signal handlers cost it neither its deadline nor its place in the wait queue.
 *
 * SIGTERM and SIGINT end the program, while it waits or with the lock.  Its status is 1 if
 * it did not get the lock.
 *
 *	cc -pthread wait-cancel.c $(pkg-config --cflags --libs lockfile-pid) -o wait-cancel
 */
#include <errno.h>
#include <limits.h>
#include <lockfile-pid.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_MS 1000000

/* What both threads know. */
struct job {
	struct lockfile_pid *lock; /* the worker's alone */
	struct timespec deadline;  /* on the monotonic clock */
	int cancel;                /* an eventfd: readable when the worker is to end */
	int result;                /* the worker's */
	pthread_t main;
};

/* In milliseconds, rounded up, as poll(2) has them. */
static int time_left(const struct timespec *deadline)
{
	struct timespec now;
	long long ms;

	clock_gettime(CLOCK_MONOTONIC, &now);
	ms = (deadline->tv_sec - now.tv_sec) * 1000LL +
	     (deadline->tv_nsec - now.tv_nsec + NS_PER_MS - 1) / NS_PER_MS;
	return ms < 0 ? 0 : ms > INT_MAX ? INT_MAX : (int)ms;
}

/*
 * Takes the lock.  Returns 0, -ETIMEDOUT at the deadline, -ECANCELED when the descriptor
 * @cancel is readable, or another error of the library.
 */
static int lock_until(struct lockfile_pid *lock, int cancel, const struct timespec *deadline)
{
	int r = lockfile_pid_wait_begin(lock);

	while (r == LOCKFILE_PID_ERR_BUSY) {
		struct pollfd fds[] = { { .fd = cancel, .events = POLLIN },
			                { .fd = lockfile_pid_wait_fd(lock), .events = POLLIN } };
		int left = time_left(deadline), n = poll(fds, 2, left);

		if (n < 0 && errno == EINTR)
			continue; /* a signal handler ran; the place in the queue is kept */
		if (n < 0)
			r = -errno;
		else if (fds[0].revents)
			r = -ECANCELED;
		else
			r = lockfile_pid_wait_continue(lock); /* also at the end of the time */
		if (r == LOCKFILE_PID_ERR_BUSY && left == 0)
			r = -ETIMEDOUT;
	}
	/* if it still waits it leaves the queue */
	if (r < 0)
		(void)!lockfile_pid_wait_cancel(lock);
	return r;
}

/* The worker: it does the work that only one process may do until it is to end. */
static void *work(void *argument)
{
	struct job *job = argument;
	uint64_t end;

	job->result = lock_until(job->lock, job->cancel, &job->deadline);
	if (job->result == 0) {
		printf("locked\n");
		if (read(job->cancel, &end, sizeof(end)) < 0)
			job->result = -errno;
		lockfile_pid_must_unlock(job->lock);
	}
	/* the other thread waits for a signal */
	pthread_kill(job->main, SIGTERM);
	return NULL;
}

static int run(struct job *job)
{
	pthread_t worker;
	sigset_t end;
	int signal, error;

	sigemptyset(&end);
	sigaddset(&end, SIGINT);
	sigaddset(&end, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &end, NULL);
	error = pthread_create(&worker, NULL, work, job);
	if (error != 0)
		return -error;
	sigwait(&end, &signal);
	/* this ends the wait, or the work */
	eventfd_write(job->cancel, 1);
	pthread_join(worker, NULL);
	return job->result;
}

int main(int argc, char **argv)
{
	struct job job = { .main = pthread_self(), .cancel = eventfd(0, EFD_CLOEXEC) };
	int r;

	if (argc != 3) {
		fprintf(stderr, "usage: wait-cancel PATH SECONDS\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	clock_gettime(CLOCK_MONOTONIC, &job.deadline);
	job.deadline.tv_sec += atoi(argv[2]);
	r = lockfile_pid_new(&job.lock, argv[1]);
	if (r == 0)
		r = run(&job);
	if (r < 0)
		fprintf(stderr, "%s: %s\n", argv[1], lockfile_pid_strerror(r));
	lockfile_pid_free(job.lock);
	return r < 0;
}
