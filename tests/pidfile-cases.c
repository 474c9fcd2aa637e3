/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pidfile-cases CASE - what pidfile(3) promises, by lockfile-pid-pidfile.h
 *
 * In C89 and in C++, as users may compile that header; tests/check-pidfile.sh does both.
 * A case works in the current directory, which is empty, and leaves it empty.  It ends
 * with status 0, or says on standard error what was not so.
 */
#include <lockfile-pid-pidfile.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NAME   "x.pid"
#define NOBODY (-7)

#define REQUIRE(condition)                                                                     \
	do {                                                                                   \
		if (!(condition)) {                                                            \
			fprintf(stderr, "line %d: not %s (errno: %s)\n", __LINE__, #condition, \
			        strerror(errno));                                              \
			_exit(1);                                                              \
		}                                                                              \
	} while (0)

/* Whether the file has this PID and nothing else. */
static int names(const char *path, pid_t pid)
{
	char expected[32], content[64];
	FILE *file = fopen(path, "r");
	size_t n;

	if (!file)
		return 0;
	n = fread(content, 1, sizeof(content) - 1, file);
	fclose(file);
	content[n] = '\0';
	sprintf(expected, "%ld\n", (long)pid);
	return strcmp(content, expected) == 0;
}

static int is_there(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

static struct pidfh *open_file(void)
{
	struct pidfh *pfh = pidfile_open(NAME, 0600, NULL);

	REQUIRE(pfh != NULL);
	return pfh;
}

/* A second attempt fails, and names this process. */
static void require_held_by(pid_t pid)
{
	pid_t other = NOBODY;

	errno = 0;
	REQUIRE(pidfile_open(NAME, 0600, &other) == NULL);
	REQUIRE(errno == EEXIST);
	REQUIRE(other == pid);
	REQUIRE(pidfile_open(NAME, 0600, NULL) == NULL);
	REQUIRE(errno == EEXIST);
}

static void require_free(void)
{
	pid_t other = NOBODY;
	struct pidfh *pfh = pidfile_open(NAME, 0600, &other);

	REQUIRE(pfh != NULL);
	REQUIRE(other == -1);
	REQUIRE(pidfile_remove(pfh) == 0);
	REQUIRE(!is_there(NAME));
}

static void uncontested(void)
{
	struct pidfh *pfh = open_file();
	struct stat st;

	REQUIRE(pidfile_write(pfh) == 0);
	REQUIRE(names(NAME, getpid()));
	REQUIRE(stat(NAME, &st) == 0 && (st.st_mode & 0777) == 0600);
	REQUIRE(pidfile_remove(pfh) == 0);
	REQUIRE(!is_there(NAME));
}

static void held_by_itself(void)
{
	struct pidfh *pfh = open_file();

	REQUIRE(pidfile_write(pfh) == 0);
	require_held_by(getpid());
	REQUIRE(pidfile_remove(pfh) == 0);
	require_free();
}

static void write_twice(void)
{
	struct pidfh *pfh = open_file();

	REQUIRE(pidfile_write(pfh) == 0);
	REQUIRE(pidfile_write(pfh) == 0);
	REQUIRE(names(NAME, getpid()));
	REQUIRE(pidfile_remove(pfh) == 0);
}

/* Before anything was written the file is held as well. */
static void held_before_it_is_written(void)
{
	struct pidfh *pfh = open_file();

	require_held_by(getpid());
	REQUIRE(pidfile_remove(pfh) == 0);
	require_free();
}

/* A child holds it: one that opens it itself, or one that inherits it.  It ends by a signal. */
static pid_t start_child(struct pidfh *inherited)
{
	int ready[2];
	char byte;
	pid_t pid;

	REQUIRE(pipe(ready) == 0);
	pid = fork();
	REQUIRE(pid >= 0);
	if (pid == 0) {
		struct pidfh *pfh = inherited ? inherited : open_file();

		REQUIRE(pidfile_write(pfh) == 0);
		REQUIRE(write(ready[1], "", 1) == 1);
		for (;;)
			pause();
	}
	REQUIRE(close(ready[1]) == 0);
	REQUIRE(read(ready[0], &byte, 1) == 1);
	REQUIRE(close(ready[0]) == 0);
	return pid;
}

static void end_child(pid_t pid, int signo)
{
	int status;

	REQUIRE(kill(pid, signo) == 0);
	REQUIRE(waitpid(pid, &status, 0) == pid);
	REQUIRE(WIFSIGNALED(status) && WTERMSIG(status) == signo);
}

static void held_by_another(void)
{
	pid_t child = start_child(NULL);

	require_held_by(child);
	REQUIRE(names(NAME, child));
	end_child(child, SIGTERM);
	require_free();
}

static void inherited(void)
{
	struct pidfh *pfh = open_file();
	pid_t child = start_child(pfh);

	REQUIRE(pidfile_close(pfh) == 0);
	require_held_by(child);
	REQUIRE(names(NAME, child));
	end_child(child, SIGTERM);
	require_free();
}

/* The parent has given it away: it cannot remove the file of its child. */
static void removed_by_another(void)
{
	struct pidfh *pfh = open_file();
	pid_t child = start_child(pfh);

	REQUIRE(pidfile_remove(pfh) == -1);
	REQUIRE(errno == EINVAL);
	REQUIRE(names(NAME, child));
	require_held_by(child);
	end_child(child, SIGTERM);
	require_free();
}

static void relative_path(void)
{
	char dir[4096];
	struct pidfh *pfh;

	REQUIRE(getcwd(dir, sizeof(dir)) != NULL);
	pfh = open_file();
	REQUIRE(chdir("/") == 0);
	REQUIRE(pidfile_write(pfh) == 0);
	REQUIRE(pidfile_remove(pfh) == 0);
	REQUIRE(chdir(dir) == 0);
	REQUIRE(!is_there(NAME));
}

/* SIGKILL leaves the file, and the next instance starts all the same. */
static void killed_and_started_again(void)
{
	pid_t child = start_child(NULL);
	struct pidfh *pfh;

	end_child(child, SIGKILL);
	REQUIRE(names(NAME, child));
	pfh = open_file();
	REQUIRE(pidfile_write(pfh) == 0);
	REQUIRE(names(NAME, getpid()));
	REQUIRE(pidfile_remove(pfh) == 0);
}

/* daemon(3) between open and write: it changes the directory, too. */
static void goes_to_background(void)
{
	int word[2], end[2];
	struct pidfh *pfh;
	pid_t first, pid;
	int status;

	REQUIRE(pipe(word) == 0 && pipe(end) == 0);
	first = fork();
	REQUIRE(first >= 0);
	if (first == 0) {
		char byte;

		close(end[1]);
		pfh = open_file();
		REQUIRE(daemon(0, 0) == 0);
		REQUIRE(pidfile_write(pfh) == 0);
		pid = getpid();
		REQUIRE(write(word[1], &pid, sizeof(pid)) == (ssize_t)sizeof(pid));
		REQUIRE(read(end[0], &byte, 1) == 0);
		REQUIRE(pidfile_remove(pfh) == 0);
		_exit(0);
	}
	close(word[1]);
	REQUIRE(waitpid(first, &status, 0) == first && status == 0);
	REQUIRE(read(word[0], &pid, sizeof(pid)) == (ssize_t)sizeof(pid));
	REQUIRE(pid != first);
	REQUIRE(names(NAME, pid));
	require_held_by(pid);
	REQUIRE(pidfile_signal(NAME, 0, NULL) == 0);
	/* it ends when its pipe does, and is gone when the other does */
	close(end[1]);
	REQUIRE(read(word[0], &pid, sizeof(pid)) == 0);
	REQUIRE(!is_there(NAME));
	require_free();
}

/* Unlike that of FreeBSD the file goes with a handle that is closed. */
static void closed(void)
{
	struct pidfh *pfh = open_file();

	REQUIRE(pidfile_write(pfh) == 0);
	REQUIRE(pidfile_close(pfh) == 0);
	REQUIRE(!is_there(NAME));
}

static void descriptor(void)
{
	struct pidfh *pfh = open_file();
	struct stat by_fd, by_name;

	REQUIRE(pidfile_write(pfh) == 0);
	REQUIRE(fstat(pidfile_fileno(pfh), &by_fd) == 0);
	REQUIRE(stat(NAME, &by_name) == 0);
	REQUIRE(by_fd.st_ino == by_name.st_ino);
	REQUIRE(fchmod(pidfile_fileno(pfh), 0640) == 0);
	REQUIRE(unlink(NAME) == 0);
	REQUIRE(pidfile_write(pfh) == -1 && errno == EINVAL);
	REQUIRE(pidfile_fileno(pfh) == -1 && errno == EBADF);
	REQUIRE(pidfile_remove(pfh) == -1 && errno == EINVAL);
}

static void signalled(void)
{
	pid_t child, pid = NOBODY;
	int status;

	REQUIRE(pidfile_signal(NAME, SIGTERM, &pid) == -1 && errno == ENOENT);
	REQUIRE(pid == NOBODY);
	child = start_child(NULL);
	REQUIRE(pidfile_signal(NAME, 0, NULL) == 0);
	REQUIRE(pidfile_signal(NAME, 100000, NULL) == -1 && errno == EINVAL);
	REQUIRE(pidfile_signal(NAME, SIGTERM, &pid) == 0);
	REQUIRE(pid == child);
	REQUIRE(waitpid(child, &status, 0) == child);
	REQUIRE(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	REQUIRE(pidfile_signal(NAME, SIGTERM, NULL) == -1 && errno == ESRCH);
	REQUIRE(unlink(NAME) == 0);
}

static void errors(void)
{
	REQUIRE(pidfile_open(NAME, 0400, NULL) == NULL && errno == EINVAL);
	REQUIRE(pidfile_open(NAME, 04600, NULL) == NULL && errno == EINVAL);
	REQUIRE(pidfile_open("", 0600, NULL) == NULL && errno == EINVAL);
	REQUIRE(pidfile_open("x.queue", 0600, NULL) == NULL && errno == EINVAL);
	REQUIRE(pidfile_open("no/such/dir/" NAME, 0600, NULL) == NULL && errno == ENOENT);
	REQUIRE(pidfile_signal("no/such/dir/" NAME, 0, NULL) == -1 && errno == ENOENT);
	REQUIRE(pidfile_write(NULL) == -1 && errno == EINVAL);
	REQUIRE(pidfile_remove(NULL) == -1 && errno == EINVAL);
	REQUIRE(pidfile_close(NULL) == -1 && errno == EINVAL);
	REQUIRE(pidfile_fileno(NULL) == -1 && errno == EINVAL);
	/* a symbolic link is no PID file, and is left alone */
	REQUIRE(symlink("target", NAME) == 0);
	REQUIRE(pidfile_open(NAME, 0600, NULL) == NULL && errno == EINVAL);
	REQUIRE(!is_there("target"));
	REQUIRE(unlink(NAME) == 0);
}

/* An empty file may be that of somebody who is about to write it. */
static void held_by_somebody_unknown(void)
{
	FILE *file = fopen(NAME, "w");
	pid_t other = NOBODY;

	REQUIRE(file != NULL && fclose(file) == 0);
	REQUIRE(pidfile_open(NAME, 0600, &other) == NULL && errno == EEXIST);
	REQUIRE(other == -1);
	REQUIRE(unlink(NAME) == 0);
}

/* A supervisor whose second child writes: that is not possible, and the first keeps it. */
static void written_by_two_children(void)
{
	struct pidfh *pfh = open_file();
	pid_t first = start_child(pfh), second;
	int status;

	second = fork();
	REQUIRE(second >= 0);
	if (second == 0) {
		REQUIRE(pidfile_write(pfh) == -1 && errno == EINVAL);
		_exit(0);
	}
	REQUIRE(waitpid(second, &status, 0) == second && status == 0);
	require_held_by(first);
	end_child(first, SIGTERM);
	REQUIRE(pidfile_close(pfh) == 0);
	require_free();
}

/* No path: that of the program.  Needs permission for /var/run. */
static void default_path(void)
{
	char path[512];
	struct pidfh *pfh;

	sprintf(path, "/var/run/%.200s.pid", program_invocation_short_name);
	pfh = pidfile_open(NULL, 0600, NULL);
	if (!pfh && (errno == EACCES || errno == EROFS))
		_exit(77);
	REQUIRE(pfh != NULL);
	REQUIRE(pidfile_write(pfh) == 0);
	REQUIRE(names(path, getpid()));
	REQUIRE(pidfile_signal(NULL, 0, NULL) == 0);
	REQUIRE(pidfile_remove(pfh) == 0);
	REQUIRE(!is_there(path));
}

static const struct {
	const char *name;
	void (*run)(void);
} cases[] = { { "uncontested", uncontested },
	      { "held_by_itself", held_by_itself },
	      { "held_before_it_is_written", held_before_it_is_written },
	      { "held_by_another", held_by_another },
	      { "held_by_somebody_unknown", held_by_somebody_unknown },
	      { "inherited", inherited },
	      { "relative_path", relative_path },
	      { "write_twice", write_twice },
	      { "removed_by_another", removed_by_another },
	      { "killed_and_started_again", killed_and_started_again },
	      { "goes_to_background", goes_to_background },
	      { "closed", closed },
	      { "descriptor", descriptor },
	      { "signalled", signalled },
	      { "errors", errors },
	      { "written_by_two_children", written_by_two_children },
	      { "default_path", default_path } };
#define COUNT (sizeof(cases) / sizeof(cases[0]))

int main(int argc, char **argv)
{
	size_t i;

	/* a case that hangs ends */
	alarm(60);
	for (i = 0; argc == 1 && i < COUNT; i++)
		puts(cases[i].name);
	for (i = 0; argc == 2 && i < COUNT; i++) {
		if (strcmp(argv[1], cases[i].name) == 0) {
			cases[i].run();
			return 0;
		}
	}
	return argc == 2;
}
