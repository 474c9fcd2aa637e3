/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "command.h"

#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* What cannot be executed ends like this in a shell, too. */
#define NOT_EXECUTED 127

/* What confstr(3) has: not what somebody has put before it. */
static const char *standard_path(void)
{
	static char path[PATH_MAX];

	if (confstr(_CS_PATH, path, sizeof(path)) > sizeof(path))
		fail("standard path", "confstr", "too long");
	return path;
}

const char *command_find(const char *name)
{
	char dirs[PATH_MAX], found[PATH_MAX];
	char *rest = dirs, *dir;

	snprintf(dirs, sizeof(dirs), "%s", standard_path());
	while ((dir = strsep(&rest, ":"))) {
		if ((size_t)snprintf(found, sizeof(found), "%s/%s", dir, name) < sizeof(found) &&
		    access(found, X_OK) == 0)
			return strdup(found);
	}
	return NULL;
}

/* Beside this program's directory; the tests have one without the build's wrapper. */
static const char *tool_of_build(void)
{
	static char path[PATH_MAX + sizeof("/../tests/lockfile-pid")];
	ssize_t length = readlink("/proc/self/exe", path, PATH_MAX - 1);

	if (length < 0)
		fail("/proc/self/exe", "readlink", strerror(errno));
	path[length] = '\0';
	strcpy(strrchr(path, '/'), "/../tests/lockfile-pid");
	return path;
}

const char *command_find_ours(void)
{
	const char *path = getenv("LOCKFILE_PID");

	if (!path)
		path = tool_of_build();
	if (access(path, X_OK) < 0)
		fail(path, "tool", strerror(errno));
	return path;
}

static const char *const *environment(void)
{
	static char path[PATH_MAX + sizeof("PATH=")];
	static const char *const variables[] = { path, NULL };

	if (!path[0])
		snprintf(path, sizeof(path), "PATH=%s", standard_path());
	return variables;
}

static void redirect(int from, int to)
{
	if (from >= 0)
		dup2(from, to);
}

/*
 * As posix_spawn(3) does it, which has no place for prctl(2): what waits for ever would
 * survive the waiter.
 */
pid_t command_start(const char *const *argv, const struct streams *streams)
{
	const char *const *envp = environment();
	pid_t command = vfork();

	if (command < 0)
		fail(argv[0], "vfork", strerror(errno));
	if (command > 0)
		return command;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	redirect(streams->in, STDIN_FILENO);
	redirect(streams->out, STDOUT_FILENO);
	redirect(streams->err, STDERR_FILENO);
	execve(argv[0], (char *const *)(uintptr_t)argv, (char *const *)(uintptr_t)envp);
	_exit(NOT_EXECUTED);
}

int command_wait(pid_t command)
{
	int status;

	if (waitpid(command, &status, 0) != command)
		fail("command", "wait", strerror(errno));
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void command_run(const char *const *argv)
{
	char what[32];
	int status = command_wait(command_start(argv, &(struct streams){ -1, -1, -1 }));

	snprintf(what, sizeof(what), "exit status %d", status);
	if (status != 0)
		fail(argv[0], "run", what);
}

int command_ask(const char *const *argv)
{
	int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
	int status = command_wait(command_start(argv, &(struct streams){ -1, -1, nowhere }));

	close(nowhere);
	return status;
}
