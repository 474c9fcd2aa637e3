/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "proc.h"

#include "sys.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

/* /proc/PID/status has a line for all groups of a process, which may be 65536. */
#define PIECE_SIZE 512
/* What is looked at of a line: a name, and the start of the value. */
#define LINE_SIZE 48

int proc_read(const char *path, char *ret, size_t size)
{
	int fd = sys_openat(AT_FDCWD, path, O_RDONLY, 0), n = fd;

	if (fd >= 0) {
		n = sys_pread(fd, ret, size - 1, 0);
		sys_close(fd);
	}
	ret[n > 0 ? n : 0] = '\0';
	return n < 0 ? n : 0;
}

static void match_line(const char *line, struct proc_field *field)
{
	size_t length = strlen(field->name);

	if (strncmp(line, field->name, length) != 0 || strncmp(line + length, ":\t", 2) != 0)
		return;
	snprintf(field->value, sizeof(field->value), "%s", line + length + 2);
	field->is_found = true;
}

/* The start of a line, as far as it was read. */
struct line {
	char text[LINE_SIZE];
	size_t length;
};

/* Goes on in the line; returns how many fields were found where it ends. */
static size_t add_to_line(struct line *line, char c, struct proc_field *fields, size_t count)
{
	size_t found = 0;

	if (c != '\n') {
		if (line->length < LINE_SIZE - 1)
			line->text[line->length++] = c;
		return 0;
	}
	line->text[line->length] = '\0';
	line->length = 0;
	for (size_t i = 0; i < count; i++) {
		if (fields[i].is_found)
			continue;
		match_line(line->text, &fields[i]);
		found += fields[i].is_found;
	}
	return found;
}

static int find_lines(int fd, struct proc_field *fields, size_t count)
{
	char piece[PIECE_SIZE];
	struct line line = { .length = 0 };
	int64_t offset = 0;
	size_t found = 0;
	int n;

	do {
		n = sys_pread(fd, piece, sizeof(piece), offset);
		for (int i = 0; i < n; i++)
			found += add_to_line(&line, piece[i], fields, count);
		offset += n;
	} while (n > 0 && found < count);
	return n < 0 ? n : 0;
}

int proc_read_fields(const char *path, struct proc_field *fields, size_t count)
{
	int fd = sys_openat(AT_FDCWD, path, O_RDONLY, 0), r;

	for (size_t i = 0; i < count; i++) {
		fields[i].value[0] = '\0';
		fields[i].is_found = false;
	}
	if (fd < 0)
		return fd;
	r = find_lines(fd, fields, count);
	sys_close(fd);
	return r;
}
