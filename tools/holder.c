/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "tool.h"

#include <stdio.h>
#include <string.h>

/* As the kernel has it: 15 bytes at most, which the process itself may choose. */
static size_t process_name(pid_t pid, char *name, size_t size)
{
	char path[32];
	size_t i, length;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%ld/comm", (long)pid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	length = fread(name, 1, size - 1, file);
	fclose(file);
	if (length > 0 && name[length - 1] == '\n')
		length--;
	name[length] = '\0';
	/* nothing that a process calls itself may reach the terminal as an escape sequence */
	for (i = 0; i < length; i++)
		if (name[i] < ' ' || name[i] > '~')
			name[i] = '?';
	return length;
}

const char *holder_text(pid_t pid, char buffer[HOLDER_TEXT_SIZE])
{
	char name[32];

	if (pid <= 0)
		snprintf(buffer, HOLDER_TEXT_SIZE, "another process");
	else if (process_name(pid, name, sizeof(name)) > 0)
		snprintf(buffer, HOLDER_TEXT_SIZE, "PID %ld (%s)", (long)pid, name);
	else
		snprintf(buffer, HOLDER_TEXT_SIZE, "PID %ld", (long)pid);
	return buffer;
}
