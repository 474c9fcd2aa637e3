/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "tool.h"

#include <errno.h>
#include <lockfile-pid.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

void complain(const char *subject, int error)
{
	fprintf(stderr, "lockfile-pid: %s: %s\n", subject, lockfile_pid_strerror(error));
}

/* A NULL @format: getopt(3) has said what is wrong. */
int usage_error(const char *command, int status, const char *format, ...)
{
	va_list args;

	if (format) {
		fputs("lockfile-pid: ", stderr);
		va_start(args, format);
		vfprintf(stderr, format, args);
		va_end(args);
		fputc('\n', stderr);
	}
	fprintf(stderr, "Try 'lockfile-pid %s--help'.\n", command);
	return status;
}

/* To standard output, and really there: a full disk shows only when it is flushed. */
int print_text(const char *text)
{
	if (fputs(text, stdout) >= 0 && fflush(stdout) == 0 && !ferror(stdout))
		return 0;
	complain("standard output", -errno);
	return -1;
}

int print_version(void)
{
	char text[128];

	snprintf(text, sizeof(text), "lockfile-pid %s (liblockfile-pid %s)\n", PACKAGE_VERSION,
	         lockfile_pid_version());
	return print_text(text);
}

long long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}
