/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lock and unlock - a lock for the script that calls us
 *
 * A script cannot keep a kernel lock without a descriptor, which its background jobs would
 * inherit and keep.  So a small process, the keeper, takes the lock on behalf of the
 * script (lockfile_pid_set_process()): the file holds the PID and records the identity of
 * the script.  Why this way:
 *
 * - When the script ends, in whatever way, the file is stale immediately by its record, and
 *   waiters, which watch the PID in the file, take it over.  Nothing depends on how fast
 *   the keeper is.
 * - The keeper has the kernel lock, which is all that contenders in other PID namespaces
 *   see.  It watches the script by a pidfd and releases the lock when the script ends.
 * - If the keeper is killed, the record still says that the script holds the lock, and
 *   `unlock` still works.  Only contenders in other PID namespaces can take it over.
 * - `unlock` needs not find the keeper: it removes the file by its record, and the keeper,
 *   which watches the file, ends.
 *
 * The keeper has no descriptor of the script, is in a session of its own, and has all
 * signals blocked, so that neither Ctrl-C nor a hang-up ends it before the script.
 */
#include <config.h>

#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <lockfile-pid.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Without inotify(7) or pidfds the keeper looks; with them only for what they do not tell. */
#define LOOK_MS   1000
#define SELDOM_MS 60000

static const char lock_help[] =
	"Usage: lockfile-pid lock [OPTION]... PATH\n"
	"Take the lock PATH for the calling script, until it unlocks it or ends.\n"
	"\n"
	"  -n, --nonblock        do not wait where the lock is held\n"
	"  -w, --wait=SECONDS    wait no longer than this; fractions are fine\n"
	"  -m, --mode=MODE       permissions of PATH, octal, less the umask (0644)\n"
	"      --pid=PID         for this process, and not for the parent of this one\n"
	"      --cluster-locks   PATH is on a network file system whose kernel locks are\n"
	"                        those of all hosts\n"
	"      --help            print this and exit\n"
	"      --version         print the version and exit\n"
	"\n"
	"Exit status: 0 the script holds the lock; 1 it does not, by -n or -w; 2 it held the\n"
	"lock already; 125 lockfile-pid itself failed.\n";

static const char unlock_help[] =
	"Usage: lockfile-pid unlock [--pid=PID] [--cluster-locks] PATH\n"
	"Release the lock PATH that the calling script has taken by 'lockfile-pid lock'.\n"
	"\n"
	"      --pid=PID         that of this process\n"
	"      --cluster-locks   PATH is on a network file system whose kernel locks are\n"
	"                        those of all hosts\n"
	"      --help            print this and exit\n"
	"      --version         print the version and exit\n"
	"\n"
	"Exit status: 0 the lock is released; 1 the script does not hold it, and nothing is\n"
	"removed; 125 lockfile-pid itself failed.\n";

enum { OPTION_HELP = 256, OPTION_VERSION, OPTION_CLUSTER_LOCKS, OPTION_PID };

static const struct option lock_options[] = {
	{ "nonblock", no_argument, NULL, 'n' },
	{ "wait", required_argument, NULL, 'w' },
	{ "mode", required_argument, NULL, 'm' },
	{ "pid", required_argument, NULL, OPTION_PID },
	{ "cluster-locks", no_argument, NULL, OPTION_CLUSTER_LOCKS },
	{ "help", no_argument, NULL, OPTION_HELP },
	{ "version", no_argument, NULL, OPTION_VERSION },
	{ NULL, 0, NULL, 0 },
};

static const struct option unlock_options[] = {
	{ "pid", required_argument, NULL, OPTION_PID },
	{ "cluster-locks", no_argument, NULL, OPTION_CLUSTER_LOCKS },
	{ "help", no_argument, NULL, OPTION_HELP },
	{ "version", no_argument, NULL, OPTION_VERSION },
	{ NULL, 0, NULL, 0 },
};

struct request {
	const char *command; /* with a blank, as usage_error() has it */
	const char *path;
	int nonblock;
	int timed;
	struct patience patience;
	int has_mode;
	unsigned int mode;
	int cluster_locks;
	pid_t pid;   /* the script */
	int process; /* its pidfd; -1: there are no pidfds here */
	struct lockfile_pid *lock;
};

static int bad_argument(const struct request *request, const char *what, const char *value)
{
	return usage_error(request->command, LOCK_FAILED, "invalid %s: '%s'", what, value);
}

