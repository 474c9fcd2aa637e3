/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "no-tmpfile.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* O_TMPFILE without the O_DIRECTORY that is part of it. */
#define TMPFILE_BIT (O_TMPFILE & ~O_DIRECTORY)

/* Filters see 32 bits at a time; flags are in the lower half. */
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define LOWER_HALF 4
#else
#define LOWER_HALF 0
#endif
#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define LOAD_ARG(n) \
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[n]) + LOWER_HALF)
#define JUMP(test, value, yes, no) BPF_JUMP(BPF_JMP | (test) | BPF_K, value, yes, no)
#define RETURN(value) BPF_STMT(BPF_RET | BPF_K, value)

/*
 * No look at the architecture, as a filter for security must have: a process
 * that wants to be refused makes no foreign calls.
 */
static struct sock_filter filter[] = {
	LOAD(nr),
	JUMP(BPF_JEQ, SYS_openat, 2, 0),
#ifdef SYS_open
	JUMP(BPF_JEQ, SYS_open, 3, 0),
#else
	JUMP(BPF_JEQ, SYS_openat, 3, 0),
#endif
	RETURN(SECCOMP_RET_ALLOW),
	LOAD_ARG(2),
	JUMP(BPF_JSET, TMPFILE_BIT, 3, 2),
	LOAD_ARG(1),
	JUMP(BPF_JSET, TMPFILE_BIT, 1, 0),
	RETURN(SECCOMP_RET_ALLOW),
	RETURN(SECCOMP_RET_ERRNO | EOPNOTSUPP),
};

static int is_refused(const char *dir)
{
	int fd = open(dir, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);

	if (fd >= 0)
		close(fd);
	return fd < 0 && errno == EOPNOTSUPP;
}

int refuse_o_tmpfile(const char *dir)
{
	struct sock_fprog program = { sizeof(filter) / sizeof(filter[0]), filter };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		return -errno;
	return is_refused(dir) ? 0 : -ENOTSUP;
}

bool can_refuse_o_tmpfile(const char *dir)
{
	int status = -1;
	pid_t child = fork();

	if (child == 0)
		_exit(refuse_o_tmpfile(dir) == 0 ? 0 : 1);
	return waitpid(child, &status, 0) == child && status == 0;
}
