/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "tool.h"

#include <errno.h>
#include <limits.h>
#include <lockfile-pid.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

/* In flock(1), -s is a shared lock. */
const char no_option_s[] =
	"there is no option -s: a lock has one holder, and cannot be shared as by flock -s";

/* By one call, and without the buffers of stdio: a child of vfork(2) has none of its own. */
void complain(const char *subject, int error)
{
	char line[PATH_MAX + 256];
	int length = snprintf(line, sizeof(line), "lockfile-pid: %s: %s\n", subject,
	                      lockfile_pid_strerror(error));

	if (length >= (int)sizeof(line))
		length = (int)sizeof(line) - 1;
	if (write(STDERR_FILENO, line, (size_t)length) < 0)
		return; /* there is nobody to tell */
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

/*
 * To standard output, and really there: a full disk shows only when it is flushed.  A file
 * that may not grow (ulimit -f) is an error like that, and not our death by SIGXFSZ.
 */
int print_text(const char *text)
{
	signal(SIGXFSZ, SIG_IGN);
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
