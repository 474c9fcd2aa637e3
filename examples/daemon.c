/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon [-f] PIDFILE - a daemon of which only one runs
 *
 * When it returns to the shell with status 0, the daemon runs and PIDFILE names
 * it; with status 1 there is none, and standard error says why.  With -f it stays
 * in the foreground, as Type=exec of systemd.service(5) wants it.  SIGTERM and
 * SIGINT end it, and so does the loss of its PID file.
 *
 *	cc daemon.c $(pkg-config --cflags --libs lockfile-pid) -o daemon
 */
#include <errno.h>
#include <fcntl.h>
#include <lockfile-pid.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void tell(const char *path, pid_t holder, int error)
{
	if (holder > 0)
		fprintf(stderr, "%s: already running as process %d\n", path, (int)holder);
	else
		fprintf(stderr, "%s: %s\n", path, lockfile_pid_strerror(error));
}

/* The work that only one process may do, until a signal comes or the lock is lost. */
static int work(struct lockfile_pid *lock, const sigset_t *end)
{
	const struct timespec second = { .tv_sec = 1 };

	while (sigtimedwait(end, NULL, &second) < 0)
		if (lockfile_pid_verify(lock) == LOCKFILE_PID_ERR_ROGUE_DELETION)
			break;
	return lockfile_pid_unlock(lock);
}

/* Where the first process was killed meanwhile nobody hears it, and all is well. */
static void say(int to, int word)
{
	ssize_t n = write(to, &word, sizeof(word));

	(void)n;
	close(to);
}

/* The lock is given up before the word: who hears it may start another daemon. */
static void fail(struct lockfile_pid *lock, int to, int error)
{
	lockfile_pid_free(lock);
	say(to, error);
	_exit(1);
}

/* In the daemon, the child of a session's leader: no terminal ever becomes its own. */
static int settle(struct lockfile_pid *lock, int null, int to)
{
	int r = lockfile_pid_adopt(lock);

	if (r == 0 && chdir("/") < 0)
		r = -errno;
	if (r < 0)
		fail(lock, to, r);
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		dup2(null, fd);
	say(to, 0);
	return 0;
}

/* In the first process, which does not end before the daemon is ready. */
static int await_word(pid_t child, int from)
{
	int r = 0;

	waitpid(child, NULL, 0);
	if (read(from, &r, sizeof(r)) != sizeof(r))
		r = -ECHILD;
	if (r == 0)
		_exit(0);
	return r;
}

/* Returns 0 in the daemon, and an error in the first process. */
static int go_to_background(struct lockfile_pid *lock, int null)
{
	int word[2];
	pid_t pid;

	if (pipe(word) < 0)
		return -errno;
	pid = fork();
	if (pid < 0)
		return -errno;
	close(word[pid != 0]);
	if (pid > 0)
		return await_word(pid, word[0]);
	if (setsid() < 0 || (pid = fork()) < 0)
		fail(lock, word[1], -errno);
	if (pid > 0)
		_exit(0);
	return settle(lock, null, word[1]);
}

/* None of the descriptors to come is to take the place of a standard one. */
static int open_null(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	return fd;
}

int main(int argc, char **argv)
{
	int in_front = argc == 3 && strcmp(argv[1], "-f") == 0, null = open_null(), r;
	struct lockfile_pid *lock = NULL;
	pid_t holder = 0;
	sigset_t end;

	if (argc != 2 + in_front) {
		fprintf(stderr, "usage: daemon [-f] PIDFILE\n");
		return 2;
	}
	umask(022);
	signal(SIGPIPE, SIG_IGN);
	/* from here on they wait for work() to take them */
	sigemptyset(&end);
	sigaddset(&end, SIGINT);
	sigaddset(&end, SIGTERM);
	sigprocmask(SIG_BLOCK, &end, NULL);
	/* in the foreground, where errors reach the terminal; a child is to adopt the lock */
	r = lockfile_pid_open(&lock, argv[argc - 1], LOCKFILE_PID_INHERITABLE, &holder);
	if (r == 0)
		r = in_front ? lockfile_pid_adopt(lock) : go_to_background(lock, null);
	if (r == 0)
		r = work(lock, &end);
	if (r < 0)
		tell(argv[argc - 1], holder, r);
	lockfile_pid_free(lock);
	return r < 0;
}
