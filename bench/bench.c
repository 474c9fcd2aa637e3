/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

bool quick;

int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

void sleep_us(int us)
{
	struct timespec ts = { .tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000L };

	nanosleep(&ts, NULL);
}

void fail(const char *where, const char *what, const char *why)
{
	fprintf(stderr, "%s: %s: %s: %s\n", program_invocation_short_name, where, what, why);
	exit(EXIT_FAILURE);
}

void decline(const char *where, const char *answer)
{
	fprintf(stderr, "%s: %s: " ANSWER "%s\n", program_invocation_short_name, where, answer);
	exit(EXIT_FAILURE);
}

static int ascending(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

struct spread spread_of(double *values, size_t count)
{
	qsort(values, count, sizeof(values[0]), ascending);
	return (struct spread){
		.least = values[0],
		.low = values[count / 4],
		.median = values[count / 2],
		.high = values[count - 1 - count / 4],
		.most = values[count - 1],
	};
}

void print_spread(const char *name, struct spread spread)
{
	printf("  %-30s %8.2f  %8.2f ..%8.2f\n", name, spread.median, spread.least, spread.most);
}

int processors(int *ret_cpus, int most)
{
	cpu_set_t set;
	int count = 0;

	CPU_ZERO(&set);
	sched_getaffinity(0, sizeof(set), &set);
	for (int cpu = 0; cpu < CPU_SETSIZE && count < most; cpu++)
		if (CPU_ISSET((size_t)cpu, &set))
			ret_cpus[count++] = cpu;
	return count;
}

void stay_on_processor(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	if (cpu >= 0 && cpu < CPU_SETSIZE) {
		CPU_SET((size_t)cpu, &set);
		if (sched_setaffinity(0, sizeof(set), &set) < 0)
			perror("not pinned to a processor");
	}
}

void stay_on_one_processor(void)
{
	stay_on_processor(sched_getcpu());
}

/* What else runs is measured as well. */
static void print_load(void)
{
	double load[3] = { -1, -1, -1 };

	getloadavg(load, 3);
	fprintf(stderr, "%s: load average %.2f %.2f %.2f, %ld processors\n",
	        program_invocation_short_name, load[0], load[1], load[2],
	        sysconf(_SC_NPROCESSORS_ONLN));
}

void measure_in(char **dirs, void (*measure)(const char *dir))
{
	static char memory[] = "/dev/shm", here[] = ".", *usual[] = { memory, here, NULL };

	print_load();
	for (char **dir = *dirs ? dirs : usual; *dir; dir++) {
		measure(*dir);
		fflush(stdout);
	}
}

void bench_main(int argc, char **argv, void (*measure)(const char *dir))
{
	int option;

	while ((option = getopt(argc, argv, "q")) == 'q')
		quick = true;
	if (option != -1) {
		fprintf(stderr, "Usage: %s [-q] [DIRECTORY...]\n", program_invocation_short_name);
		exit(EXIT_FAILURE);
	}
	measure_in(argv + optind, measure);
}

/* By the numbers that statfs(2) has. */
static const char *filesystem_of(const char *dir)
{
	static char number[32];
	struct statfs fs;

	if (statfs(dir, &fs) < 0)
		fail(dir, "statfs", strerror(errno));
	switch ((uint32_t)fs.f_type) {
	case 0x01021994:
		return "tmpfs";
	case 0x794c7630:
		return "overlay";
	case 0x9123683e:
		return "btrfs";
	case 0x58465342:
		return "xfs";
	case 0xef53:
		return "ext4";
	case 0x6969:
		return "nfs";
	default:
		snprintf(number, sizeof(number), "0x%lx", (unsigned long)fs.f_type);
		return number;
	}
}

void print_sample(const char *figure, const char *dir, const char *peer, const char *parameter,
                  const char *unit, double value)
{
	printf("%s\t%s\t%s\t%s\t%s\t%.10g\n", figure, filesystem_of(dir), peer, parameter, unit,
	       value);
}

void print_fact(const char *figure, const char *dir, const char *peer, const char *parameter,
                const char *answer)
{
	printf("%s\t%s\t%s\t%s\tfact\t%s\n", figure, filesystem_of(dir), peer, parameter, answer);
}

void bench_path(char *ret, size_t size, const char *dir, const char *suffix)
{
	snprintf(ret, size, "%s/bench-%d%s", dir, (int)getpid(), suffix);
}
