/* SPDX-License-Identifier: BSD-2-Clause */
/* Of Python: an interpreter beside the contender, told by pipes what to do. */
#include <config.h>

#include "bench.h"
#include "command.h"
#include "contender.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Of the path that configure knows, since a benchmark is run from anywhere. */
#define SCRIPT BENCH_SOURCES "/filelock.py"

struct interpreter {
	pid_t pid;
	int orders, answers;
};

static const char *python;

static bool has_filelock(void)
{
	return command_ask((const char *const[]){ python, "-I", "-c", "import filelock", NULL }) ==
	       0;
}

static bool is_here(void)
{
	static bool looked, here;

	if (!looked) {
		looked = true;
		python = command_find("python3");
		here = python && has_filelock();
	}
	return here;
}

static bool answer(const struct interpreter *interpreter)
{
	char word[8] = "";

	if (read(interpreter->answers, word, sizeof(word) - 1) <= 0)
		fail("filelock", "answer", "none");
	return strcmp(word, "yes\n") == 0;
}

static bool obey(const struct contender *contender, const char *order)
{
	const struct interpreter *interpreter = contender->handle;

	if (write(interpreter->orders, order, strlen(order)) < 0)
		fail("filelock", order, strerror(errno));
	return answer(interpreter);
}

static void start_interpreter(struct contender *contender)
{
	const char *const argv[] = { python, "-I", SCRIPT, contender->path, NULL };
	struct interpreter *interpreter = malloc(sizeof(*interpreter));
	int orders[2], answers[2];

	if (!interpreter || pipe2(orders, O_CLOEXEC) < 0 || pipe2(answers, O_CLOEXEC) < 0)
		fail("filelock", "start", strerror(errno));
	interpreter->pid = command_start(argv, &(struct streams){ orders[0], answers[1], -1 });
	close(orders[0]);
	close(answers[1]);
	interpreter->orders = orders[1];
	interpreter->answers = answers[0];
	contender->handle = interpreter;
	answer(interpreter);
}

/* By a signal: a worker that was started meanwhile shares the pipe, which does not end. */
static void end_interpreter(struct contender *contender)
{
	struct interpreter *interpreter = contender->handle;

	kill(interpreter->pid, SIGKILL);
	waitpid(interpreter->pid, NULL, 0);
	close(interpreter->orders);
	close(interpreter->answers);
	free(interpreter);
}

static void lock(struct contender *contender)
{
	obey(contender, "lock\n");
}

static bool trylock(struct contender *contender)
{
	return obey(contender, "trylock\n");
}

static void unlock(struct contender *contender)
{
	obey(contender, "unlock\n");
}

const struct peer filelock_peer = {
	.name = "python3-filelock",
	.waits = true,
	.looks_s = 0.05,
	.is_here = is_here,
	.open = start_interpreter,
	.close = end_interpreter,
	.lock = lock,
	.trylock = trylock,
	.unlock = unlock,
};
