/* SPDX-License-Identifier: BSD-2-Clause */
/* The content of a lock file, whoever wrote it. */
#include <config.h>

#include "fuzz.h"
#include "record.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Is it one line, and short enough for more text after a blank? */
static int is_short_line(const char *content, size_t length)
{
	const char *newline = length > 0 ? memchr(content, '\n', length) : NULL;

	return length <= RECORD_DAMAGED_MAX && (!newline || newline + 1 == content + length) &&
	       !(length > 0 && memchr(content, '\0', length));
}

/*
 * The same by the C library: blanks, digits and blanks are the whole first line, or digits
 * and a blank the start of a short one.
 */
static pid_t reference(const char *content, size_t length)
{
	const char *newline = length > 0 ? memchr(content, '\n', length) : NULL;
	size_t size = newline ? (size_t)(newline - content) : length;
	char *line = fuzz_text((const uint8_t *)content, size);
	size_t begin = strspn(line, " \t\r");
	size_t digits = strspn(line + begin, "0123456789");
	size_t blanks = strspn(line + begin + digits, " \t\r");
	long pid = 0;

	/* a NUL ends all three before the line does */
	errno = 0;
	if (digits > 0 &&
	    (begin + digits + blanks == size || (blanks > 0 && is_short_line(content, length))))
		pid = strtol(line + begin, NULL, 10);
	free(line);
	return errno == 0 && pid >= 1 && pid <= RECORD_PID_MAX ? (pid_t)pid : 0;
}

/* Of what others append and prepend, a line and blanks change nothing. */
static void check_neighbours(const char *content, size_t length, pid_t pid)
{
	char *more = malloc(length + 4);
	int has_newline = length > 0 && memchr(content, '\n', length) != NULL;

	if (!more)
		abort();
	more[0] = '\t';
	if (length > 0)
		memcpy(more + 1, content, length);
	memcpy(more + 1 + length, "\n7", 2);
	PROPERTY(record_parse_content(more, length + 1) == reference(more, length + 1));
	PROPERTY(record_parse_content(more, length + 3) == reference(more, length + 3));
	/* a short line with more text in it is none with a line, or a NUL, after it */
	if (!is_short_line(content, length)) {
		PROPERTY(record_parse_content(more, length + 1) == pid);
		PROPERTY(record_parse_content(more, length + 3) == pid);
		memcpy(more + 1 + length, "\0\n", 2);
		PROPERTY(record_parse_content(more + 1, length + 2) == (has_newline ? pid : 0));
	}
	free(more);
}

static void check_own(pid_t pid)
{
	char content[RECORD_CONTENT_SIZE];
	size_t length = record_format_content(pid, content);

	PROPERTY(length < sizeof(content) && length == strlen(content));
	PROPERTY(content[length - 1] == '\n');
	PROPERTY(record_parse_content(content, length) == pid);
	PROPERTY(record_parse_content(content, length - 1) == pid);
	/* cut short it is another number, or none */
	for (; length > 0; length--, content[length] = '\0')
		PROPERTY(record_parse_content(content, length) == atoi(content));
	PROPERTY(record_parse_content(content, 0) == 0);
}

/* Any PID, the first and the last among them. */
static pid_t some_pid(const uint8_t *data, size_t size)
{
	uint32_t number = 0;

	memcpy(&number, data, size < sizeof(number) ? size : sizeof(number));
	return (pid_t)(1 + number % RECORD_PID_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *content = (const char *)data;
	pid_t pid = record_parse_content(content, size);

	PROPERTY(pid >= 0 && pid <= RECORD_PID_MAX);
	PROPERTY(pid == reference(content, size));
	check_neighbours(content, size, pid);
	if (pid > 0)
		check_own(pid);
	if (size > 0)
		check_own(some_pid(data, size));
	return 0;
}
