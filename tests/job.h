/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * job - the tool as a user runs it: a process, its three streams, and how it
 * ended
 *
 * The tool's path is in the environment's TOOL.  Whatever does not come is
 * waited for until the test's time is over.
 */
#ifndef JOB_H
#define JOB_H

#include <stdbool.h>
#include <sys/types.h>

#define LOCK "lock.pid"

/* A command that says "ready" and runs until its standard input ends. */
#define HOLD          "sh", "-c", "echo ready; cat"
#define HOLD_IN_WORDS "sh -c echo ready; cat"
/* The same until a signal comes. */
#define SLEEP "sh", "-c", "echo ready; exec sleep 60"

struct stream {
	int fd;
	size_t length;
	size_t seen; /* how far job_await() has come */
	char text[8192];
};

struct job {
	void (*before_exec)(void); /* in the new process; may be NULL */
	pid_t pid;
	int signal;  /* that killed it, after job_end(); 0: it exited */
	bool dumped; /* and it left a core */
	int in;
	struct stream out;
	struct stream err;
};

/* The arguments of the tool, as strings. */
#define START(job, ...) job_start((job), (const char *const[]){ __VA_ARGS__, NULL })
/* From start to end with no input; the exit status, as a shell has it. */
#define RUN(...)         job_run(NULL, (const char *const[]){ __VA_ARGS__, NULL })
#define RUN_IN(job, ...) job_run((job), (const char *const[]){ __VA_ARGS__, NULL })

/* A command that says which signals it is sent, see tests/helper-signals.c. */
const char *listener(void);

void job_start(struct job *job, const char *const *arguments);
void job_say(const struct job *job, const char *text);
int job_end(struct job *job);
int job_run(struct job *job, const char *const *arguments);

void stream_await(struct stream *stream, const char *text);
void stream_drain(struct stream *stream);

void assert_says(const struct stream *stream, const char *text);

/* Runs the tool, which holds LOCK when this returns and until job_end(). */
void start_holder(struct job *job);
void write_pid(const char *name, pid_t pid);
/* The command line of a process, with blanks between the words. */
const char *command_of(pid_t pid);
/* "waiting for PATH: held by PID 123 (command)" */
const char *waiting_for(pid_t pid, const char *command);

/* A process that lives until it is ended (kill_child()), or its parent is. */
pid_t start_bystander(void);

/*
 * Stopping the tool in the middle: its standard error is full (for
 * before_exec), so that it blocks in its next message until it is read.
 */
void standard_error_is_full(void);
void await_message(const struct job *job);

/* A pseudo-terminal; what is written to it can be read from its master. */
extern struct stream master;
void open_terminal(void);
/* For before_exec.  The second makes the tool the leader of the terminal's session. */
void standard_error_is_the_terminal(void);
void everything_is_the_terminal(void);
/* Root, too, may read only what the mode of a file allows. */
void lose_capabilities(void);
/* The tool is process 1 of a PID namespace; needs root. */
void be_process_1(void);
/* The tool is the foreground job of a shell, which says "stopped" and continues it then. */
void job_of_a_shell(void);

#endif
