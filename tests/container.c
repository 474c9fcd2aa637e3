/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "container.h"
#include "reach.h"
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#define IDS 1000 /* so many there are in a user namespace */

static int result(int r)
{
	return r < 0 ? -errno : 0;
}

static int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), r;

	if (fd < 0)
		return -errno;
	r = write(fd, text, strlen(text)) < 0 ? -errno : 0;
	close(fd);
	return r;
}

/* Furniture */

int own_proc(int hidepid)
{
	char options[32];

	snprintf(options, sizeof(options), "hidepid=%d", hidepid);
	return result(mount("proc", "/proc", "proc", 0, options));
}

/* Below that of a container may be that of its surroundings. */
int no_proc(int unused)
{
	int r = result(umount2("/proc", MNT_DETACH));

	(void)unused;
	while (r == 0 && umount2("/proc", MNT_DETACH) == 0)
		;
	return r;
}

int empty_proc(int unused)
{
	(void)unused;
	return result(mount("none", "/proc", "tmpfs", MS_RDONLY, ""));
}

/* Its PID namespace is gone then, and the mount stays. */
int proc_of_others(int unused)
{
	pid_t pid = fork();
	int status = -1;

	(void)unused;
	if (pid == 0) {
		if (unshare(CLONE_NEWPID) < 0)
			_exit(1);
		pid = fork();
		if (pid == 0)
			_exit(own_proc(0) < 0);
		_exit(waitpid(pid, &status, 0) != pid || status != 0);
	}
	if (waitpid(pid, &status, 0) != pid)
		return -errno;
	return status == 0 ? 0 : -EPERM;
}

int another_place(int unused)
{
	char *here = getcwd(NULL, 0);
	int r;

	(void)unused;
	r = result(mount(here, "/mnt", NULL, MS_BIND, NULL));
	if (r == 0)
		r = result(mount("none", here, "tmpfs", MS_RDONLY, ""));
	if (r == 0)
		r = result(chdir("/mnt"));
	free(here);
	return r;
}

int another_boot(int unused)
{
	int fd, r = result(mount("none", "/proc/sys/kernel/random", "tmpfs", 0, ""));

	(void)unused;
	if (r < 0)
		return r;
	fd = open("/proc/sys/kernel/random/boot_id", O_WRONLY | O_CREAT | O_CLOEXEC, 0444);
	if (fd < 0)
		return -errno;
	r = dprintf(fd, "01234567-89ab-4def-8123-456789abcdef\n") < 0 ? -errno : 0;
	close(fd);
	return r;
}

/* Into the namespace at once: by unshare(2) it would be for children alone. */
int shifted_time(int seconds)
{
	char offsets[64];
	int fd, r = result(unshare(CLONE_NEWTIME));

	if (r == -EINVAL)
		return -EPERM; /* there are none before Linux 5.6 */
	snprintf(offsets, sizeof(offsets), "monotonic %d 0\nboottime %d 0\n", seconds, seconds);
	if (r == 0)
		r = write_text("/proc/self/timens_offsets", offsets);
	if (r < 0)
		return r;
	fd = open("/proc/self/ns/time_for_children", O_RDONLY | O_CLOEXEC);
	r = fd < 0 ? -errno : result(setns(fd, CLONE_NEWTIME));
	close(fd);
	return r;
}

/* Entering */

static int become(uid_t user)
{
	if (setgroups(0, NULL) < 0 || setresgid(user, user, user) < 0)
		return -errno;
	return result(setresuid(user, user, user));
}

static int enter(const struct container *container)
{
	int r = 0;

	if (container->namespaces & CLONE_NEWUSER)
		r = become(0);
	if (r == 0 && container->namespaces & CLONE_NEWNS)
		r = make_mounts_private();
	for (int i = 0; r == 0 && i < CONTAINER_STEPS && container->furnish[i].f; i++)
		r = container->furnish[i].f(container->furnish[i].argument);
	if (r == 0 && container->user != 0)
		r = become(container->user);
	/* a program that is told to end passes on SIGTERM, which the first of a namespace ignores */
	if (r == 0 && container->namespaces & CLONE_NEWPID)
		r = result(prctl(PR_SET_PDEATHSIG, SIGKILL));
	return r;
}

static int map_ids(pid_t pid, const char *kind, uid_t first)
{
	char path[64], map[64];

	snprintf(path, sizeof(path), "/proc/%d/%s_map", (int)pid, kind);
	snprintf(map, sizeof(map), "0 %u %d", (unsigned int)first, IDS);
	return write_text(path, map);
}

static pid_t old_clone(unsigned long flags)
{
#ifdef __s390__
	return (pid_t)syscall(SYS_clone, 0UL, flags, 0UL, 0UL, 0UL);
#else
	return (pid_t)syscall(SYS_clone, flags, 0UL, 0UL, 0UL, 0UL);
#endif
}

