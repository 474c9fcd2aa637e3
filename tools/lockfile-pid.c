/* SPDX-License-Identifier: BSD-2-Clause */
/* lockfile-pid - process-based locks for scripts */
#include <config.h>

#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
	"Usage: lockfile-pid run [OPTION]... PATH [--] COMMAND [ARG]...\n"
	"       lockfile-pid check [-q] [--cluster-locks] PATH\n"
	"       lockfile-pid --help | --version\n"
	"A lock is a file that exists exactly while somebody holds it, and that holds the\n"
	"holder's PID.\n"
	"\n"
	"  run      hold the lock PATH while COMMAND runs\n"
	"  check    say who holds the lock PATH\n"
	"\n"
	"'lockfile-pid run --help' and 'lockfile-pid check --help' tell more.\n";

/*
 * Started with standard descriptors closed, we would get the lock file under
 * the number of standard output, and the command would write into it.  The
 * placeholders fail as closed descriptors do, and end at exec.
 */
static int fill_standard_descriptors(void)
{
	int fd;

	for (fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) >= 0)
			continue;
		if (open("/dev/null", (fd ? O_RDONLY : O_WRONLY) | O_CLOEXEC) != fd)
			return -1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	static char name[] = "lockfile-pid"; /* how getopt(3) begins its messages */
	const char *command = argc > 1 ? argv[1] : "";

	if (fill_standard_descriptors() < 0) {
		complain("/dev/null", -errno);
		return strcmp(command, "check") == 0 ? CHECK_FAILED : RUN_FAILED;
	}
	if (strcmp(command, "--help") == 0)
		return print_text(help) < 0 ? RUN_FAILED : 0;
	if (strcmp(command, "--version") == 0)
		return print_version() < 0 ? RUN_FAILED : 0;
	if (argc > 1)
		argv[1] = name;
	if (strcmp(command, "run") == 0)
		return run_main(argc - 1, argv + 1);
	if (strcmp(command, "check") == 0)
		return check_main(argc - 1, argv + 1);
	if (argc < 2)
		return usage_error("", RUN_FAILED, "a command is missing: run or check");
	return usage_error("", RUN_FAILED, "unknown command: '%s'", command);
}
