/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "kernel.h"

#include "filter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

/* The argument of clone(2) that has the flags. */
#ifdef __s390__
#define CLONE_FLAGS 1
#else
#define CLONE_FLAGS 0
#endif

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* Calls are numbered in the order in which they came, and so many will not come. */
#define AND_LATER(call) call, (call) + 999

/*
 * Linux 3.16, of Debian 8: the first that a distribution had with locks of open
 * file descriptions.
 */
static int linux_3_16(void)
{
	static const struct refusal later[] = {
		{ AND_LATER(SYS_getrandom), ENOSYS, WHATEVER_IT_IS, 0, 0 },
		{ SYS_madvise, 0, EINVAL, IF_IT_IS, 2, MADV_WIPEONFORK },
		{ SYS_unshare, 0, EINVAL, IF_IT_HAS, 0, CLONE_NEWTIME },
	};

	return refuse(later, COUNT(later));
}

/*
 * A container, by a runtime of the kind that refuses what it does not know.  For
 * libc it has to say of clone3 that there is none.
 */
static int container(void)
{
	static const struct refusal unknown[] = {
		{ SYS_clone3, 0, ENOSYS, WHATEVER_IT_IS, 0, 0 },
		{ AND_LATER(SYS_pidfd_send_signal), EPERM, WHATEVER_IT_IS, 0, 0 },
	};

	return refuse(unknown, COUNT(unknown));
}

static int no_tmpfile(void)
{
	return refuse_tmpfile(EOPNOTSUPP);
}

/* All of this, and file systems that can only do what all can. */
static int least(void)
{
	static const struct refusal optional[] = {
		{ SYS_renameat2, 0, EINVAL, IF_IT_HAS, 4, RENAME_NOREPLACE },
		{ SYS_linkat, 0, ENOENT, IF_IT_HAS, 4, AT_EMPTY_PATH },
	};
	int r = linux_3_16();

	if (r == 0)
		r = no_tmpfile();
	return r < 0 ? r : refuse(optional, COUNT(optional));
}

/*
 * A container without privilege, by one of the common runtimes: no namespaces.  A filter
 * cannot see the flags of clone3, so there is none.
 */
static int no_namespaces(void)
{
	static const uint32_t flags = CLONE_NEWCGROUP | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWNS |
	                              CLONE_NEWPID | CLONE_NEWUSER | CLONE_NEWUTS;
	const struct refusal namespaces[] = {
		{ SYS_clone3, 0, ENOSYS, WHATEVER_IT_IS, 0, 0 },
		{ SYS_clone, 0, EPERM, IF_IT_HAS, CLONE_FLAGS, flags },
		{ SYS_unshare, 0, EPERM, IF_IT_HAS, 0, flags | CLONE_NEWTIME },
		{ SYS_setns, 0, EPERM, WHATEVER_IT_IS, 0, 0 },
	};

	return refuse(namespaces, COUNT(namespaces));
}

static const struct {
	const char *name;
	int (*enter)(void);
} kernels[] = {
	{ "linux-3.16", linux_3_16 },       { "container", container },
	{ "no-tmpfile", no_tmpfile },       { "least", least },
	{ "no-namespaces", no_namespaces },
};

int kernel_enter(const char *name)
{
	for (size_t i = 0; i < COUNT(kernels); i++)
		if (strcmp(kernels[i].name, name) == 0)
			return kernels[i].enter();
	return -ENOENT;
}