/* 0 or the exit status. */
static int take_option(struct request *request, int option)
{
	switch (option) {
	case 'n':
		request->nonblock = 1;
		return 0;
	case 'w':
		request->timed = 1;
		if (parse_seconds(optarg, &request->patience.timeout_ms) < 0)
			return bad_argument(request, "number of seconds", optarg);
		return 0;
	case 'm':
		request->has_mode = 1;
		if (parse_mode(optarg, &request->mode) < 0)
			return bad_argument(request, "mode", optarg);
		return 0;
	case OPTION_PID:
		if (parse_pid(optarg, &request->pid) < 0)
			return bad_argument(request, "PID", optarg);
		return 0;
	case OPTION_CLUSTER_LOCKS:
		request->cluster_locks = 1;
		return 0;
	default:
		return usage_error(request->command, LOCK_FAILED, NULL);
	}
}

/*
 * Whose parent has died has another one, which must not get the lock: process 1 would hold
 * it for as long as the machine runs.  A script that is process 1 itself says so by --pid.
 */
static int find_script(struct request *request)
{
	int is_parent = request->pid == 0;

	if (is_parent)
		request->pid = getppid();
	if (is_parent && request->pid <= 1)
		return usage_error(request->command, LOCK_FAILED,
		                   "the parent is process 1: say for whom, by --pid");
	request->process = process_open(request->pid);
	if (is_parent && getppid() != request->pid) {
		complain("the calling process", -ESRCH);
		return LOCK_FAILED;
	}
	return 0;
}

static int make_handle(struct request *request)
{
	int r = lockfile_pid_new(&request->lock, request->path);

	if (r == 0)
		r = lockfile_pid_set_cluster_locks(request->lock, request->cluster_locks);
	if (r == 0)
		r = lockfile_pid_set_process(request->lock, request->pid);
	if (r == 0 && request->process >= 0 && process_has_ended(request->process, 0))
		r = -ESRCH; /* it may be another that was identified */
	if (r < 0) {
		complain(request->path, r);
		return LOCK_FAILED;
	}
	if (request->has_mode && lockfile_pid_set_mode(request->lock, request->mode) < 0)
		return usage_error(request->command, LOCK_FAILED, "invalid mode: '%04o'",
		                   request->mode);
	return 0;
}

static int watch_file(const struct lockfile_pid *lock)
{
	char path[64];
	int fd = inotify_init1(IN_CLOEXEC);

	snprintf(path, sizeof(path), "/proc/self/fd/%d", lockfile_pid_fileno(lock));
	/* its removal changes the number of its links */
	if (fd >= 0 && inotify_add_watch(fd, path, IN_ATTRIB) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Does the script still hold the lock? */
static int is_over(const struct request *request)
{
	if (lockfile_pid_verify(request->lock) == LOCKFILE_PID_ERR_ROGUE_DELETION)
		return 1;
	if (request->process >= 0)
		return process_has_really_ended(request->process);
	return lockfile_pid_check(request->lock, NULL) == LOCKFILE_PID_ERR_PROCESS_DEAD ||
	       (kill(request->pid, 0) < 0 && errno == ESRCH);
}

/* Until the lock is released, or the script has ended. */
static void __attribute__((__noreturn__)) keep(struct request *request)
{
	struct pollfd fds[2] = { { .fd = request->process, .events = POLLIN },
		                 { .fd = watch_file(request->lock), .events = POLLIN } };
	int timeout_ms = fds[0].fd >= 0 && fds[1].fd >= 0 ? SELDOM_MS : LOOK_MS;
	char events[512];

	while (!is_over(request))
		if (poll(fds, 2, timeout_ms) > 0 && fds[1].revents)
			if (read(fds[1].fd, events, sizeof(events)) < 0)
				timeout_ms = LOOK_MS;
	lockfile_pid_free(request->lock);
	_exit(0);
}

/* Of the script: its pipes must end when it does. */
static void leave_script(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	setsid();
	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		close(null);
	}
	if (chdir("/") < 0)
		return; /* its directory stays in use, and that is all */
}

static void report_conflict(const struct request *request, const char *rest)
{
	report_holder(request->path, "held by ", lockfile_pid_holder(request->lock), rest);
}

/* Waits, as `run` does.  0: locked; or the exit status. */
static int take(struct request *request)
{
	struct signals signals;
	pid_t pid = 0;
	int sig = 0;
	int r;

	if (lockfile_pid_check(request->lock, &pid) == LOCKFILE_PID_ERR_BUSY &&
	    pid == request->pid) {
		fprintf(stderr, "lockfile-pid: %s: already held by you, PID %ld\n", request->path,
		        (long)pid);
		return LOCK_YOURS;
	}
	signals_hold(&signals);
	r = wait_for_lock(request->lock, &request->patience, &signals, &sig);
	if (sig) {
		lockfile_pid_free(request->lock);
		signals_die(sig);
	}
	if (r == LOCKFILE_PID_ERR_BUSY) {
		if (report_kind(0) != REPORT_NOTHING)
			report_conflict(request, "");
		return LOCK_CONFLICT;
	}
	if (r == -EDEADLK)
		report_conflict(request, ", an ancestor: would wait for itself");
	else if (r < 0)
		complain(request->path, r);
	return r < 0 ? LOCK_FAILED : LOCK_TAKEN;
}

/* A new process: takes the lock, tells the result, and keeps it. */
static void __attribute__((__noreturn__)) be_keeper(struct request *request, int result, pid_t tool)
{
	unsigned char status;

	/* nobody would hear of the lock; until it is taken */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != tool)
		_exit(1);
	close_all_but(request->process, result, STDERR_FILENO);
	if (open("/dev/null", O_RDWR | O_CLOEXEC) != STDIN_FILENO ||
	    open("/dev/null", O_RDWR | O_CLOEXEC) != STDOUT_FILENO)
		_exit(1);
	status = (unsigned char)make_handle(request);
	if (status == 0)
		status = (unsigned char)take(request);
	prctl(PR_SET_PDEATHSIG, 0);
	if (status == 0)
		leave_script();
	if (write(result, &status, 1) != 1 || status != 0) {
		lockfile_pid_free(request->lock);
		_exit(1);
	}
	close(result);
	keep(request);
}

