/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "actor.h"

#include "bench.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Descriptors of an actor. */
#define WORDS   STDIN_FILENO
#define ANSWERS 3

/* In the actor */

/* Until nobody can tell its parent anything any more. */
static _Noreturn void outlive(void)
{
	struct pollfd words = { .fd = WORDS };

	close(ANSWERS);
	poll(&words, 1, -1);
	_exit(EXIT_SUCCESS);
}

/* The handlers of fork(2) and of exit(3) are those that the peer has. */
static char fork_child(struct contender *contender, bool exits)
{
	pid_t pid = fork();

	if (pid < 0)
		fail(contender->path, "fork", strerror(errno));
	if (pid == 0 && contender->peer->forked)
		contender->peer->forked(contender);
	if (pid == 0 && exits)
		exit(EXIT_SUCCESS);
	if (pid == 0)
		outlive();
	if (exits && waitpid(pid, NULL, 0) != pid)
		fail(contender->path, "waitpid", strerror(errno));
	return 'y';
}

static char obey(struct contender *contender, char word)
{
	if (word == TRY)
		return contender_trylock(contender) ? 'y' : 'n';
	return fork_child(contender, word == FORK_AND_EXIT);
}

static void act(const struct peer *peer, const char *path)
{
	struct contender contender;
	bool is_open = false;
	char word, answer;

	while (read(WORDS, &word, 1) == 1) {
		if (!is_open)
			contender_open(&contender, peer, path);
		is_open = true;
		answer = obey(&contender, word);
		if (write(ANSWERS, &answer, 1) != 1)
			break;
	}
}

/* The holder is the interpreter, and no process beside it: it does all of the above. */
static void act_in_python(const char *path)
{
	/* Debian's, which has Debian's packages */
	execl("/usr/bin/python3", "python3", "-I", BENCH_SOURCES "/actor.py", path, (char *)NULL);
	fail(path, "python3", strerror(errno));
}

static int furnish_container(void)
{
	if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("proc", "/proc", "proc", 0, NULL) < 0)
		return errno;
	return 0;
}

static int become(uid_t user)
{
	if (setgroups(0, NULL) < 0 || setresgid(user, user, user) < 0 ||
	    setresuid(user, user, user) < 0)
		return errno;
	return 0;
}

/* May it be in the directory of the lock? */
static int reach(const char *path)
{
	char dir[PATH_MAX];

	snprintf(dir, sizeof(dir), "%s", path);
	*strrchr(dir, '/') = '\0';
	return access(dir, W_OK | X_OK) < 0 ? errno : 0;
}

static int enter(const struct place *place, const char *path)
{
	int error = 0;

	if (place->container)
		error = furnish_container();
	if (error == 0 && place->user != 0)
		error = become(place->user);
	if (error == 0)
		error = reach(path);
	/* which a change of user forgets */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	return error;
}

/* Outside */

/* Beside fork(2), which knows neither PIDs nor namespaces; no handlers, and none missed. */
static pid_t make_process(uint64_t flags, pid_t pid)
{
	struct clone_args arguments = {
		.flags = flags,
		.exit_signal = SIGCHLD,
		.set_tid = pid != 0 ? (uintptr_t)&pid : 0,
		.set_tid_size = pid != 0,
	};

	if (flags == 0 && pid == 0)
		return fork();
	return (pid_t)syscall(SYS_clone3, &arguments, sizeof(arguments));
}

/* What else is open are ends of others' pipes. */
static void arrange_descriptors(int words, int answers, int errors)
{
	dup2(errors, STDERR_FILENO);
	dup2(errors, STDOUT_FILENO);
	dup2(words, WORDS);
	dup2(answers, ANSWERS);
	close_range(ANSWERS + 1, ~0U, 0);
}

/* The first process of the container; with it all others go. */
static void stay_below_another(void)
{
	pid_t pid = fork();

	if (pid == 0)
		return;
	close(ANSWERS);
	waitpid(pid, NULL, 0);
	_exit(EXIT_FAILURE);
}

static _Noreturn void live(const struct place *place, const struct peer *peer, const char *path)
{
	int error = enter(place, path);

	if (error == 0 && place->below)
		stay_below_another();
	if (write(ANSWERS, &error, sizeof(error)) == sizeof(error) && error == 0) {
		if (peer == &filelock_peer)
			act_in_python(path);
		act(peer, path);
	}
	_exit(EXIT_FAILURE);
}

int actor_start(struct actor *actor, const struct place *place, const struct peer *peer,
                const char *path)
{
	int to[2], from[2], error;

	fflush(stdout);
	*actor = (struct actor){ .errors = memfd_create("errors", MFD_CLOEXEC), .path = path };
	if (actor->errors < 0 || pipe(to) < 0 || pipe(from) < 0)
		fail(path, "start an actor", strerror(errno));
	actor->pid = make_process(place->container ? CLONE_NEWPID | CLONE_NEWNS : 0, 0);
	error = errno;
	if (actor->pid == 0) {
		arrange_descriptors(to[0], from[1], actor->errors);
		live(place, peer, path);
	}
	close(to[0]);
	close(from[1]);
	actor->to = to[1];
	actor->from = from[0];
	if (actor->pid > 0 && read(from[0], &error, sizeof(error)) != sizeof(error))
		fail(path, "start an actor", "it has ended");
	return error;
}

char actor_tell(struct actor *actor, enum word word)
{
	char byte = (char)word;

	if (write(actor->to, &byte, 1) != 1)
		fail(actor->path, "tell an actor", strerror(errno));
	return read(actor->from, &byte, 1) == 1 ? byte : '\0';
}

/* The last line, from behind the path or the program's name. */
const char *actor_error(const struct actor *actor)
{
	static char said[1024];
	ssize_t n = pread(actor->errors, said, sizeof(said) - 1, 0);
	const char *path, *colon;
	char *line;

	said[n > 0 ? n : 0] = '\0';
	while (n > 0 && said[n - 1] == '\n')
		said[--n] = '\0';
	line = strrchr(said, '\n');
	line = line ? line + 1 : said;
	path = strstr(line, actor->path);
	colon = strchr(path ? path : line, ':');
	return colon ? colon + strlen(": ") : line;
}

/* Whatever it had started has its descriptor for answers; programs end by themselves. */
void actor_kill(struct actor *actor)
{
	siginfo_t info;
	char byte;

	kill(actor->pid, SIGKILL);
	if (waitid(P_PID, (id_t)actor->pid, &info, WEXITED | WNOWAIT) < 0)
		fail(actor->path, "end of an actor", strerror(errno));
	while (read(actor->from, &byte, 1) > 0)
		;
}

void actor_reap(struct actor *actor)
{
	if (waitpid(actor->pid, NULL, 0) != actor->pid)
		fail(actor->path, "end of an actor", strerror(errno));
	actor->pid = 0;
}

void actor_forget(struct actor *actor)
{
	if (!actor->path)
		return;
	close(actor->to);
	close(actor->from);
	close(actor->errors);
	actor->path = NULL;
}

pid_t idler_start(pid_t pid)
{
	pid_t idler = make_process(0, pid);

	if (idler != 0)
		return idler;
	close_range(ANSWERS, ~0U, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		pause();
}
