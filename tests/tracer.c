/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "tracer.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROCESSES 256

/* A call that nobody makes: no group of processes has such a number. */
#define MARK_CALL SYS_getpgid
#define MARK      (-4711)

#define OPTIONS                                                                                   \
	(PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | \
	 PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL)
#define SYSTEM_CALL (SIGTRAP | 0x80)

struct process {
	pid_t pid; /* 0: it has ended */
	int image;
	bool is_early; /* it has stopped before its parent told of it, and has to wait */
	uint64_t loader, loader_end;
};

struct tracer {
	struct trace trace;
	size_t room;
	struct process processes[PROCESSES];
	int process_count;
	int alive;
	int marks;
};

void trace_mark(void)
{
	syscall(MARK_CALL, MARK);
}

static struct process *find(struct tracer *tracer, pid_t pid)
{
	for (int i = 0; i < tracer->process_count; i++)
		if (tracer->processes[i].pid == pid)
			return &tracer->processes[i];
	return NULL;
}

/* NULL: there are too many. */
static struct process *add(struct tracer *tracer, pid_t pid)
{
	struct process *process = &tracer->processes[tracer->process_count];

	if (tracer->process_count == PROCESSES)
		return NULL;
	tracer->process_count++;
	tracer->alive++;
	*process = (struct process){ .pid = pid };
	return process;
}

static int resume(pid_t pid, int signal)
{
	/* it may have been killed meanwhile */
	if (ptrace(PTRACE_SYSCALL, pid, NULL, (long)signal) < 0 && errno != ESRCH)
		return -errno;
	return 0;
}

/* Where a program's loader begins, by its auxiliary vector; 0: it has none. */
static uint64_t loader_of(pid_t pid)
{
	unsigned long pair[2] = { AT_NULL, 0 };
	char path[32];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/auxv", (int)pid);
	file = fopen(path, "re");
	while (file && fread(pair, sizeof(pair), 1, file) == 1 && pair[0] != AT_BASE)
		;
	if (file)
		fclose(file);
	return pair[0] == AT_BASE ? pair[1] : 0;
}

/* Of one file in one piece. */
static uint64_t end_of_mapping(pid_t pid, uint64_t start)
{
	char line[PATH_MAX + 128], path[32];
	uint64_t from, to, end = start;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "%" SCNx64 "-%" SCNx64, &from, &to) == 2 && from == end &&
		    strchr(line, '/'))
			end = to;
	if (file)
		fclose(file);
	return end;
}

static void note_exec(struct process *process)
{
	process->image++;
	process->loader = loader_of(process->pid);
	process->loader_end = process->loader ? end_of_mapping(process->pid, process->loader) : 0;
}

static int record(struct tracer *tracer, const struct call *call)
{
	struct trace *trace = &tracer->trace;

	if (trace->count == tracer->room) {
		size_t room = tracer->room ? 2 * tracer->room : 1024;
		struct call *calls = realloc(trace->calls, room * sizeof(*calls));

		if (!calls)
			return -ENOMEM;
		trace->calls = calls;
		tracer->room = room;
	}
	trace->calls[trace->count++] = *call;
	return 0;
}

/* At the beginning of a call, and at its end. */
static int note_call(struct tracer *tracer, const struct process *process)
{
	struct __ptrace_syscall_info info;
	struct call call = { .process = (int)(process - tracer->processes) };

	if (ptrace(PTRACE_GET_SYSCALL_INFO, process->pid, sizeof(info), &info) < 0)
		return errno == ESRCH ? 0 : -errno;
	if (info.op != PTRACE_SYSCALL_INFO_ENTRY)
		return 0;
	call.number = (long)info.entry.nr;
	memcpy(call.arguments, info.entry.args, sizeof(call.arguments));
	if (call.number == MARK_CALL && (int)call.arguments[0] == MARK) {
		tracer->marks++;
		return 0;
	}
	call.image = process->image;
	call.marks = tracer->marks;
	call.by_loader = info.instruction_pointer >= process->loader &&
	                 info.instruction_pointer < process->loader_end;
	return record(tracer, &call);
}

