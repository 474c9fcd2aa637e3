/* SPDX-License-Identifier: BSD-2-Clause */
/* Which processes are above and below us, by proc(5). */
#include <config.h>

#include "tool.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* 0: none that we can see. */
static pid_t parent_of(pid_t pid)
{
	char path[32], text[512];
	const char *rest;
	long parent = 0;
	size_t length;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%ld/stat", (long)pid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	length = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[length] = '\0';
	/* the name before may have blanks and parentheses */
	rest = strrchr(text, ')');
	if (!rest || sscanf(rest, ") %*c %ld", &parent) != 1)
		return 0;
	return (pid_t)parent;
}

int is_ancestor(pid_t pid)
{
	pid_t each;

	for (each = getppid(); pid > 0 && each > 0; each = parent_of(each))
		if (each == pid)
			return 1;
	return 0;
}

/*
 * Calls @f for each child.  No PID of them can be reused meanwhile: that takes a wait(2) of
 * ours.  A kernel without CONFIG_PROC_CHILDREN lists none.
 */
void for_each_child(void (*f)(pid_t child, const void *argument), const void *argument)
{
	char path[64];
	long child;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/task/%ld/children", (long)getpid());
	file = fopen(path, "re");
	if (!file)
		return;
	while (fscanf(file, "%ld", &child) == 1)
		f((pid_t)child, argument);
	fclose(file);
}
