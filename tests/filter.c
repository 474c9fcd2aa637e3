/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "filter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

/* That of the C library; 32-bit systems have two. */
#ifdef SYS_fcntl64
#define SYS_FCNTL SYS_fcntl64
#else
#define SYS_FCNTL SYS_fcntl
#endif

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
#define RETURN(value)              BPF_STMT(BPF_RET | BPF_K, value)
#define COUNT(table)               (unsigned short)(sizeof(table) / sizeof((table)[0]))

/*
 * No look at the architecture, as a filter for security must have: a process
 * that wants to be refused makes no foreign calls.
 */
static int install(struct sock_filter *filter, unsigned short length)
{
	struct sock_fprog program = { length, filter };

	if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) < 0)
		return -ENOSYS; /* no filters at all */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		return -errno;
	return 0;
}

static int refuse_call(unsigned int call, int error)
{
	struct sock_filter filter[] = {
		LOAD(nr),
		JUMP(BPF_JEQ, call, 0, 1),
		RETURN(SECCOMP_RET_ERRNO | (unsigned int)error),
		RETURN(SECCOMP_RET_ALLOW),
	};

	return install(filter, COUNT(filter));
}

int refuse_pidfd_open(int error)
{
#ifdef SYS_pidfd_open
	return refuse_call(SYS_pidfd_open, error);
#else
	return error == ENOSYS ? 0 : -ENOSYS;
#endif
}

int refuse_fsetxattr(int error)
{
	return refuse_call(SYS_fsetxattr, error);
}

int refuse_ofd_locks(int error)
{
	struct sock_filter filter[] = {
		LOAD(nr),
		JUMP(BPF_JEQ, SYS_FCNTL, 0, 3),
		LOAD_ARG(1),
		JUMP(BPF_JEQ, F_OFD_GETLK, 2, 0),
		JUMP(BPF_JEQ, F_OFD_SETLK, 1, 0),
		RETURN(SECCOMP_RET_ALLOW),
		RETURN(SECCOMP_RET_ERRNO | (unsigned int)error),
	};

	return install(filter, COUNT(filter));
}

int refuse_tmpfile(int error)
{
	struct sock_filter filter[] = {
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
		RETURN(SECCOMP_RET_ERRNO | (unsigned int)error),
	};

	return install(filter, COUNT(filter));
}