/* The child stops by itself before it does anything: now, or it has already. */
static int note_fork(struct tracer *tracer, const struct process *parent)
{
	unsigned long message = 0;
	struct process *child;
	int status;
	pid_t pid;

	if (ptrace(PTRACE_GETEVENTMSG, parent->pid, NULL, &message) < 0)
		return errno == ESRCH ? 0 : -errno;
	pid = (pid_t)message;
	child = find(tracer, pid);
	if (!child) {
		child = add(tracer, pid);
		if (!child || waitpid(pid, &status, __WALL) < 0 || !WIFSTOPPED(status))
			return -ECHILD;
	}
	child->is_early = false;
	child->image = parent->image;
	child->loader = parent->loader;
	child->loader_end = parent->loader_end;
	return resume(pid, 0);
}

static int note_stop(struct tracer *tracer, struct process *process, int status)
{
	int signal = WSTOPSIG(status), event = status >> 16, r = 0;

	if (process->is_early)
		return 0;
	if (signal == SYSTEM_CALL)
		r = note_call(tracer, process);
	else if (event == PTRACE_EVENT_EXEC)
		note_exec(process);
	else if (event != 0)
		r = note_fork(tracer, process);
	if (r < 0)
		return r;
	return resume(process->pid, signal == SYSTEM_CALL || event != 0 ? 0 : signal);
}

static void note_end(struct tracer *tracer, struct process *process, int status)
{
	process->pid = 0;
	tracer->alive--;
	if (process == tracer->processes)
		tracer->trace.status = status;
}

static int follow(struct tracer *tracer)
{
	struct process *process;
	int status, r = 0;
	pid_t pid;

	while (r == 0 && tracer->alive > 0) {
		pid = waitpid(-1, &status, __WALL);
		if (pid < 0)
			return -errno;
		process = find(tracer, pid);
		if (process && !WIFSTOPPED(status)) {
			note_end(tracer, process, status);
		} else if (process) {
			r = note_stop(tracer, process, status);
		} else if (WIFSTOPPED(status)) {
			process = add(tracer, pid);
			r = process ? 0 : -ECHILD;
			if (process)
				process->is_early = true;
		}
	}
	return r;
}

static void __attribute__((__noreturn__)) be_traced(void (*f)(void *), void *argument)
{
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
		_exit(errno);
	raise(SIGSTOP);
	f(argument);
	_exit(0);
}

static int start(struct tracer *tracer, pid_t pid)
{
	int status;

	if (pid < 0 || waitpid(pid, &status, __WALL) < 0)
		return -errno;
	if (!WIFSTOPPED(status))
		return WIFEXITED(status) ? -WEXITSTATUS(status) : -ECHILD;
	add(tracer, pid);
	if (ptrace(PTRACE_SETOPTIONS, pid, NULL, OPTIONS) < 0)
		return -errno;
	return resume(pid, 0);
}

static void kill_all(struct tracer *tracer)
{
	for (int i = 0; i < tracer->process_count; i++)
		if (tracer->processes[i].pid > 0) {
			kill(tracer->processes[i].pid, SIGKILL);
			waitpid(tracer->processes[i].pid, NULL, __WALL);
		}
}

int trace(struct trace *ret, void (*f)(void *), void *argument)
{
	struct tracer tracer = { .alive = 0 };
	pid_t pid = fork();
	int r;

	if (pid == 0)
		be_traced(f, argument);
	r = start(&tracer, pid);
	if (r == 0)
		r = follow(&tracer);
	if (r < 0) {
		kill_all(&tracer);
		free(tracer.trace.calls);
		tracer.trace.calls = NULL;
	}
	*ret = tracer.trace;
	return r;
}
