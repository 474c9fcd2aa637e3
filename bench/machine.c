/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How fast is this machine?
 *
 *	machine [-q]
 *
 * Facts, of which every figure is made: what a system call costs that does nothing, and
 * a process from fork(2) to its end, which may have executed true(1).  Medians; what is
 * virtual, or traced, shows in them.
 */
#include <config.h>

#include "bench.h"
#include "command.h"
#include "worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SAMPLES       201
#define SAMPLES_QUICK 5
#define CALLS         1000

static void make_calls(void)
{
	for (int i = 0; i < CALLS; i++)
		syscall(SYS_getppid);
}

static void do_nothing(void *argument)
{
	(void)argument;
}

static void make_process(void)
{
	worker_join(worker_start(do_nothing, NULL));
}

static void run_program(void)
{
	static const char *argv[2];

	if (!argv[0])
		argv[0] = command_find("true");
	if (!argv[0])
		fail("true", "find", "not here");
	command_run(argv);
}

static double median_ns(void (*run)(void))
{
	double ns[SAMPLES];
	size_t count = quick ? SAMPLES_QUICK : SAMPLES;

	run();
	for (size_t i = 0; i < count; i++) {
		int64_t begin = now_ns();

		run();
		ns[i] = (double)(now_ns() - begin);
	}
	return spread_of(ns, count).median;
}

/* Of no file system. */
static void say(const char *what, double us)
{
	printf("machine\t-\t-\t%s\tfact\t%.*f us\n", what, us < 10 ? 2 : 0, us);
}

int main(int argc, char **argv)
{
	if (getopt(argc, argv, "q") == 'q')
		quick = true;
	say("a system call, getppid(2)", median_ns(make_calls) / CALLS / 1000);
	say("a process, from fork(2) to its end", median_ns(make_process) / 1000);
	say("a program, true(1)", median_ns(run_program) / 1000);
	return EXIT_SUCCESS;
}
