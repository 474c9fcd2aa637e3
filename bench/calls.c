/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How many system calls does a lock cost that nobody else wants?
 *
 *	calls [-q] [DIRECTORY...]
 *
 * Those of all processes that take part together, by ptrace(2): the contender, the
 * programs that it starts, one that serves it.  Not what is the benchmark's own: a
 * child's before it executes a program, and the talk with a server.
 *
 * cycle-calls is a lock and an unlock, after some others of the same contender.
 * tool-calls is a command that is run under a lock, from start to finish, and with
 * "own" as its parameter only what the tool adds to its loader and to the command.
 */
#include <config.h>

#include "bench.h"
#include "command.h"
#include "contender.h"
#include "tracer.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define WARM_UP    3
#define CYCLES     20
#define FEW_CYCLES 3
#define COMMAND    "/bin/true"
#define OURS       "lockfile-pid"
#define NOT_FOUND  127

static int cycles(void)
{
	return quick ? FEW_CYCLES : CYCLES;
}

static struct trace traced(const char *who, void (*f)(void *), void *argument)
{
	struct trace seen;
	int r;

	fflush(stdout);
	r = trace(&seen, f, argument);
	if (r == -EPERM || r == -ENOSYS || r == -EIO) {
		fprintf(stderr, "calls: left out, processes cannot be traced here: %s\n",
		        strerror(-r));
		exit(EXIT_SUCCESS);
	}
	if (r < 0)
		fail(who, "ptrace", strerror(-r));
	return seen;
}

static bool has_ended_with(const struct trace *seen, int status)
{
	return WIFEXITED(seen->status) && WEXITSTATUS(seen->status) == status;
}

static void must_have_ended_well(const char *who, const struct trace *seen)
{
	if (!has_ended_with(seen, 0))
		fail(who, "its process", "did not end well");
}

struct cycle {
	const struct peer *peer;
	const char *path;
};

static void run_cycle(struct contender *contender)
{
	if (!contender_trylock(contender))
		fail(contender->path, contender->peer->name, "is busy");
	contender_unlock(contender);
}

static void run_cycles(void *argument)
{
	const struct cycle *cycle = argument;
	struct contender contender;

	contender_open(&contender, cycle->peer, cycle->path);
	for (int i = 0; i < WARM_UP; i++)
		run_cycle(&contender);
	for (int i = 0; i < cycles(); i++) {
		trace_mark();
		run_cycle(&contender);
	}
	trace_mark();
	contender_close(&contender);
}

/* A process that the contender had started before the first mark, and still has; 0: none. */
static int server_of(const struct trace *seen)
{
	int last = 0;

	for (size_t i = 0; i < seen->count; i++) {
		const struct call *call = &seen->calls[i];

		if (call->marks == 0 && call->process > last)
			last = call->process;
		if (call->marks > 0 && call->process > 0 && call->process <= last)
			return call->process;
	}
	return 0;
}

/* Is it the lock's, and not the benchmark's? */
static bool counts(const struct call *call, int server)
{
	if (call->process == 0)
		return server == 0;
	if (call->image == 0)
		return false;
	return call->process != server ||
	       !((call->number == SYS_read && call->arguments[0] == STDIN_FILENO) ||
	         (call->number == SYS_write && call->arguments[0] == STDOUT_FILENO));
}

static void measure_peer(const char *dir, const struct peer *peer)
{
	int calls[CYCLES + 2] = { 0 }, server;
	struct cycle cycle = { .peer = peer };
	char path[PATH_MAX];
	struct trace seen;

	bench_path(path, sizeof(path), dir, ".calls");
	cycle.path = path;
	seen = traced(peer->name, run_cycles, &cycle);
	must_have_ended_well(peer->name, &seen);
	server = server_of(&seen);
	for (size_t i = 0; i < seen.count; i++)
		calls[seen.calls[i].marks] += counts(&seen.calls[i], server);
	for (int i = 1; i <= cycles(); i++)
		print_sample("cycle-calls", dir, peer->name, "-", "calls", calls[i]);
	free(seen.calls);
	/* those that are never removed */
	unlink(path);
}

#define PATH_OF_LOCK "%"

static const struct tool {
	const char *name;
	const char *command[6];
} tools[] = {
	{ "true", { COMMAND } },
	{ "lockfile-pid run", { OURS, "run", PATH_OF_LOCK, COMMAND } },
	{ "flock(1)", { "flock", PATH_OF_LOCK, COMMAND } },
	{ "dotlockfile", { "dotlockfile", "-l", "-p", PATH_OF_LOCK, COMMAND } },
};

struct run {
	const struct tool *tool;
	const char *path;
};

static void become_tool(void *argument)
{
	const struct run *run = argument;
	char *argv[COUNT(run->tool->command) + 1] = { NULL };

	for (size_t i = 0; i < COUNT(run->tool->command) && run->tool->command[i]; i++) {
		const char *word = run->tool->command[i];

		if (strcmp(word, PATH_OF_LOCK) == 0)
			word = run->path;
		else if (strcmp(word, OURS) == 0)
			word = command_find_ours();
		argv[i] = strdup(word);
	}
	/* as cron has it: flock(1) reads more than 70 calls' worth of any other locale */
	setenv("LC_ALL", "C", 1);
	execvp(argv[0], argv);
	_exit(NOT_FOUND);
}

/* What found the tool is not the tool's. */
static void measure_tool(const char *dir, const struct tool *tool)
{
	struct run run = { .tool = tool };
	int all = 0, own = 0;
	char path[PATH_MAX];
	struct trace seen;

	bench_path(path, sizeof(path), dir, ".calls");
	run.path = path;
	seen = traced(tool->name, become_tool, &run);
	for (size_t i = 0; i < seen.count; i++) {
		all += seen.calls[i].image > 0;
		own += seen.calls[i].image == 1 && !seen.calls[i].by_loader;
	}
	free(seen.calls);
	unlink(path);
	if (has_ended_with(&seen, NOT_FOUND)) {
		fprintf(stderr, "%s: not here, and left out\n", tool->command[0]);
		return;
	}
	must_have_ended_well(tool->name, &seen);
	print_sample("tool-calls", dir, tool->name, "-", "calls", all);
	print_sample("tool-calls", dir, tool->name, "own", "calls", own);
}

static void measure(const char *dir)
{
	for (size_t i = 0; i < peer_count; i++)
		if (peer_is_here(peers[i]))
			measure_peer(dir, peers[i]);
	measure_peer(dir, &floor_peer);
	for (size_t i = 0; i < COUNT(tools); i++)
		measure_tool(dir, &tools[i]);
}

int main(int argc, char **argv)
{
	bench_main(argc, argv, measure);
	return EXIT_SUCCESS;
}
