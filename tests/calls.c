/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "calls.h"

#include "common.h"

#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* Of no interest. */
#define NOTHING ""

static const struct {
	long number;
	const char *name;
} names[] = {
	{ SYS_brk, NOTHING },
	{ SYS_mprotect, NOTHING },
	{ SYS_mremap, NOTHING },
	{ SYS_munmap, NOTHING },
	{ SYS_futex, NOTHING },
	{ SYS_set_robust_list, NOTHING },
	{ SYS_clock_gettime, NOTHING },
	{ SYS_prlimit64, NOTHING }, /* how large is the stack? */
	{ SYS_restart_syscall, NOTHING },

	{ SYS_openat, "open" },
#ifdef SYS_openat2
	{ SYS_openat2, "openat2" },
#endif
	{ SYS_close, "close" },
#ifdef SYS_close_range
	{ SYS_close_range, "close_range" },
#endif
	{ SYS_statx, "stat" },
	{ SYS_fstatfs, "statfs" },
	{ SYS_lseek, "lseek" },
	{ SYS_read, "read" },
	{ SYS_write, "write" },
	{ SYS_pread64, "pread" },
	{ SYS_pwrite64, "pwrite" },
	{ SYS_fchmod, "chmod" },
	{ SYS_fcntl, "fcntl" },
	{ SYS_ioctl, "ioctl" },
	{ SYS_fgetxattr, "getxattr" },
	{ SYS_fsetxattr, "setxattr" },
	{ SYS_linkat, "link" },
	{ SYS_unlinkat, "unlink" },
	{ SYS_renameat2, "rename" },
	{ SYS_readlinkat, "readlink" },
	{ SYS_mknodat, "mknod" },
	{ SYS_faccessat, "access" },
#ifdef SYS_faccessat2
	{ SYS_faccessat2, "access" },
#endif
	{ SYS_getcwd, "getcwd" },
	{ SYS_epoll_create1, "epoll_create" },
	{ SYS_epoll_ctl, "epoll_ctl" },
	{ SYS_ppoll, "poll" },
	{ SYS_madvise, "madvise" },
	{ SYS_getrandom, "getrandom" },
	{ SYS_getpid, "getpid" },
	{ SYS_getppid, "getppid" },
	{ SYS_geteuid, "geteuid" },
	{ SYS_pidfd_open, "pidfd_open" },
	{ SYS_kill, "kill" },
	{ SYS_prctl, "prctl" },
	{ SYS_rt_sigaction, "sigaction" },
	{ SYS_rt_sigprocmask, "sigprocmask" },
	{ SYS_rt_sigtimedwait, "sigwait" },
	{ SYS_clone, "fork" },
	{ SYS_clone3, "fork" },
	{ SYS_execve, "exec" },
	{ SYS_wait4, "wait" },
	{ SYS_waitid, "wait" },
	{ SYS_exit_group, "exit" },
#ifdef SYS_mmap
	{ SYS_mmap, NOTHING },
#endif
#ifdef SYS_newfstatat
	{ SYS_fstat, "stat" },
	{ SYS_newfstatat, "stat" },
#endif
#ifdef SYS_fcntl64 /* machines of 32 bits */
	{ SYS_clock_gettime64, NOTHING },
	{ SYS_futex_time64, NOTHING },
	{ SYS_mmap2, NOTHING },
	{ SYS_ugetrlimit, NOTHING },
	{ SYS__llseek, "lseek" },
	{ SYS_fcntl64, "fcntl" },
	{ SYS_fstat64, "stat" },
	{ SYS_fstatat64, "stat" },
	{ SYS_fstatfs64, "statfs" },
	{ SYS_geteuid32, "geteuid" },
	{ SYS_ppoll_time64, "poll" },
	{ SYS_rt_sigtimedwait_time64, "sigwait" },
#endif
#ifdef SYS_open /* machines older than calls that take a directory */
	{ SYS_open, "open" },
	{ SYS_stat, "stat" },
	{ SYS_lstat, "stat" },
	{ SYS_access, "access" },
	{ SYS_link, "link" },
	{ SYS_unlink, "unlink" },
	{ SYS_mknod, "mknod" },
	{ SYS_poll, "poll" },
	{ SYS_fork, "fork" },
	{ SYS_vfork, "fork" },
#endif
};

/* NULL: it has none. */
static const char *name_of(const struct call *call)
{
	/* one that gives way, and one that only looks */
	if (call->number == SYS_epoll_pwait)
		return call->arguments[3] ? "sleep" : "epoll_wait";
	for (size_t i = 0; i < COUNT(names); i++)
		if (names[i].number == call->number)
			return names[i].name;
	return NULL;
}

static void append_call(char list[CALLS_SIZE], const struct call *call)
{
	size_t length = strlen(list), room = CALLS_SIZE - length;
	const char *blank = length > 0 ? " " : "", *name = name_of(call);

	if (!name)
		snprintf(list + length, room, "%s%ld", blank, call->number);
	else if (*name)
		snprintf(list + length, room, "%s%s", blank, name);
}

void calls_list(char ret[CALLS_SIZE], const struct trace *trace, const struct selection *selection)
{
	ret[0] = '\0';
	for (size_t i = 0; i < trace->count; i++) {
		const struct call *call = &trace->calls[i];

		if (!call->by_loader && call->process == selection->process &&
		    call->image == selection->image && call->marks == selection->marks)
			append_call(ret, call);
	}
}

static size_t word_length(const char *list)
{
	return strcspn(list, " ?");
}

static bool may_be_missing(const char *word)
{
	return word[word_length(word)] == '?';
}

static const char *next_word(const char *list)
{
	list += strcspn(list, " ");
	return list + strspn(list, " ");
}

static bool same_word(const char *a, const char *b)
{
	size_t length = word_length(a);

	return length > 0 && length == word_length(b) && strncmp(a, b, length) == 0;
}

/* Goes on in both to where they part, or to their ends. */
static void skip_same(const char **seen, const char **expected)
{
	while (**expected != '\0') {
		if (same_word(*seen, *expected))
			*seen = next_word(*seen);
		else if (!may_be_missing(*expected))
			return;
		*expected = next_word(*expected);
	}
}

void assert_calls(const char *what, const char *seen, const char *expected)
{
	const char *seen_rest = seen, *expected_rest = expected;

	skip_same(&seen_rest, &expected_rest);
	ck_assert_msg(*seen_rest == '\0' && *expected_rest == '\0',
	              "%s: other system calls than the table has\n"
	              "expected: %s\nseen:     %s\n"
	              "they part here\nexpected: %s\nseen:     %s",
	              what, expected, seen, expected_rest, seen_rest);
}
