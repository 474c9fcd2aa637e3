/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <lockfile-pid.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
	"Usage: lockfile-pid run [OPTION]... PATH [--] COMMAND [ARG]...\n"
	"Hold the lock PATH while COMMAND runs.\n"
	"\n"
	"  -n, --nonblock               do not wait where the lock is held\n"
	"  -w, --wait=SECONDS           wait no longer than this; fractions are fine\n"
	"  -E, --conflict-exit-code=N   exit status when -n or -w did not get the lock (1)\n"
	"  -F, --no-fork                let COMMAND itself be the holder: its PID stands in\n"
	"                               PATH, which is left behind for the next to take over\n"
	"  -k, --kill                   end COMMAND when this process is killed or the lock\n"
	"                               is lost: SIGTERM, and SIGKILL 5 seconds later\n"
	"      --descendants            hold the lock until all that COMMAND has started has\n"
	"                               ended, too\n"
	"  -m, --mode=MODE              permissions of PATH, octal, less the umask (0644)\n"
	"      --for-ancestor           wait without limit even if the holder is an ancestor\n"
	"                               of this process, which may be waiting for it\n"
	"      --cluster-locks          PATH is on a network file system whose kernel locks\n"
	"                               are those of all hosts: what a dead host left behind\n"
	"                               is taken over\n"
	"  -v, --verbose                say what is waited for, and when the lock is had\n"
	"      --help                   print this and exit\n"
	"      --version                print the version and exit\n"
	"\n"
	"While COMMAND runs every signal is passed on to it, but SIGKILL and SIGSTOP.\n"
	"\n"
	"Exit status: COMMAND's; 126 when it could not be executed, 127 when it was not\n"
	"found; 125 when lockfile-pid itself failed.  When a signal kills COMMAND, this\n"
	"process dies by the same signal; for a shell that is 128+N.\n";

/* The first number of a descriptor that a shell script has to write with two digits. */
#define DESCRIPTOR_MIN 10

enum {
	OPTION_HELP = 256,
	OPTION_VERSION,
	OPTION_CLUSTER_LOCKS,
	OPTION_DESCENDANTS,
	OPTION_FOR_ANCESTOR
};

static const char letters[] = "+nw:E:Fkm:sv";
static const struct option long_options[] = {
	{ "nonblock", no_argument, NULL, 'n' },
	{ "wait", required_argument, NULL, 'w' },
	{ "conflict-exit-code", required_argument, NULL, 'E' },
	{ "no-fork", no_argument, NULL, 'F' },
	{ "kill", no_argument, NULL, 'k' },
	{ "mode", required_argument, NULL, 'm' },
	{ "descendants", no_argument, NULL, OPTION_DESCENDANTS },
	{ "for-ancestor", no_argument, NULL, OPTION_FOR_ANCESTOR },
	{ "cluster-locks", no_argument, NULL, OPTION_CLUSTER_LOCKS },
	{ "verbose", no_argument, NULL, 'v' },
	{ "help", no_argument, NULL, OPTION_HELP },
	{ "version", no_argument, NULL, OPTION_VERSION },
	{ NULL, 0, NULL, 0 },
};

struct run {
	int nonblock;
	int timed;
	struct patience patience;
	int descendants;
	int conflict_code;
	int no_fork;
	int kill;
	int has_mode;
	unsigned int mode;
	int cluster_locks;
	char **command;
	struct lockfile_pid *lock;
	struct signals signals;
};

static int bad_usage(const char *problem)
{
	return usage_error("run ", RUN_FAILED, problem ? "%s" : NULL, problem);
}

static int bad_argument(const char *what, const char *value)
{
	return usage_error("run ", RUN_FAILED, "invalid %s: '%s'", what, value);
}

/* One option with an argument; 0 or the exit status. */
static int take_argument(struct run *run, int option, const char *value)
{
	const char *what;
	int r;

	switch (option) {
	case 'w':
		what = "number of seconds";
		run->timed = 1;
		r = parse_seconds(value, &run->patience.timeout_ms);
		break;
	case 'E':
		what = "exit status";
		r = parse_exit_code(value, &run->conflict_code);
		break;
	default:
		what = "mode";
		run->has_mode = 1;
		r = parse_mode(value, &run->mode);
	}
	return r < 0 ? bad_argument(what, value) : 0;
}

static int take_option(struct run *run, int option)
{
	switch (option) {
	case 'n':
		run->nonblock = 1;
		return 0;
	case 'F':
		run->no_fork = 1;
		return 0;
	case 'k':
		run->kill = 1;
		return 0;
	case OPTION_CLUSTER_LOCKS:
		run->cluster_locks = 1;
		return 0;
	case OPTION_DESCENDANTS:
		run->descendants = 1;
		return 0;
	case OPTION_FOR_ANCESTOR:
		run->patience.for_ancestors = 1;
		return 0;
	case 's':
		return bad_usage(no_option_s);
	case 'v':
		run->patience.verbose = 1;
		return 0;
	case 'w':
	case 'E':
	case 'm':
		return take_argument(run, option, optarg);
	default:
		return bad_usage(NULL);
	}
}

/* What stands after the options: PATH [--] COMMAND [ARG]... */
static int take_operands(struct run *run, char **argv, const char **ret_path)
{
	if (!argv[0])
		return bad_usage("PATH is missing");
	run->command = argv + 1;
	if (run->command[0] && strcmp(run->command[0], "--") == 0)
		run->command++;
	if (!run->command[0])
		return bad_usage("COMMAND is missing");
	if (run->nonblock && run->timed)
		return bad_usage("-n and -w exclude each other");
	if (run->no_fork && run->kill)
		return bad_usage("-k and -F exclude each other: nobody is left to watch the lock");
	if (run->no_fork && run->descendants)
		return bad_usage("--descendants and -F exclude each other: nobody is left to wait");
	if (run->nonblock)
		run->patience.timeout_ms = 0;
	*ret_path = argv[0];
	return 0;
}

