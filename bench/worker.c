/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "worker.h"

#include "bench.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LOOK_US  100
#define CHILDREN 8

void *worker_share(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		fail("shared memory", "mmap", strerror(errno));
	return p;
}

pid_t worker_start(void (*work)(void *argument), void *argument)
{
	pid_t parent = getpid(), worker;

	fflush(stdout);
	worker = fork();
	if (worker < 0)
		fail("worker", "fork", strerror(errno));
	if (worker > 0)
		return worker;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(EXIT_FAILURE);
	work(argument);
	_exit(EXIT_SUCCESS);
}

/* What proc(5) says after the name; 0: it has gone. */
static char state_of(pid_t pid)
{
	char path[32], stat[256] = "";
	const char *p = NULL;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	file = fopen(path, "re");
	if (file) {
		if (fgets(stat, sizeof(stat), file))
			p = strrchr(stat, ')');
		fclose(file);
	}
	return !p || p[1] != ' ' || p[2] == 'Z' ? 0 : p[2];
}

/* Returns how many there are, by a file that some kernels do not have. */
static size_t children_of(pid_t worker, pid_t ret[CHILDREN])
{
	char path[64];
	size_t count = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)worker, (int)worker);
	file = fopen(path, "re");
	if (!file)
		return 0;
	while (count < CHILDREN && fscanf(file, "%d", &ret[count]) == 1)
		count++;
	fclose(file);
	return count;
}

static bool is_asleep(pid_t worker)
{
	char state = state_of(worker);
	pid_t children[CHILDREN];
	size_t count = children_of(worker, children);

	if (state == 0)
		fail("worker", "sleep", "has gone");
	for (size_t i = 0; state == 'S' && i < count; i++)
		state = state_of(children[i]);
	return state == 'S';
}

void worker_await_sleep(pid_t worker)
{
	/* on its way it may sleep for a moment for some other reason */
	for (int looks = 0; looks < 2; looks = is_asleep(worker) ? looks + 1 : 0)
		sleep_us(LOOK_US);
}

int64_t worker_cpu_ns(pid_t worker)
{
	struct timespec ts;
	clockid_t clock;

	if (clock_getcpuclockid(worker, &clock) != 0 || clock_gettime(clock, &ts) < 0)
		fail("worker", "processor time", "not known");
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

void worker_join(pid_t worker)
{
	int status;

	if (waitpid(worker, &status, 0) != worker || status != 0)
		fail("worker", "end", "not a good one");
}

int64_t worker_kill(pid_t worker)
{
	pid_t children[CHILDREN];
	size_t count = children_of(worker, children);
	int64_t begin = now_ns();

	if (kill(worker, SIGKILL) < 0)
		fail("worker", "kill", strerror(errno));
	/* one that ends at its parent's death gets ahead of us */
	for (size_t i = 0; i < count; i++)
		kill(children[i], SIGKILL);
	if (waitpid(worker, NULL, 0) != worker)
		fail("worker", "wait", strerror(errno));
	return begin;
}
