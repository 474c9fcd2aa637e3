/* SPDX-License-Identifier: BSD-2-Clause */
/* The text of /proc/PID/stat, in which the process chooses its own name. */
#include <config.h>

#include "fuzz.h"
#include "record.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define START_SPACES    20 /* from the name to field 22 */
#define NAME_MAX_LENGTH 64 /* the longest that the kernel shows, a worker's */

/* Where field 22 begins, in one pass and from the left; NULL: nowhere. */
static const char *find_start(const char *stat)
{
	const char *start = NULL;
	int spaces = -1;

	for (; *stat; stat++) {
		if (*stat == ')') {
			spaces = 0;
			start = NULL;
		} else if (*stat == ' ' && spaces >= 0 && ++spaces == START_SPACES) {
			start = stat + 1;
		}
	}
	return start;
}

/* Up to a space, the end of the line or of the text: digits, and no more than fits. */
static uint64_t number_at(const char *text)
{
	size_t digits = strspn(text, "0123456789");
	uint64_t number;

	if (strcspn(text, " \n") != digits || digits == 0)
		return 0;
	errno = 0;
	number = strtoull(text, NULL, 10);
	return errno == 0 ? number : 0;
}

static void check_any(const char *stat)
{
	const char *field = find_start(stat);

	PROPERTY(record_parse_start(stat) == (field ? number_at(field) : 0));
}

/* Cut short it is the digits that are left. */
static void check_cut(char *line, size_t start_at, size_t length)
{
	line[length] = '\0';
	PROPERTY(record_parse_start(line) == (length > start_at ? number_at(line + start_at) : 0));
}

/* "%d (NAME) S", fields 4 to 21, START, and what later kernels append. */
static void check_line(const char *name, uint64_t other, uint64_t start)
{
	char line[1024];
	size_t named, at, length;

	named = length = (size_t)snprintf(line, sizeof(line), "%d (%.*s)", (int)(other % 4194304),
	                                  NAME_MAX_LENGTH, name);
	length += (size_t)snprintf(line + length, sizeof(line) - length, " S");
	for (int field = 4; field < 22; field++)
		length += (size_t)snprintf(line + length, sizeof(line) - length, " %" PRId64,
		                           (int64_t)other >> field);
	at = length + 1;
	length += (size_t)snprintf(line + length, sizeof(line) - length, " %" PRIu64 " %d 0 \n",
	                           start, -1);
	PROPERTY(length < sizeof(line));
	PROPERTY(record_parse_start(line) == start);
	/* in the start time, and anywhere after the name */
	check_cut(line, at, at + 1 + other % (length - at));
	check_cut(line, at, at);
	check_cut(line, at, named + start % (at - named));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size);
	uint64_t numbers[2] = { 0, 0 };

	memcpy(numbers, text, size < sizeof(numbers) ? size : sizeof(numbers));
	check_any(text);
	check_line(text, numbers[0], numbers[1]);
	check_line(size > sizeof(numbers) ? text + sizeof(numbers) : "", numbers[1], numbers[0]);
	free(text);
	return 0;
}