static int set_up(struct run *run, const char *path)
{
	int r = lockfile_pid_new(&run->lock, path);

	if (r < 0) {
		complain(path, r);
		return RUN_FAILED;
	}
	if (run->has_mode && lockfile_pid_set_mode(run->lock, run->mode) < 0)
		return usage_error("run ", RUN_FAILED, "invalid mode: '%04o'", run->mode);
	r = lockfile_pid_set_cluster_locks(run->lock, run->cluster_locks);
	return r < 0 ? RUN_FAILED : 0;
}

/* Of another process, whose options are over for us as well: getopt(3) starts again. */
char **run_find_command(int argc, char **argv)
{
	int option;

	optind = 0;
	opterr = 0;
	do
		option = getopt_long(argc, argv, letters, long_options, NULL);
	while (option != -1 && option != '?');
	if (option == '?' || argc - optind < 2)
		return NULL;
	argv += optind + 1;
	if (strcmp(argv[0], "--") == 0)
		argv++;
	return argv[0] ? argv : NULL;
}

static void report_conflict(const struct run *run, const char *rest)
{
	report_holder(lockfile_pid_path(run->lock), "held by ", lockfile_pid_holder(run->lock),
	              rest);
}

/* We end as we were told to, and release before what we have. */
static void die_of_signal(struct run *run, int sig)
{
	lockfile_pid_free(run->lock);
	run->lock = NULL;
	signals_die(sig);
}

/* After this signals are held. */
static int take_lock(struct run *run)
{
	long long start = now_ms();
	long long ms;
	int sig = 0;
	int r;

	signals_hold(&run->signals);
	r = wait_for_lock(run->lock, &run->patience, &run->signals, &sig);
	ms = now_ms() - start;
	if (sig)
		die_of_signal(run, sig);
	if (r == 0 && run->patience.verbose)
		fprintf(stderr, "locked %s after %lld.%03lld s\n", lockfile_pid_path(run->lock),
		        ms / 1000, ms % 1000);
	return r;
}

/*
 * A copy that stays open in the command, with a number that shells and scripts do not use:
 * "exec 3>file" would close the lock.  The limit for descriptors can be too low for that,
 * and then the library's own has to stay open.
 */
static int keep_descriptor(int fd)
{
	int flags;

	if (fcntl(fd, F_DUPFD, DESCRIPTOR_MIN) >= 0)
		return 0;
	flags = fcntl(fd, F_GETFD);
	if (flags < 0 || fcntl(fd, F_SETFD, flags & ~FD_CLOEXEC) < 0)
		return -errno;
	return 0;
}

/* The lock goes where its descriptor goes.  Returns only when that failed. */
static int become_command(const struct run *run)
{
	int fd = lockfile_pid_fileno(run->lock);
	int r = fd < 0 ? fd : keep_descriptor(fd);

	if (r < 0) {
		complain(lockfile_pid_path(run->lock), r);
		return RUN_FAILED;
	}
	signals_drop_own();
	signals_release(&run->signals);
	return command_become(run->command);
}

/* A loss that the command was ended for has been told. */
static void give_back(const struct run *run, int loss_is_known)
{
	int r = lockfile_pid_unlock(run->lock);

	if (r < 0 && !loss_is_known)
		complain(lockfile_pid_path(run->lock), r);
}

/*
 * We end as the command ended: a shell leaves its loop when Ctrl-C has killed what it ran,
 * but not because of status 130, and systemd counts SIGTERM, but not 143, as a clean end.
 */
static int end_as_command(struct run *run)
{
	struct end end = { .lost = 0 };
	const struct lockfile_pid *watched = run->kill ? run->lock : NULL;
	int r = command_run(run->command, &run->signals, watched, run->descendants, &end);

	give_back(run, end.lost);
	if (r < 0)
		return RUN_FAILED;
	if (end.signal)
		die_of_signal(run, end.signal);
	return end.status;
}

static int run_locked(struct run *run)
{
	int r = take_lock(run);

	if (r == LOCKFILE_PID_ERR_BUSY) {
		/* in scripts and cron jobs the exit status says it */
		if (report_kind(run->patience.verbose) != REPORT_NOTHING)
			report_conflict(run, "");
		return run->conflict_code;
	}
	if (r == -EDEADLK) {
		report_conflict(run, ", an ancestor: would wait for itself");
		return RUN_FAILED;
	}
	if (r < 0) {
		complain(lockfile_pid_path(run->lock), r);
		return RUN_FAILED;
	}
	return run->no_fork ? become_command(run) : end_as_command(run);
}

int run_main(int argc, char **argv)
{
	struct run run = { .patience = { .timeout_ms = FOR_EVER }, .conflict_code = RUN_CONFLICT };
	const char *path = NULL;
	int option, status;

	while ((option = getopt_long(argc, argv, letters, long_options, NULL)) != -1) {
		if (option == OPTION_HELP)
			return print_text(help) < 0 ? RUN_FAILED : 0;
		if (option == OPTION_VERSION)
			return print_version() < 0 ? RUN_FAILED : 0;
		status = take_option(&run, option);
		if (status != 0)
			return status;
	}
	status = take_operands(&run, argv + optind, &path);
	if (status == 0)
		status = set_up(&run, path);
	if (status == 0)
		status = run_locked(&run);
	lockfile_pid_free(run.lock);
	return status;
}
