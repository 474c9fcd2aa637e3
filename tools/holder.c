/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The holder in words: "PID 123 (rsync -a /home /backup)"
 *
 * What stands in parentheses is the command line of the process, or, if the process is
 * `lockfile-pid run`, of the command that it runs.  A process can choose what that says,
 * so it is for people only, and nothing in it reaches a terminal as an escape sequence.
 */
#include <config.h>

#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINE_MAX_BYTES 4096
#define WORDS_MAX      64

/* Columns of the command: in a log; and even on the narrowest terminal. */
#define COLUMNS_OF_LOG 200
#define COLUMNS_LEAST  16

/* What a file of /proc says of the process; its length. */
static size_t read_proc(pid_t pid, const char *file, char text[LINE_MAX_BYTES])
{
	char path[48];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%ld/%s", (long)pid, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, text, LINE_MAX_BYTES - 1);
	close(fd);
	while (n > 0 && (text[n - 1] == '\0' || text[n - 1] == '\n'))
		n--;
	text[n > 0 ? n : 0] = '\0';
	return n > 0 ? (size_t)n : 0;
}

static int is_tool(const char *word)
{
	const char *slash = strrchr(word, '/');

	return strcmp(slash ? slash + 1 : word, "lockfile-pid") == 0;
}

/* Of words that a null byte ends, the first of the command; that of all if it is not ours. */
static const char *find_command(char *text, size_t length)
{
	char *words[WORDS_MAX + 1];
	char **command = NULL;
	char *word;
	int count = 0;

	for (word = text; word < text + length && count < WORDS_MAX; word += strlen(word) + 1)
		words[count++] = word;
	words[count] = NULL;
	if (count > 2 && is_tool(words[0]) && strcmp(words[1], "run") == 0)
		command = run_find_command(count - 1, words + 1);
	return command ? *command : text;
}

/* Between words a null byte, which becomes a blank; of a name the last character. */
static void clean(char *text, size_t length)
{
	size_t i;

	for (i = 0; i < length; i++) {
		if (text[i] == '\0')
			text[i] = ' ';
		else if (text[i] < ' ' || text[i] > '~')
			text[i] = '?';
	}
}

/* A kernel thread, and a process that hides it, has no command line but a name. */
static const char *command_line(pid_t pid, char text[LINE_MAX_BYTES])
{
	size_t length = read_proc(pid, "cmdline", text);
	const char *command = text;

	if (length > 0)
		command = find_command(text, length);
	else
		length = read_proc(pid, "comm", text);
	clean(text, length);
	return command;
}

/* Of the terminal; of a log as many as leave the rest of the line its room. */
static size_t columns_of(int fd, size_t used)
{
	struct winsize size;

	if (ioctl(fd, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
		return COLUMNS_OF_LOG;
	return size.ws_col > used + COLUMNS_LEAST ? size.ws_col - used : COLUMNS_LEAST;
}

static void describe_process(pid_t pid, int fd, size_t used, char buffer[HOLDER_TEXT_SIZE])
{
	char text[LINE_MAX_BYTES];
	const char *command = command_line(pid, text);
	int length = snprintf(buffer, HOLDER_TEXT_SIZE, "PID %ld", (long)pid);
	const char *rest = "";
	size_t columns;

	if (!*command)
		return;
	columns = columns_of(fd, used + (size_t)length + strlen(" ()"));
	if (columns > COLUMNS_OF_LOG)
		columns = COLUMNS_OF_LOG;
	if (strlen(command) > columns) {
		columns -= strlen("...");
		rest = "...";
	}
	snprintf(buffer + length, HOLDER_TEXT_SIZE - (size_t)length, " (%.*s%s)", (int)columns,
	         command, rest);
}

/* Do we have no permission to read it? */
int is_unreadable(const char *path)
{
	return faccessat(AT_FDCWD, path, R_OK, AT_EACCESS) < 0 && errno == EACCES;
}

static const char *describe_file(const char *path)
{
	struct stat st;

	if (lstat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 0)
		return "a process that has not written its PID yet: the file is empty";
	if (is_unreadable(path))
		return "an unknown process: the file may not be read";
	return "another process";
}

/* For a line on @fd that has @used columns besides. */
const char *holder_text(const char *path, pid_t pid, int fd, size_t used,
                        char buffer[HOLDER_TEXT_SIZE])
{
	if (pid > 0)
		describe_process(pid, fd, used, buffer);
	else
		snprintf(buffer, HOLDER_TEXT_SIZE, "%s", describe_file(path));
	return buffer;
}

/* On standard error: that PATH is @held, as "held by ", and by whom. */
void report_holder(const char *path, const char *held, pid_t pid, const char *rest)
{
	size_t used = strlen("lockfile-pid: : ") + strlen(path) + strlen(held) + strlen(rest);
	char holder[HOLDER_TEXT_SIZE];

	fprintf(stderr, "lockfile-pid: %s: %s%s%s\n", path, held,
	        holder_text(path, pid, STDERR_FILENO, used, holder), rest);
}
