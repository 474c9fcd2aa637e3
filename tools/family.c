/* SPDX-License-Identifier: BSD-2-Clause */
/* Other processes: those above and below us, by proc(5); any, by pidfds. */
#include <config.h>

#include "tool.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define CONFIRM_MS 50
#define FDS_MAX    65536 /* without close_range(2) */

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

int process_open(pid_t pid)
{
#ifdef SYS_pidfd_open
	return (int)syscall(SYS_pidfd_open, pid, 0);
#else
	(void)pid;
	errno = ENOSYS;
	return -1;
#endif
}

int process_has_ended(int process, int timeout_ms)
{
	struct pollfd fd = { .fd = process, .events = POLLIN };

	return poll(&fd, 1, timeout_ms) > 0;
}

/*
 * The kernel can tell the end of a process that executes a program from another thread than
 * its first; a moment later it does not any more.
 */
int process_has_really_ended(int process)
{
	const struct timespec pause = { .tv_nsec = CONFIRM_MS * 1000000L };

	if (!process_has_ended(process, 0))
		return 0;
	nanosleep(&pause, NULL);
	return process_has_ended(process, 0);
}

static void close_range_of(unsigned int first, unsigned int last)
{
	unsigned int fd;

#ifdef SYS_close_range
	if (syscall(SYS_close_range, first, last, 0) == 0)
		return;
#endif
	for (fd = first; fd <= last && fd < FDS_MAX; fd++)
		close((int)fd);
}

/* The next number from @from on that is to stay open; ~0: there is none. */
static unsigned int next_kept(unsigned int from, const int kept[3])
{
	unsigned int next = ~0U;
	int i;

	for (i = 0; i < 3; i++)
		if (kept[i] >= 0 && (unsigned int)kept[i] >= from && (unsigned int)kept[i] < next)
			next = (unsigned int)kept[i];
	return next;
}

/* Pipes end when nobody has them open any more.  -1 keeps nothing. */
void close_all_but(int a, int b, int c)
{
	const int kept[3] = { a, b, c };
	unsigned int from = 0, next;

	do {
		next = next_kept(from, kept);
		if (next > from)
			close_range_of(from, next == ~0U ? next : next - 1);
		from = next + 1;
	} while (next != ~0U);
}
