/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernels of make check-fallback: each lacks what it is to lack, and nothing
 * else of this.
 */
#include <config.h>

#include "container.h"
#include "kernel.h"
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static const char *const kernels[] = { "linux-3.16", "container", "no-tmpfile", "least",
	                               "no-namespaces" };

#define KERNELS    5
#define UNFILTERED 250 /* beyond any errno */

static int error_of(long r)
{
	return r < 0 ? errno : 0;
}

/* What can be asked.  Each gives 0 or an errno. */

/* No call takes these arguments. */
static int call(int number)
{
	return error_of(syscall(number, -1L, -1L, -1L, -1L, -1L, -1L));
}

static int open_with(int flags)
{
	return error_of(open(".", flags | O_CLOEXEC, 0600));
}

static int new_file(void)
{
	return open("from", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
}

static int lock_with(int command)
{
	struct flock lock = { .l_type = F_WRLCK };

	return error_of(fcntl(new_file(), command, &lock));
}

static int advise(int advice)
{
	size_t size = (size_t)sysconf(_SC_PAGESIZE);
	void *page = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return error_of(madvise(page, size, advice));
}

static int rename_with(int flags)
{
	close(new_file());
	return error_of(syscall(SYS_renameat2, AT_FDCWD, "from", AT_FDCWD, "to", flags));
}

static int link_with(int flags)
{
	int fd = new_file();

	if (flags & AT_EMPTY_PATH)
		return error_of(linkat(fd, "", AT_FDCWD, "to", flags));
	return error_of(linkat(AT_FDCWD, "from", AT_FDCWD, "to", flags));
}

static int unshare_with(int flags)
{
	return error_of(unshare(flags));
}

static int clone_with(int flags)
{
	unsigned long all = (unsigned long)flags | SIGCHLD;
#ifdef __s390__
	long pid = syscall(SYS_clone, 0UL, all, 0UL, 0UL, 0UL);
#else
	long pid = syscall(SYS_clone, all, 0UL, 0UL, 0UL, 0UL);
#endif
	int error = error_of(pid);

	if (pid == 0)
		_exit(0);
	if (pid > 0)
		waitpid((pid_t)pid, NULL, 0);
	return error;
}

#define AS_EVER -1 /* what our own kernel says */

static const struct {
	int (*ask)(int);
	int argument;
	int answers[KERNELS];
} questions[] = {
	{ call, SYS_getrandom, { ENOSYS, AS_EVER, AS_EVER, ENOSYS, AS_EVER } },
	{ call, SYS_memfd_create, { ENOSYS, AS_EVER, AS_EVER, ENOSYS, AS_EVER } },
	{ call, SYS_execveat, { ENOSYS, AS_EVER, AS_EVER, ENOSYS, AS_EVER } },
	{ call, SYS_membarrier, { ENOSYS, AS_EVER, AS_EVER, ENOSYS, AS_EVER } },
	{ call, SYS_copy_file_range, { ENOSYS, AS_EVER, AS_EVER, ENOSYS, AS_EVER } },
	{ call, SYS_statx, { ENOSYS, AS_EVER, AS_EVER, ENOSYS, AS_EVER } },
	{ call, SYS_pidfd_send_signal, { ENOSYS, EPERM, AS_EVER, ENOSYS, AS_EVER } },
	{ call, SYS_pidfd_open, { ENOSYS, EPERM, AS_EVER, ENOSYS, AS_EVER } },
	{ call, SYS_clone3, { ENOSYS, ENOSYS, AS_EVER, ENOSYS, ENOSYS } },
	{ call, SYS_close_range, { ENOSYS, EPERM, AS_EVER, ENOSYS, AS_EVER } },
	{ call, SYS_openat2, { ENOSYS, EPERM, AS_EVER, ENOSYS, AS_EVER } },
	{ call, SYS_faccessat2, { ENOSYS, EPERM, AS_EVER, ENOSYS, AS_EVER } },
	{ call, SYS_epoll_pwait2, { ENOSYS, EPERM, AS_EVER, ENOSYS, AS_EVER } },
	{ call, 1000, { ENOSYS, EPERM, AS_EVER, ENOSYS, AS_EVER } }, /* of the future */
	{ call, SYS_timerfd_create, { AS_EVER, AS_EVER, AS_EVER, AS_EVER, AS_EVER } },
	{ advise, MADV_WIPEONFORK, { EINVAL, AS_EVER, AS_EVER, EINVAL, AS_EVER } },
	{ advise, MADV_DONTNEED, { AS_EVER, AS_EVER, AS_EVER, AS_EVER, AS_EVER } },
	{ unshare_with, CLONE_NEWTIME, { EINVAL, AS_EVER, AS_EVER, EINVAL, EPERM } },
	{ unshare_with, CLONE_NEWPID, { AS_EVER, AS_EVER, AS_EVER, AS_EVER, EPERM } },
	{ unshare_with, CLONE_FS, { AS_EVER, AS_EVER, AS_EVER, AS_EVER, AS_EVER } },
	{ clone_with, CLONE_NEWUTS, { AS_EVER, AS_EVER, AS_EVER, AS_EVER, EPERM } },
	{ clone_with, 0, { AS_EVER, AS_EVER, AS_EVER, AS_EVER, AS_EVER } },
	{ call, SYS_setns, { AS_EVER, AS_EVER, AS_EVER, AS_EVER, EPERM } },
	{ open_with, O_TMPFILE | O_RDWR, { AS_EVER, AS_EVER, EOPNOTSUPP, EOPNOTSUPP, AS_EVER } },
	{ open_with, O_DIRECTORY, { AS_EVER, AS_EVER, AS_EVER, AS_EVER, AS_EVER } },
	{ lock_with, F_OFD_SETLK, { AS_EVER, AS_EVER, AS_EVER, AS_EVER, AS_EVER } },
	{ rename_with, RENAME_NOREPLACE, { AS_EVER, AS_EVER, AS_EVER, EINVAL, AS_EVER } },
	{ link_with, AT_EMPTY_PATH, { AS_EVER, AS_EVER, AS_EVER, ENOENT, AS_EVER } },
	{ link_with, 0, { AS_EVER, AS_EVER, AS_EVER, AS_EVER, AS_EVER } },
};

struct asked {
	int question;
	const char *kernel;
};

static void answer(void *argument)
{
	const struct asked *asked = argument;

	if (asked->kernel && kernel_enter(asked->kernel) < 0)
		_exit(UNFILTERED);
	_exit(questions[asked->question].ask(questions[asked->question].argument));
}

static int ask(int question, const char *kernel)
{
	struct asked asked = { question, kernel };
	int r = in_child(answer, &asked);

	unlink("from");
	unlink("to");
	if (r == UNFILTERED)
		SKIP("system calls cannot be filtered here");
	return r;
}

TEST_EACH(a_kernel_lacks_what_it_says, questions)
{
	for (int i = 0; i < KERNELS; i++) {
		int expected = questions[_i].answers[i];

		if (expected == AS_EVER)
			expected = ask(_i, NULL);
		ck_assert_msg(ask(_i, kernels[i]) == expected, "%s", kernels[i]);
	}
}

static void enter_unknown(void *unused)
{
	(void)unused;
	_exit(kernel_enter("linux-0.01") == -ENOENT ? 0 : 1);
}

TEST(an_unknown_kernel_is_no_kernel)
{
	ck_assert_int_eq(in_child(enter_unknown, NULL), 0);
}
