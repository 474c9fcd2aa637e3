/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The command line of the tool, from its main() on.  The first byte says what
 * goes wrong (stage.h), and the lines after it are the arguments.
 */
#include <config.h>

#include "fuzz.h"
#include "reading.h"
#include "stage.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#define ARGUMENTS_MAX 64
#define SECONDS_MAX   100000000000000LL /* that many, at least, are told apart */

/* The tool's, renamed by the compiler's command line. */
int tool_main(int argc, char **argv);

/* Long waits may be cut, not made short; what is no number writes nothing. */
static void check_seconds(const char *text)
{
	long long expected, ms = -7;
	int r = parse_seconds(text, &ms);

	PROPERTY(r == (read_seconds(text, &expected) ? 0 : -EINVAL));
	if (r < 0)
		PROPERTY(ms == -7);
	else if (expected < SECONDS_MAX * 1000)
		PROPERTY(ms == expected);
	else
		PROPERTY(ms >= SECONDS_MAX * 1000 && ms <= expected && ms <= SECONDS_MAX * 10000);
}

static void check_digits(const char *text)
{
	unsigned int mode = 99999, expected_mode = 99999;
	int code = -7, expected_code = -7;

	PROPERTY(parse_mode(text, &mode) == (read_octal(text, &expected_mode) ? 0 : -EINVAL));
	PROPERTY(mode == expected_mode);
	PROPERTY(parse_exit_code(text, &code) == (read_status(text, &expected_code) ? 0 : -EINVAL));
	PROPERTY(code == expected_code);
}

/* A lock that is had, or not. */
static int lock_status(const struct reading *reading)
{
	if (stage.wrong & STAGE_HELD)
		return reading->conflict_code;
	if (stage.wrong & STAGE_WAIT_FAILS)
		return RUN_FAILED;
	if (reading->no_fork && stage.wrong & STAGE_NO_DESCRIPTOR)
		return RUN_FAILED;
	PROPERTY(stage.command == reading->command);
	PROPERTY(stage.became == reading->no_fork);
	PROPERTY(stage.commands == !reading->no_fork && stage.unlocks == stage.commands);
	PROPERTY(stage.watched == reading->kill);
	PROPERTY(stage.descendants == reading->descendants);
	return STAGE_STATUS;
}

static void check_wait(const struct reading *reading)
{
	long long timeout_ms = reading->nonblock ? 0 : reading->timeout_ms;

	if (timeout_ms < SECONDS_MAX * 1000)
		PROPERTY(stage.patience.timeout_ms == timeout_ms);
	else
		PROPERTY(stage.patience.timeout_ms >= SECONDS_MAX * 1000);
	PROPERTY(stage.patience.verbose == reading->verbose);
	PROPERTY(stage.patience.for_ancestors == reading->for_ancestor);
}

static int run_status(const struct reading *reading)
{
	PROPERTY(stage.path == *reading->path);
	if (stage.wrong & STAGE_NEW_FAILS)
		return RUN_FAILED;
	PROPERTY(stage.modes == reading->has_mode);
	PROPERTY(!reading->has_mode || stage.mode == reading->mode);
	if (reading->has_mode && stage.wrong & STAGE_MODE_FAILS)
		return RUN_FAILED;
	PROPERTY(stage.cluster_locks == reading->cluster_locks);
	PROPERTY(stage.waits == 1);
	check_wait(reading);
	return lock_status(reading);
}

static int check_status(const struct reading *reading)
{
	PROPERTY(stage.path == *reading->path && stage.waits == 0);
	if (stage.wrong & STAGE_NEW_FAILS)
		return CHECK_FAILED;
	PROPERTY(stage.checks == 1 && stage.cluster_locks == reading->cluster_locks);
	return stage.wrong & STAGE_HELD ? CHECK_HELD : CHECK_FREE;
}

/* Without an action nothing was asked of the library. */
static int idle_status(const struct reading *reading, int wrong)
{
	PROPERTY(!stage.path && !stage.command);
	return reading->kind == READING_ANSWER ? 0 : wrong;
}

static int expected_status(char **argv)
{
	struct reading reading = { .kind = READING_WRONG };
	const char *command = argv[0] ? argv[0] : "";

	if (strcmp(command, "run") == 0) {
		read_run(argv + 1, &reading);
		if (reading.kind == READING_ACTION)
			return run_status(&reading);
		return idle_status(&reading, RUN_FAILED);
	}
	if (strcmp(command, "check") == 0) {
		read_check(argv + 1, &reading);
		if (reading.kind == READING_ACTION)
			return check_status(&reading);
		return idle_status(&reading, CHECK_FAILED);
	}
	if (strcmp(command, "--help") == 0 || strcmp(command, "--version") == 0)
		reading.kind = READING_ANSWER;
	return idle_status(&reading, RUN_FAILED);
}

/* The lines, in place. */
static int split(char *text, char **argv)
{
	int argc = 0;

	while (*text && argc < ARGUMENTS_MAX) {
		argv[argc++] = text;
		text += strcspn(text, "\n");
		if (*text)
			*text++ = '\0';
	}
	argv[argc] = NULL;
	return argc;
}

/* getopt(3) reorders what it is given, to the same strings in another order. */
static void check_command_line(int argc, char **arguments)
{
	char tool[] = "lockfile-pid";
	char *argv[ARGUMENTS_MAX + 2] = { tool };
	char **command = NULL;
	int status;

	memcpy(argv + 1, arguments, sizeof(*argv) * (size_t)(argc + 1));
	optind = 0; /* begins anew */
	status = tool_main(argc + 1, argv);
	if (stage.command) {
		command = arguments + (stage.command - (argv + 1));
		PROPERTY(memcmp(stage.command, command,
		                sizeof(*command) * (size_t)(arguments + argc + 1 - command)) == 0);
	}
	stage.command = command;
	PROPERTY(status == expected_status(arguments));
	PROPERTY(stage_is_empty());
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size);
	char *arguments[ARGUMENTS_MAX + 1];
	int argc = size > 0 ? split(text + 1, arguments) : 0;

	stage = (struct stage){ .wrong = size > 0 ? data[0] : 0 };
	for (int i = 0; i < argc; i++) {
		check_seconds(arguments[i]);
		check_digits(arguments[i]);
	}
	if (size > 0)
		check_command_line(argc, arguments);
	free(text);
	return 0;
}
