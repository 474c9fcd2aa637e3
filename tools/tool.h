/* SPDX-License-Identifier: BSD-2-Clause */
/* What the parts of the lockfile-pid tool share. */
#ifndef TOOL_H
#define TOOL_H

#include <signal.h>
#include <stddef.h>
#include <sys/types.h>

struct lockfile_pid;

/* Exit statuses of `run`, as env(1), timeout(1) and the shells use them. */
enum {
	RUN_CONFLICT = 1,
	RUN_FAILED = 125,
	RUN_NOT_EXECUTABLE = 126,
	RUN_NOT_FOUND = 127,
	RUN_SIGNALLED = 128 /* plus the signal's number */
};

/* Exit statuses of `check`: those of "status" in the LSB's init scripts. */
enum { CHECK_HELD = 0, CHECK_DEAD = 1, CHECK_INVALID = 2, CHECK_FREE = 3, CHECK_FAILED = 4 };

/* Exit statuses of `signal`: 1 and 3 say more of the lock than a failure does. */
enum { SIGNAL_SENT = 0, SIGNAL_NOBODY = 1, SIGNAL_STILL_HELD = 3, SIGNAL_FAILED = 4 };

/* Exit statuses of `lock` and `unlock`. */
enum { LOCK_TAKEN = 0, LOCK_CONFLICT = 1, LOCK_YOURS = 2, LOCK_FAILED = 125 };

/* The commands; they return the exit status.  argv[0] is the tool's name, for getopt(3). */
int run_main(int argc, char **argv);
int check_main(int argc, char **argv);
int signal_main(int argc, char **argv);
int lock_main(int argc, char **argv);
int unlock_main(int argc, char **argv);

/* tool.c: messages and time */
extern const char no_option_s[];
void complain(const char *subject, int error);
int usage_error(const char *command, int status, const char *format, ...)
	__attribute__((__format__(__printf__, 3, 4)));
int print_text(const char *text);
int print_version(void);
long long now_ms(void);

/* number.c: options' arguments, strictly; 0 or -EINVAL */
int parse_seconds(const char *text, long long *ret_ms);
int parse_exit_code(const char *text, int *ret_code);
int parse_mode(const char *text, unsigned int *ret_mode);
int parse_pid(const char *text, pid_t *ret_pid);
int parse_signal(const char *text, int *ret_signal);

/* holder.c: the holder in words */
#define HOLDER_TEXT_SIZE 256
const char *holder_text(const char *path, pid_t pid, int fd, size_t used,
                        char buffer[HOLDER_TEXT_SIZE]);
void report_holder(const char *path, const char *held, pid_t pid, const char *rest);
int is_unreadable(const char *path);

/* run.c: in a command line of it, from the word "run": the command; NULL: there is none */
char **run_find_command(int argc, char **argv);

/* signals.c: the signals that run is sent */
struct signals {
	sigset_t mask; /* as we were started with */
	struct sigaction child;
};
void signals_hold(struct signals *signals);
void signals_release(const struct signals *signals);
void signals_catch(void);
void signals_uncatch(void);
void signals_sleep(const struct signals *signals, int fd, int timeout_ms);
void signals_admit(const struct signals *signals);
void signals_shut_out(void);
int signals_caught(void);
int signals_next(siginfo_t *ret_info, long long timeout_ms);
void signals_drop_own(void);
void signals_stop(int sig);
void signals_die(int sig) __attribute__((__noreturn__));

/* wait.c: until the lock is ours */
#define FOR_EVER (-1LL)
enum report {
	REPORT_NOTHING,
	REPORT_LATER, /* a wait of less than a second is none to speak of */
	REPORT_AT_ONCE
};
enum report report_kind(int verbose);
struct patience {
	long long timeout_ms;
	int verbose;
	int for_ancestors; /* even without a limit */
};
int wait_for_lock(struct lockfile_pid *lock, const struct patience *patience,
                  const struct signals *signals, int *ret_signal);

/* family.c: processes above and below us */
int is_ancestor(pid_t pid);
void for_each_child(void (*f)(pid_t child, const void *argument), const void *argument);
int process_open(pid_t pid);
int process_has_ended(int process, int timeout_ms);
int process_has_really_ended(int process);
void close_all_but(int a, int b, int c);

/* watcher.c: who ends the command if somebody kills us */
pid_t start_watcher(pid_t command_pid);

/* command.c: the command that runs under the lock */
#define COMMAND_LOOK_MS  1000 /* how often a lock that must not be lost is looked at */
#define COMMAND_GRACE_MS 5000 /* from SIGTERM to SIGKILL when it is */
struct end {
	int signal; /* that killed the command; 0: it exited */
	int status; /* with which it exited */
	int lost;   /* the lock was lost, and the command was ended for that */
};
int command_become(char **argv);
int command_run(char **argv, const struct signals *signals, const struct lockfile_pid *watched,
                int descendants, struct end *ret_end);

#endif /* TOOL_H */
