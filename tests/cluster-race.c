/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cluster-race LOCK MARKER STAYS KILLS INIT INIT - two hosts compete for a lock
 *
 * A host is the mount, PID and UTS namespaces of the process INIT.  LOCK is the
 * lock file as both see it; MARKER a file outside of the shared file system,
 * for the detector.  On each host a crew locks and unlocks until so many stays
 * were counted, and so many racers were killed.  It says what it saw in lines
 * that begin with "# "; the status is 0 if no two ever held the lock at once,
 * each host had it, and no call failed.
 */
#include <config.h>

#include "detector.h"

#include <errno.h>
#include <lockfile-pid.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define HOSTS      2
#define CREW       3 /* on each */
#define STAY_NS    200000
#define LONG_NS    30000000 /* to replace a file takes a dozen requests to the server */
#define LONG_EVERY 8
#define POLL_US    500

struct shared {
	atomic_bool stop;
	atomic_uint stays[HOSTS];
	atomic_int failure;
	atomic_llong longest_ns; /* that somebody waited */
};

struct racer {
	uint32_t number;
	pid_t pid;
};

static struct shared *shared;
static struct detector *detector;
static const char *path;
static int hosts[HOSTS], home;
static struct racer crew[HOSTS * CREW];
static uint32_t numbers;

static void die(const char *what)
{
	perror(what);
	exit(99);
}

static int open_process(pid_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	if (fd < 0)
		die("pidfd_open");
	return fd;
}

static void note_wait(int64_t ns)
{
	long long longest = atomic_load(&shared->longest_ns);

	while (ns > longest && !atomic_compare_exchange_weak(&shared->longest_ns, &longest, ns))
		;
}

/* Every other racer stands in line; the rest look again soon, which is the harder race. */
static int take(struct lockfile_pid *lock, uint32_t number)
{
	int64_t begin = now_ns();
	int r;

	if (number % 2 == 0)
		return lockfile_pid_trylock(lock);
	r = lockfile_pid_lock(lock);
	if (r == 0)
		note_wait(now_ns() - begin);
	return r;
}

static int stay_once(struct lockfile_pid *lock, int host, uint32_t number)
{
	int r = take(lock, number);
	struct stay stay;

	if (r == LOCKFILE_PID_ERR_BUSY) {
		usleep(POLL_US);
		return 0;
	}
	if (r < 0)
		return r;
	detector_enter(detector, &stay, number);
	detector_stay(detector, &stay, stay.interval % LONG_EVERY == 0 ? LONG_NS : STAY_NS);
	detector_leave(detector, &stay);
	atomic_fetch_add(&shared->stays[host], 1);
	return lockfile_pid_unlock(lock);
}

static int run(int host, uint32_t number)
{
	struct lockfile_pid *lock;
	int r = lockfile_pid_new(&lock, path);

	if (r == 0)
		r = lockfile_pid_set_cluster_locks(lock, 1);
	while (r == 0 && !atomic_load(&shared->stop))
		r = stay_once(lock, host, number);
	lockfile_pid_free(lock);
	return r;
}

static _Noreturn void race(int host, uint32_t number)
{
	int r;

	if (setns(hosts[host], CLONE_NEWNS | CLONE_NEWUTS) < 0)
		r = -errno;
	else
		r = run(host, number);
	if (r < 0)
		atomic_store(&shared->failure, r);
	_exit(r < 0);
}

/* The PID namespace that is set is that of the children. */
static void start(int host, struct racer *racer)
{
	racer->number = ++numbers;
	if (setns(hosts[host], CLONE_NEWPID) < 0)
		die("setns");
	racer->pid = fork();
	if (racer->pid == 0)
		race(host, racer->number);
	if (racer->pid < 0 || setns(home, CLONE_NEWPID) < 0)
		die("fork");
}

static void kill_and_replace(unsigned int i)
{
	detector_doom(detector, crew[i].number);
	kill(crew[i].pid, SIGKILL);
	waitpid(crew[i].pid, NULL, 0);
	start((int)i / CREW, &crew[i]);
}

/* Who holds the lock, every other time; it may have let go by then. */
static unsigned int choose(unsigned int kills)
{
	uint32_t inside = detector_inside(detector);

	for (unsigned int i = 0; inside != 0 && kills % 2 == 0 && i < HOSTS * CREW; i++)
		if (crew[i].number == inside)
			return i;
	return (unsigned int)rand() % (HOSTS * CREW);
}

static bool await_stays(uint32_t stays)
{
	while (detector_stays(detector) < stays && atomic_load(&shared->failure) == 0)
		usleep(POLL_US);
	return atomic_load(&shared->failure) == 0;
}

static void watch(uint32_t stays, unsigned int kills)
{
	for (unsigned int i = 0; i < kills; i++)
		if (await_stays(stays * (i + 1) / (kills + 1)))
			kill_and_replace(choose(i));
	await_stays(stays);
	atomic_store(&shared->stop, true);
	for (unsigned int i = 0; i < HOSTS * CREW; i++)
		waitpid(crew[i].pid, NULL, 0);
}

static int tell(int64_t ns, unsigned int kills)
{
	int failure = atomic_load(&shared->failure);
	unsigned int a = shared->stays[0], b = shared->stays[1];
	struct findings found;

	detector_findings(detector, &found);
	printf("# %u and %u stays in %lld ms, %u kills, longest wait %lld ms\n", a, b,
	       (long long)(ns / 1000000), kills, shared->longest_ns / 1000000);
	printf("# double holders: %u by slot, %u by marker, %u by interval\n", found.slot,
	       found.marker, found.intervals);
	if (failure < 0)
		printf("# failed: %s\n", lockfile_pid_strerror(failure));
	return failure != 0 || a == 0 || b == 0 || found.slot || found.marker || found.intervals;
}

int main(int argc, char **argv)
{
	int64_t begin;

	if (argc != 5 + HOSTS)
		return 2;
	path = argv[1];
	detector = detector_new(argv[2]);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
	              0);
	if (!detector || shared == MAP_FAILED)
		die("mmap");
	home = open_process(getpid());
	for (int i = 0; i < HOSTS; i++)
		hosts[i] = open_process(atoi(argv[5 + i]));
	begin = now_ns();
	for (int i = 0; i < HOSTS * CREW; i++)
		start(i / CREW, &crew[i]);
	watch((uint32_t)atoi(argv[3]), (unsigned int)atoi(argv[4]));
	return tell(now_ns() - begin, (unsigned int)atoi(argv[4]));
}
