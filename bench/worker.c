/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "worker.h"

#include "bench.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LOOK_US 100

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

/* What proc(5) says after the name. */
static char state_of(pid_t worker)
{
	char path[32], stat[256] = "";
	const char *p = NULL;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)worker);
	file = fopen(path, "re");
	if (file) {
		if (fgets(stat, sizeof(stat), file))
			p = strrchr(stat, ')');
		fclose(file);
	}
	if (!p || p[1] != ' ' || p[2] == 'Z')
		fail(path, "worker", "has gone");
	return p[2];
}

void worker_await_sleep(pid_t worker)
{
	/* on its way it may sleep for a moment for some other reason */
	for (int looks = 0; looks < 2; looks = state_of(worker) == 'S' ? looks + 1 : 0)
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

void worker_kill(pid_t worker)
{
	if (kill(worker, SIGKILL) < 0 || waitpid(worker, NULL, 0) != worker)
		fail("worker", "kill", strerror(errno));
}