/* In namespaces of its own it has no handlers of forks run, which nobody misses. */
static pid_t make_process(const struct container *container)
{
	struct clone_args arguments = {
		.flags = container->namespaces,
		.exit_signal = SIGCHLD,
	};

	pid_t pid;

	if (container->namespaces == 0 && container->pid == 0)
		return fork();
	if (container->pid != 0) {
		arguments.set_tid = (uintptr_t)&container->pid;
		arguments.set_tid_size = 1;
	}
	pid = (pid_t)syscall(SYS_clone3, &arguments, sizeof(arguments));
	/* before Linux 5.3 there are namespaces, but no choice of a PID */
	if (pid < 0 && errno == ENOSYS && container->pid == 0)
		pid = old_clone(container->namespaces | SIGCHLD);
	return pid;
}

/* Returns 0 in the child, which has entered, and says so to @answer, or why not and ends. */
static pid_t fork_into(const struct container *container, int answer)
{
	int gate[2], r;
	char go;
	pid_t pid;

	ck_assert_int_eq(pipe2(gate, O_CLOEXEC), 0);
	pid = make_process(container);
	if (pid < 0 && (errno == EPERM || errno == ENOSYS || errno == EINVAL))
		SKIP("cannot have such namespaces: %s", strerror(errno));
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		close(gate[1]);
		r = read(gate[0], &go, 1) == 1 ? enter(container) : -EIO;
		dprintf(answer, "%d\n", r);
		if (r < 0)
			_exit(1);
		return 0;
	}
	close(gate[0]);
	if (container->namespaces & CLONE_NEWUSER) {
		ck_assert_int_eq(map_ids(pid, "uid", container->first), 0);
		ck_assert_int_eq(map_ids(pid, "gid", container->first), 0);
	}
	ck_assert_int_eq(write(gate[1], "", 1), 1);
	close(gate[1]);
	return pid;
}

/* The test goes on if it is in there. */
static void await_entry(struct holder *child)
{
	int r = holder_answer(child);

	if (r == 0)
		return;
	waitpid(child->pid, NULL, 0);
	/*
	 * An emulator may have no filters, and threads of its own, which bar setns(2); the
	 * root may be no mount point.
	 */
	if (r == -EPERM || r == -ENOSYS || r == -EUSERS || r == -ENOTSUP)
		SKIP("cannot furnish a container: %s", strerror(-r));
	ck_abort_msg("cannot furnish a container: %s", strerror(-r));
}

static void execute(const char *path)
{
	const char *program = getenv("HOLDER");

	/* it cannot look for leaks from a PID namespace */
	if (ADDRESS_SANITIZER)
		setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
	execl(program, program, path, (char *)NULL);
	_exit(127);
}

/* From there the sanitizer has its options. */
static bool has_proc(const struct container *container)
{
	for (int i = 0; i < CONTAINER_STEPS; i++)
		if (container->furnish[i].f == no_proc || container->furnish[i].f == empty_proc ||
		    container->furnish[i].f == proc_of_others)
			return false;
	return true;
}

struct holder container_start(const struct container *container, const char *path)
{
	struct holder holder;
	int to[2], from[2];

	if (ADDRESS_SANITIZER && !has_proc(container))
		SKIP("the address sanitizer needs /proc");
	if ((container->user != 0 || container->namespaces & CLONE_NEWUSER) &&
	    !others_reach_helper())
		SKIP("other users cannot execute the helper, nor a copy in the temporary "
		     "directory");
	ck_assert_msg(getenv("HOLDER") != NULL, "the environment does not name HOLDER");
	ck_assert_int_eq(pipe2(to, O_CLOEXEC), 0);
	ck_assert_int_eq(pipe2(from, O_CLOEXEC), 0);
	holder.pid = fork_into(container, from[1]);
	if (holder.pid == 0) {
		dup2(to[0], STDIN_FILENO);
		dup2(from[1], STDOUT_FILENO);
		execute(path);
	}
	close(to[0]);
	close(from[1]);
	holder.to = to[1];
	holder.from = from[0];
	await_entry(&holder);
	ck_assert_int_eq(holder_answer(&holder), 0); /* it has its handle */
	return holder;
}

static pid_t start_function(const struct container *container, void (*f)(void *), void *argument)
{
	struct holder child;
	int answer[2];

	ck_assert_int_eq(pipe2(answer, O_CLOEXEC), 0);
	child.pid = fork_into(container, answer[1]);
	if (child.pid == 0) {
		close(answer[0]);
		close(answer[1]);
		f(argument);
		_exit(0);
	}
	close(answer[1]);
	child.from = answer[0];
	await_entry(&child);
	close(answer[0]);
	return child.pid;
}

int in_container(const struct container *container, void (*f)(void *), void *argument)
{
	pid_t pid = start_function(container, f, argument);
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void idle(void *unused)
{
	(void)unused;
	for (;;)
		pause();
}

pid_t container_idle(const struct container *container)
{
	return start_function(container, idle, NULL);
}

pid_t make_pids(int *ret_namespace)
{
	const struct container container = { .namespaces = CLONE_NEWPID };
	pid_t first = container_idle(&container);
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/pid", (int)first);
	*ret_namespace = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert_int_ge(*ret_namespace, 0);
	return first;
}

void join_pids(int namespace)
{
	if (ADDRESS_SANITIZER)
		SKIP("the leak sanitizer cannot look from a PID namespace");
	ck_assert_int_eq(setns(namespace, CLONE_NEWPID), 0);
}
