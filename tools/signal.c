/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "tool.h"

#include <getopt.h>
#include <lockfile-pid.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* How long a release goes unnoticed if the holder lives on; its end is noticed immediately. */
#define LOOK_MS 20

static const char help[] =
	"Usage: lockfile-pid signal [-s SIGNAL] [-w SECONDS] [--cluster-locks] PATH\n"
	"Send a signal to the process that holds the lock PATH, and to no other.\n"
	"\n"
	"  -s, --signal=SIGNAL  a name or a number (TERM); 0 sends none\n"
	"  -w, --wait=SECONDS   wait until it has released the lock, no longer than this;\n"
	"                       fractions are fine\n"
	"      --cluster-locks  PATH is on a network file system whose kernel locks are\n"
	"                       those of all hosts\n"
	"      --help           print this and exit\n"
	"      --version        print the version and exit\n"
	"\n"
	"Exit status: 0 the signal was sent, and with -w the lock was released; 1 nobody\n"
	"holds the lock; 3 it is still held after SECONDS; 4 the signal cannot be sent.\n";

enum { OPTION_HELP = 256, OPTION_VERSION, OPTION_CLUSTER_LOCKS };

static const struct option long_options[] = {
	{ "signal", required_argument, NULL, 's' },
	{ "wait", required_argument, NULL, 'w' },
	{ "cluster-locks", no_argument, NULL, OPTION_CLUSTER_LOCKS },
	{ "help", no_argument, NULL, OPTION_HELP },
	{ "version", no_argument, NULL, OPTION_VERSION },
	{ NULL, 0, NULL, 0 },
};

struct request {
	int signal;
	int waits;
	long long timeout_ms;
	int cluster_locks;
	const char *path;
	struct lockfile_pid *lock;
};

/* 1: the process @pid holds the lock no more; 0: it does; or a negative error. */
static int is_released(const struct lockfile_pid *lock, pid_t pid)
{
	pid_t holder = 0;
	int r = lockfile_pid_check(lock, &holder);

	switch (r) {
	case LOCKFILE_PID_ERR_BUSY:
		return holder != pid;
	case 0:
	case LOCKFILE_PID_ERR_PROCESS_DEAD:
	case LOCKFILE_PID_ERR_INVALID_PID:
		return 1;
	default:
		return r;
	}
}

/*
 * The process may have ended before it was opened, and the descriptor be that of another:
 * then the look that follows says that the lock is released.  A descriptor that has told
 * its news is of no use any more; the lock of a dead process can be held by its children.
 */
static int wait_for_release(const struct request *request, pid_t pid)
{
	struct pollfd process = { .fd = process_open(pid), .events = POLLIN };
	long long end = now_ms() + request->timeout_ms;
	long long left;
	int r;

	for (;;) {
		r = is_released(request->lock, pid);
		left = end - now_ms();
		if (r != 0 || left <= 0)
			break;
		if (poll(&process, 1, left < LOOK_MS ? (int)left : LOOK_MS) > 0) {
			close(process.fd);
			process.fd = -1;
		}
	}
	if (process.fd >= 0)
		close(process.fd);
	return r;
}

static int report_still_held(const char *path, pid_t pid)
{
	report_holder(path, "still held by ", pid, "");
	return SIGNAL_STILL_HELD;
}

static int report_nobody(const char *path)
{
	fprintf(stderr, "lockfile-pid: %s: not held\n", path);
	return SIGNAL_NOBODY;
}

static int send_and_wait(const struct request *request)
{
	int r = lockfile_pid_signal(request->lock, request->signal);
	pid_t pid = lockfile_pid_holder(request->lock);

	if (r == LOCKFILE_PID_ERR_ROGUE_DELETION || r == LOCKFILE_PID_ERR_PROCESS_DEAD)
		return report_nobody(request->path);
	if (r == 0 && !request->waits)
		return SIGNAL_SENT;
	if (r == 0)
		r = wait_for_release(request, pid);
	if (r < 0) {
		complain(request->path, r);
		return SIGNAL_FAILED;
	}
	return r > 0 ? SIGNAL_SENT : report_still_held(request->path, pid);
}

static int signal_path(struct request *request)
{
	int r = lockfile_pid_new(&request->lock, request->path);
	int status;

	if (r == 0)
		r = lockfile_pid_set_cluster_locks(request->lock, request->cluster_locks);
	if (r < 0) {
		complain(request->path, r);
		return SIGNAL_FAILED;
	}
	status = send_and_wait(request);
	lockfile_pid_free(request->lock);
	return status;
}

static int bad_argument(const char *what, const char *value)
{
	return usage_error("signal ", SIGNAL_FAILED, "invalid %s: '%s'", what, value);
}

static int take_option(struct request *request, int option)
{
	switch (option) {
	case 's':
		if (parse_signal(optarg, &request->signal) < 0)
			return bad_argument("signal", optarg);
		return 0;
	case 'w':
		request->waits = 1;
		if (parse_seconds(optarg, &request->timeout_ms) < 0)
			return bad_argument("number of seconds", optarg);
		return 0;
	case OPTION_CLUSTER_LOCKS:
		request->cluster_locks = 1;
		return 0;
	default:
		return usage_error("signal ", SIGNAL_FAILED, NULL);
	}
}

int signal_main(int argc, char **argv)
{
	struct request request = { .signal = SIGTERM };
	int option, status;

	while ((option = getopt_long(argc, argv, "s:w:", long_options, NULL)) != -1) {
		if (option == OPTION_HELP)
			return print_text(help) < 0 ? SIGNAL_FAILED : 0;
		if (option == OPTION_VERSION)
			return print_version() < 0 ? SIGNAL_FAILED : 0;
		status = take_option(&request, option);
		if (status != 0)
			return status;
	}
	if (argc - optind != 1)
		return usage_error("signal ", SIGNAL_FAILED, "one PATH is needed");
	request.path = argv[optind];
	return signal_path(&request);
}
