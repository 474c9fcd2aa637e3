/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reading - what a command line of the tool means, by another way
 *
 * The help, "Utility Syntax Guidelines" and getopt_long(3) say it: options that
 * stand together, values that are attached or apart, long names cut short.
 */
#ifndef READING_H
#define READING_H

enum reading_kind {
	READING_WRONG,  /* a message and status 125, or 4 */
	READING_ANSWER, /* --help or --version */
	READING_ACTION
};

struct reading {
	enum reading_kind kind;
	int nonblock, timed, no_fork, kill, verbose, has_mode, quiet, cluster_locks;
	int descendants, for_ancestor;
	long long timeout_ms;
	int conflict_code;
	unsigned int mode;
	char **path; /* where it stands */
	char **command;
};

/* @argv: from the first argument of the command on, and NULL */
void read_run(char **argv, struct reading *ret);
void read_check(char **argv, struct reading *ret);

/* 0 where it is no such number */
int read_seconds(const char *text, long long *ret_ms);
int read_octal(const char *text, unsigned int *ret);
int read_status(const char *text, int *ret);

#endif
