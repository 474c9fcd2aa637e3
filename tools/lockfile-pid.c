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
	"       lockfile-pid signal [-s SIGNAL] [-w SECONDS] [--cluster-locks] PATH\n"
	"       lockfile-pid lock [OPTION]... PATH\n"
	"       lockfile-pid unlock [--pid=PID] [--cluster-locks] PATH\n"
	"       lockfile-pid --help | --version\n"
	"A lock is a file that exists exactly while somebody holds it, and that holds the\n"
	"holder's PID.\n"
	"\n"
	"  run      hold the lock PATH while COMMAND runs\n"
	"  check    say who holds the lock PATH\n"
	"  signal   send a signal to the holder\n"
	"  lock     take the lock PATH for the calling script\n"
	"  unlock   release what the script has taken by lock\n"
	"\n"
	"'lockfile-pid COMMAND --help' tells more of each.\n";

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

static const struct {
	const char *name;
	int (*main)(int argc, char **argv);
	int failed; /* the exit status */
} commands[] = {
	{ "run", run_main, RUN_FAILED },          { "check", check_main, CHECK_FAILED },
	{ "signal", signal_main, SIGNAL_FAILED }, { "lock", lock_main, LOCK_FAILED },
	{ "unlock", unlock_main, LOCK_FAILED },
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static size_t find_command(const char *name)
{
	size_t i;

	for (i = 0; i < COMMANDS && strcmp(commands[i].name, name) != 0; i++)
		;
	return i;
}

int main(int argc, char **argv)
{
	static char name[] = "lockfile-pid"; /* how getopt(3) begins its messages */
	const char *word = argc > 1 ? argv[1] : "";
	size_t i = find_command(word);

	if (fill_standard_descriptors() < 0) {
		complain("/dev/null", -errno);
		return i < COMMANDS ? commands[i].failed : RUN_FAILED;
	}
	if (strcmp(word, "--help") == 0)
		return print_text(help) < 0 ? RUN_FAILED : 0;
	if (strcmp(word, "--version") == 0)
		return print_version() < 0 ? RUN_FAILED : 0;
	if (argc < 2)
		return usage_error("", RUN_FAILED,
		                   "a command is missing: run, check, signal, lock or unlock");
	if (i == COMMANDS)
		return usage_error("", RUN_FAILED, "unknown command: '%s'", word);
	argv[1] = name;
	return commands[i].main(argc - 1, argv + 1);
}
