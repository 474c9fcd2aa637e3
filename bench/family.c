/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "family.h"

#include "bench.h"
#include "worker.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* A process group: what has a set-group-ID bit outlives its parent otherwise. */
void family_begin(void)
{
	if (setpgid(0, 0) < 0)
		fail("family", "setpgid", strerror(errno));
}

/* No worker has more than one child at a time; 0 where it has none. */
static pid_t child_of(pid_t worker)
{
	char path[64];
	int child = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)worker, (int)worker);
	file = fopen(path, "re");
	if (!file)
		fail(path, "open", strerror(errno));
	if (fscanf(file, "%d", &child) != 1)
		child = 0;
	fclose(file);
	return child;
}

/* 0 for one that has ended and been waited for. */
static int64_t cpu_ns(pid_t process)
{
	struct timespec ts;
	clockid_t clock;

	if (process == 0 || clock_getcpuclockid(process, &clock) != 0 ||
	    clock_gettime(clock, &ts) < 0)
		return 0;
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

int64_t family_cpu_ns(pid_t worker)
{
	return worker_cpu_ns(worker) + cpu_ns(child_of(worker));
}

static int64_t ns(struct timeval time)
{
	return ((int64_t)time.tv_sec * 1000000 + time.tv_usec) * 1000;
}

int64_t family_gone_ns(void)
{
	struct rusage gone;

	getrusage(RUSAGE_CHILDREN, &gone);
	return ns(gone.ru_utime) + ns(gone.ru_stime);
}

/* One that has not begun yet is in no group of its own, and alone. */
void family_kill(pid_t worker)
{
	kill(worker, SIGKILL);
	kill(-worker, SIGKILL);
}

void family_bury(pid_t worker)
{
	int status;

	if (waitpid(worker, &status, 0) != worker ||
	    !(status == 0 || (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)))
		fail("worker", "end", "not a good one");
}
