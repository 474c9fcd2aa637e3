/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <lockfile-pid.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char help[] =
	"Usage: lockfile-pid check [-q] [--cluster-locks] PATH\n"
	"Say who holds the lock PATH.\n"
	"\n"
	"  -q, --quiet          only the exit status\n"
	"      --cluster-locks  PATH is on a network file system whose kernel locks are\n"
	"                       those of all hosts\n"
	"      --help           print this and exit\n"
	"      --version        print the version and exit\n"
	"\n"
	"Exit status: 0 held; 1 its holder is dead and has left the file behind; 2 what is\n"
	"there is not a PID file; 3 not held; 4 cannot tell.\n";

enum { OPTION_HELP = 256, OPTION_VERSION, OPTION_CLUSTER_LOCKS };

static const struct option long_options[] = {
	{ "quiet", no_argument, NULL, 'q' },
	{ "cluster-locks", no_argument, NULL, OPTION_CLUSTER_LOCKS },
	{ "help", no_argument, NULL, OPTION_HELP },
	{ "version", no_argument, NULL, OPTION_VERSION },
	{ NULL, 0, NULL, 0 },
};

static int check_status(int r)
{
	switch (r) {
	case 0:
		return CHECK_FREE;
	case LOCKFILE_PID_ERR_BUSY:
		return CHECK_HELD;
	case LOCKFILE_PID_ERR_PROCESS_DEAD:
		return CHECK_DEAD;
	case LOCKFILE_PID_ERR_INVALID_PID:
		return CHECK_INVALID;
	default:
		return CHECK_FAILED;
	}
}

/*
 * When it got its name, which changes the status of a file; who was first in line may have
 * written it long before.  Empty: unknown.
 */
static void since_text(const char *path, char *text, size_t size)
{
	struct stat st;
	struct tm tm;

	text[0] = '\0';
	if (lstat(path, &st) == 0 && localtime_r(&st.st_ctime, &tm))
		if (strftime(text, size, " since %Y-%m-%d %H:%M:%S %z", &tm) == 0)
			text[0] = '\0';
}

static int print_line(const char *path, const char *what, const char *who, const char *rest)
{
	printf("%s: %s%s%s\n", path, what, who, rest);
	return print_text(""); /* which finds out whether that went well */
}

static int print_state(const char *path, int status, pid_t pid)
{
	char who[HOLDER_TEXT_SIZE];
	char since[64];
	size_t used;

	switch (status) {
	case CHECK_HELD:
		since_text(path, since, sizeof(since));
		used = strlen(path) + strlen(": held by ") + strlen(since);
		holder_text(path, pid, STDOUT_FILENO, used, who);
		return print_line(path, "held by ", who, since);
	case CHECK_DEAD:
		if (pid <= 0)
			return print_line(path, "left behind by a process that is dead", "", "");
		snprintf(who, sizeof(who), "%ld", (long)pid);
		return print_line(path, "left behind by PID ", who, ", which is dead");
	case CHECK_INVALID:
		return print_line(path, "not a PID file", "", "");
	default:
		return print_line(path, "not held", "", "");
	}
}

/*
 * The library counts a file that may not be read as held, so that a contender waits.  To a
 * question for the holder there is no answer.
 */
static int check_readable(const char *path, int r, pid_t pid)
{
	return r == LOCKFILE_PID_ERR_BUSY && pid == 0 && is_unreadable(path) ? -EACCES : r;
}

static int check_path(const char *path, int quiet, int cluster_locks)
{
	struct lockfile_pid *lock = NULL;
	pid_t pid = 0;
	int status;
	int r = lockfile_pid_new(&lock, path);

	if (r == 0)
		r = lockfile_pid_set_cluster_locks(lock, cluster_locks);
	if (r == 0)
		r = lockfile_pid_check(lock, &pid);
	r = check_readable(path, r, pid);
	status = lock ? check_status(r) : CHECK_FAILED;
	lockfile_pid_free(lock);
	if (status == CHECK_FAILED)
		complain(path, r);
	else if (!quiet && print_state(path, status, pid) < 0)
		status = CHECK_FAILED;
	return status;
}

int check_main(int argc, char **argv)
{
	int quiet = 0;
	int cluster_locks = 0;
	int option;

	while ((option = getopt_long(argc, argv, "qs", long_options, NULL)) != -1) {
		switch (option) {
		case 'q':
			quiet = 1;
			break;
		case OPTION_CLUSTER_LOCKS:
			cluster_locks = 1;
			break;
		case 's':
			return usage_error("check ", CHECK_FAILED, "%s", no_option_s);
		case OPTION_HELP:
			return print_text(help) < 0 ? CHECK_FAILED : 0;
		case OPTION_VERSION:
			return print_version() < 0 ? CHECK_FAILED : 0;
		default:
			return usage_error("check ", CHECK_FAILED, NULL);
		}
	}
	if (argc - optind != 1)
		return usage_error("check ", CHECK_FAILED, "one PATH is needed");
	return check_path(argv[optind], quiet, cluster_locks);
}
