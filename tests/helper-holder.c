/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * helper-holder PATH - does with a handle what it is told
 *
 * Reads words, one a line; answers each with its result in a line.  At the end
 * of its input it frees the handle and exits with 0.
 *
 *	trylock, lock, unlock, verify, check	lockfile_pid_...()
 *	timedlock MILLISECONDS
 *	pid		the PID that check finds; 0 where it finds none
 *	mode OCTAL	lockfile_pid_set_mode()
 *	inheritable 0 or 1, cluster 0 or 1	lockfile_pid_set_..()
 *	free		frees the handle and makes a new one
 *	closefrom	closes every descriptor above 2, one by one;
 *	close_range	by close_range(2)
 *	fork		leaves a child behind, which lives until it is killed and
 *			is through its handlers for forks; the result is its PID
 *	exec		executes itself: a new image with a new handle
 *	begin, continue, cancel		lockfile_pid_wait_...()
 *	spin		locks and unlocks in a tight loop until there is more
 *			input; answers when it first has the lock, with 0, and at
 *			the end with how often it had it
 *	handle		has a handler for SIGUSR1
 *	handle-restart	has one for SIGUSR2, with SA_RESTART
 *	handle-both	has both
 *	nobody		becomes a user who owns nothing
 *	user NUMBER	becomes that user
 */
#include <config.h>

#include <lockfile-pid.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NOBODY 65534

static struct lockfile_pid *lock;
static char **arguments;

static int make_handle(void)
{
	return lockfile_pid_new(&lock, arguments[1]);
}

static int found_pid(void)
{
	pid_t pid = 0;

	return lockfile_pid_check(lock, &pid) == LOCKFILE_PID_ERR_INVALID_PID ? 0 : pid;
}

static int free_and_new(void)
{
	lockfile_pid_free(lock);
	return make_handle();
}

static int leave_child(void)
{
	int settled[2];
	char none;
	pid_t pid;

	if (pipe2(settled, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	close(settled[1]);
	while (pid == 0)
		pause();
	/* until the child has closed its copy of the other end */
	if (pid > 0 && read(settled[0], &none, 1) != 0)
		pid = -errno;
	close(settled[0]);
	return pid;
}

static int close_all(void)
{
	for (int fd = 3; fd < 1024; fd++)
		close(fd);
	return 0;
}

static int close_range_of_all(void)
{
#ifdef SYS_close_range
	if (syscall(SYS_close_range, 3, ~0U, 0) == 0)
		return 0;
#endif
	return close_all();
}

static int execute_self(void)
{
	execv(arguments[0], arguments);
	return -errno;
}

static int is_told_more(void)
{
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };

	return poll(&input, 1, 0) != 0;
}

static int spin(void)
{
	int count = 0, r;

	while (!is_told_more()) {
		r = lockfile_pid_lock(lock);
		if (r == 0) {
			if (count++ == 0)
				printf("0\n");
			r = lockfile_pid_unlock(lock);
		}
		if (r < 0 && r != LOCKFILE_PID_ERR_BUSY)
			return r;
	}
	return count;
}

static void ignore(int number)
{
	(void)number;
}

static int handle_signal(int number, int flags)
{
	struct sigaction action = { .sa_handler = ignore, .sa_flags = flags };

	return sigaction(number, &action, NULL);
}

static int handle_both(void)
{
	return handle_signal(SIGUSR1, 0) | handle_signal(SIGUSR2, SA_RESTART);
}

static int become(uid_t user)
{
	if (setgroups(0, NULL) < 0 || setresgid(user, user, user) < 0)
		return -errno;
	return setresuid(user, user, user) < 0 ? -errno : 0;
}

/* -ENOSYS: no such word. */
static int obey_setting(const char *line)
{
	if (strncmp(line, "mode ", 5) == 0)
		return lockfile_pid_set_mode(lock, (unsigned int)strtoul(line + 5, NULL, 8));
	if (strncmp(line, "inheritable ", 12) == 0)
		return lockfile_pid_set_inheritable(lock, atoi(line + 12));
	if (strncmp(line, "cluster ", 8) == 0)
		return lockfile_pid_set_cluster_locks(lock, atoi(line + 8));
	return -ENOSYS;
}

static int obey_line(const char *line)
{
	if (strcmp(line, "begin") == 0)
		return lockfile_pid_wait_begin(lock);
	if (strcmp(line, "continue") == 0)
		return lockfile_pid_wait_continue(lock);
	if (strcmp(line, "cancel") == 0)
		return lockfile_pid_wait_cancel(lock);
	if (strcmp(line, "spin") == 0)
		return spin();
	if (strcmp(line, "handle") == 0)
		return handle_signal(SIGUSR1, 0);
	if (strcmp(line, "handle-restart") == 0)
		return handle_signal(SIGUSR2, SA_RESTART);
	if (strcmp(line, "handle-both") == 0)
		return handle_both();
	if (strcmp(line, "nobody") == 0)
		return become(NOBODY);
	if (strncmp(line, "user ", 5) == 0)
		return become((uid_t)atoi(line + 5));
	if (strncmp(line, "chown ", 6) == 0)
		return fchown(lockfile_pid_fileno(lock), (uid_t)atoi(line + 6), (gid_t)-1) < 0 ?
		               -errno :
		               0;
	if (strncmp(line, "chmod ", 6) == 0)
		return fchmod(lockfile_pid_fileno(lock), (mode_t)strtoul(line + 6, NULL, 8)) < 0 ?
		               -errno :
		               0;
	return obey_setting(line);
}

static int obey(const char *line)
{
	pid_t pid;

	if (strcmp(line, "trylock") == 0)
		return lockfile_pid_trylock(lock);
	if (strcmp(line, "lock") == 0)
		return lockfile_pid_lock(lock);
	if (strncmp(line, "timedlock ", 10) == 0)
		return lockfile_pid_timedlock(lock, atoi(line + 10));
	if (strcmp(line, "unlock") == 0)
		return lockfile_pid_unlock(lock);
	if (strcmp(line, "verify") == 0)
		return lockfile_pid_verify(lock);
	if (strcmp(line, "check") == 0)
		return lockfile_pid_check(lock, &pid);
	if (strcmp(line, "pid") == 0)
		return found_pid();
	if (strcmp(line, "free") == 0)
		return free_and_new();
	if (strcmp(line, "fork") == 0)
		return leave_child();
	if (strcmp(line, "closefrom") == 0)
		return close_all();
	if (strcmp(line, "close_range") == 0)
		return close_range_of_all();
	if (strcmp(line, "exec") == 0)
		return execute_self();
	return obey_line(line);
}

int main(int argc, char **argv)
{
	char line[64];

	if (argc != 2)
		return 2;
	arguments = argv;
	setvbuf(stdout, NULL, _IOLBF, 0);
	setvbuf(stdin, NULL, _IONBF, 0);
	printf("%d\n", make_handle());
	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		printf("%d\n", obey(line));
	}
	lockfile_pid_free(lock);
	return 0;
}
