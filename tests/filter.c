/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "filter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string.h>
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
#define ARGUMENT(n)                (offsetof(struct seccomp_data, args) + (n) * sizeof(uint64_t) + LOWER_HALF)
#define LOAD(offset)               BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(offset))
#define JUMP(test, value, yes, no) BPF_JUMP(BPF_JMP | (test) | BPF_K, value, yes, no)
#define RETURN(value)              BPF_STMT(BPF_RET | BPF_K, value)
#define COUNT(table)               (sizeof(table) / sizeof((table)[0]))

#define MAX_REFUSALS 64
#define STEPS        6 /* of a filter, for each */

/*
 * No look at the architecture, as a filter for security must have: a process
 * that wants to be refused makes no foreign calls.
 */
static int install(struct sock_filter *filter, size_t length)
{
	struct sock_fprog program = { (unsigned short)length, filter };

	if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) < 0)
		return -ENOSYS; /* no filters at all */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		return -errno;
	return 0;
}

static void translate(const struct refusal *refusal, struct sock_filter filter[STEPS])
{
	/* whatever it is, it is 0 or more */
	static const uint16_t tests[] = { BPF_JGE, BPF_JEQ, BPF_JSET };
	const struct sock_filter steps[STEPS] = {
		LOAD(offsetof(struct seccomp_data, nr)),
		JUMP(BPF_JGE, refusal->call, 0, 4),
		JUMP(BPF_JGT, refusal->last ? refusal->last : refusal->call, 3, 0),
		LOAD(ARGUMENT(refusal->argument)),
		JUMP(tests[refusal->when], refusal->value, 0, 1),
		RETURN(SECCOMP_RET_ERRNO | (uint32_t)refusal->error),
	};

	memcpy(filter, steps, sizeof(steps));
}

int refuse(const struct refusal *refusals, size_t count)
{
	struct sock_filter filter[MAX_REFUSALS * STEPS + 1];

	if (count > MAX_REFUSALS)
		return -E2BIG;
	for (size_t i = 0; i < count; i++)
		translate(&refusals[i], &filter[i * STEPS]);
	filter[count * STEPS] = (struct sock_filter)RETURN(SECCOMP_RET_ALLOW);
	return install(filter, count * STEPS + 1);
}

int refuse_pidfd_open(int error)
{
#ifdef SYS_pidfd_open
	const struct refusal pidfd_open = { .call = SYS_pidfd_open, .error = error };

	return refuse(&pidfd_open, 1);
#else
	return error == ENOSYS ? 0 : -ENOSYS;
#endif
}

int refuse_fsetxattr(int error)
{
	const struct refusal fsetxattr = { .call = SYS_fsetxattr, .error = error };

	return refuse(&fsetxattr, 1);
}

int refuse_ofd_locks(int error)
{
	const struct refusal ofd_locks[] = {
		{ SYS_FCNTL, 0, error, IF_IT_IS, 1, F_OFD_GETLK },
		{ SYS_FCNTL, 0, error, IF_IT_IS, 1, F_OFD_SETLK },
	};

	return refuse(ofd_locks, COUNT(ofd_locks));
}

int refuse_tmpfile(int error)
{
	const struct refusal tmpfile[] = {
		{ SYS_openat, 0, error, IF_IT_HAS, 2, TMPFILE_BIT },
#ifdef SYS_open
		{ SYS_open, 0, error, IF_IT_HAS, 1, TMPFILE_BIT },
#endif
	};

	return refuse(tmpfile, COUNT(tmpfile));
}
