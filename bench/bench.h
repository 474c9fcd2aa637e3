/* SPDX-License-Identifier: BSD-2-Clause */
/* bench - time, its spread, and where to measure */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* -q was given: as little as still runs every path, to see that all of it works. */
extern bool quick;

/* Of some measured values; low and high are the quartiles. */
struct spread {
	double least, low, median, high, most;
};

int64_t now_ns(void);
void sleep_us(int us);

/* Says what went wrong, and ends the program. */
void fail(const char *where, const char *what, const char *why) __attribute__((noreturn));

/* Not an error, but an answer: it ends the program, too, and is told as it is. */
#define ANSWER "answer: "
void decline(const char *where, const char *answer) __attribute__((noreturn));

/* Sorts the values. */
struct spread spread_of(double *values, size_t count);

/* "  NAME   median   least .. most" */
void print_spread(const char *name, struct spread spread);

/* Those that we may use, so many at most; returns how many there are. */
int processors(int *ret_cpus, int most);

/* The calling process moves to a processor, if that is allowed. */
void stay_on_processor(int cpu);

/* Moving to another processor would be measured as well.  No matter if refused. */
void stay_on_one_processor(void);

/* In each directory that is named, else on a tmpfs and in the current one. */
void measure_in(char **dirs, void (*measure)(const char *dir));

/* The same for a program whose only option is -q. */
void bench_main(int argc, char **argv, void (*measure)(const char *dir));

/*
 * A line on stdout, of which bench/report.py makes the statistics:
 *
 *	FIGURE \t FILESYSTEM \t PEER \t PARAMETER \t UNIT \t VALUE
 *
 * The file system is that of the directory.  A parameter that is none is "-".
 */
void print_sample(const char *figure, const char *dir, const char *peer, const char *parameter,
                  const char *unit, double value);

/* An answer in words; its unit is "fact". */
void print_fact(const char *figure, const char *dir, const char *peer, const char *parameter,
                const char *answer);

/* The last component of a lock file's path is "bench-PID" and a suffix. */
void bench_path(char *ret, size_t size, const char *dir, const char *suffix);

#endif