/* We end as the keeper does if that cannot tell; it was ended by a signal then. */
static int end_as_keeper(pid_t keeper)
{
	int status;

	if (waitpid(keeper, &status, 0) == keeper && WIFSIGNALED(status))
		signals_die(WTERMSIG(status));
	return LOCK_FAILED;
}

static int start_keeper(struct request *request)
{
	pid_t tool = getpid(), keeper;
	unsigned char status;
	int ends[2];
	ssize_t n;

	if (pipe2(ends, O_CLOEXEC) < 0 || (keeper = fork()) < 0) {
		complain("fork", -errno);
		return LOCK_FAILED;
	}
	if (keeper == 0)
		be_keeper(request, ends[1], tool);
	close(ends[1]);
	do
		n = read(ends[0], &status, 1);
	while (n < 0 && errno == EINTR);
	return n == 1 ? status : end_as_keeper(keeper);
}

static int parse(struct request *request, int argc, char **argv, const char *letters,
                 const struct option *options, const char *help, int *ret_done)
{
	int option, status;

	*ret_done = 1;
	while ((option = getopt_long(argc, argv, letters, options, NULL)) != -1) {
		if (option == OPTION_HELP)
			return print_text(help) < 0 ? LOCK_FAILED : 0;
		if (option == OPTION_VERSION)
			return print_version() < 0 ? LOCK_FAILED : 0;
		status = take_option(request, option);
		if (status != 0)
			return status;
	}
	if (argc - optind != 1)
		return usage_error(request->command, LOCK_FAILED, "one PATH is needed");
	if (request->nonblock && request->timed)
		return usage_error(request->command, LOCK_FAILED, "-n and -w exclude each other");
	if (request->nonblock)
		request->patience.timeout_ms = 0;
	request->path = argv[optind];
	*ret_done = 0;
	return find_script(request);
}

int lock_main(int argc, char **argv)
{
	struct request request = { .command = "lock ", .patience = { .timeout_ms = FOR_EVER } };
	int done;
	int status = parse(&request, argc, argv, "nw:m:", lock_options, lock_help, &done);

	return done || status != 0 ? status : start_keeper(&request);
}

int unlock_main(int argc, char **argv)
{
	struct request request = { .command = "unlock " };
	int done;
	int status = parse(&request, argc, argv, "", unlock_options, unlock_help, &done);
	int r;

	if (done || status != 0)
		return status;
	status = make_handle(&request);
	if (status != 0)
		return status;
	r = lockfile_pid_unlock(request.lock);
	lockfile_pid_free(request.lock);
	if (r == 0)
		return LOCK_TAKEN;
	if (r == LOCKFILE_PID_ERR_ROGUE_DELETION) {
		fprintf(stderr, "lockfile-pid: %s: not held by PID %ld\n", request.path,
		        (long)request.pid);
		return LOCK_CONFLICT;
	}
	complain(request.path, r);
	return LOCK_FAILED;
}
