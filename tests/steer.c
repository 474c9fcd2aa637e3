/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "steer.h"

#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/mman.h>

#define MAX_RULES 256
#define MAX_CALLS 65536

enum kind { RESULT, MADE, SHORT, BEFORE, AFTER };

struct rule {
	enum kind kind;
	const char *call;
	int nth;
	atomic_int seen;
	long long result;
	void (*hook)(void *);
	void *argument;
};

static struct rule rules[MAX_RULES];
static atomic_int rule_count;
static const char *_Atomic calls[MAX_CALLS];
static atomic_int call_count;
static bool never_wipes;      /* the kernel, memory in children */
static __thread bool in_hook; /* calls of a hook are not steered; those of other threads are */

#define NO_LIMIT SIZE_MAX
static __thread size_t limit = NO_LIMIT; /* of the present call, in bytes */

static const char *watched_name;
static int watched_opens;
static __thread struct steer_call current_call;
static const struct steer_clockwork *_Atomic works;

#define CLOCKS          2
#define PIDFS_TYPE      0x50494446UL
#define ANON_INODE_TYPE 0x09041934UL

static struct {
	int no_tmpfile;
	bool no_proc, no_wipe, no_pidfs, no_pauses, quick_waits;
	const char *unopenable;
	int unopenable_error;
	unsigned long file_system;
	int64_t ahead_ns[CLOCKS];
} other_system;

static bool is_call(const char *pattern, const char *call)
{
	return strcmp(pattern, ANY_CALL) == 0 || strcmp(pattern, call) == 0;
}

/* Those that have their place in calls[]; another thread may be about to add one. */
static int noted_calls(void)
{
	int count = call_count < MAX_CALLS ? call_count : MAX_CALLS;

	while (count > 0 && !calls[count - 1])
		count--;
	return count;
}

static void add_rule(struct rule rule)
{
	if (rule_count == MAX_RULES)
		abort();
	rules[rule_count++] = rule;
}

void steer_result(const char *call, int nth, long long result)
{
	add_rule((struct rule){ .kind = RESULT, .call = call, .nth = nth, .result = result });
}

void steer_made(const char *call, int nth, long long result)
{
	add_rule((struct rule){ .kind = MADE, .call = call, .nth = nth, .result = result });
}

void steer_short(const char *call, int nth, size_t size)
{
	add_rule((struct rule){
		.kind = SHORT, .call = call, .nth = nth, .result = (long long)size });
}

void steer_before(const char *call, int nth, void (*hook)(void *), void *argument)
{
	add_rule((struct rule){ BEFORE, call, nth, 0, 0, hook, argument });
}

void steer_after(const char *call, int nth, void (*hook)(void *), void *argument)
{
	add_rule((struct rule){ AFTER, call, nth, 0, 0, hook, argument });
}

void steer_no_tmpfile(int error)
{
	other_system.no_tmpfile = error;
}

void steer_no_proc(void)
{
	other_system.no_proc = true;
}

void steer_no_wipe(void)
{
	other_system.no_wipe = true;
}

void steer_no_pidfs(void)
{
	other_system.no_pidfs = true;
}

void steer_file_system(unsigned long type)
{
	other_system.file_system = type;
}

void steer_clock(int clock, int64_t ahead_ns)
{
	if (clock < 0 || clock >= CLOCKS)
		abort();
	other_system.ahead_ns[clock] = ahead_ns;
}

void steer_no_pauses(void)
{
	other_system.no_pauses = true;
}

void steer_clockwork(const struct steer_clockwork *clockwork)
{
	works = clockwork;
}

static int64_t stopped_clock(int clock)
{
	struct timespec now = { .tv_sec = 1000 };

	if (clock == CLOCK_REALTIME) /* with which the times of files are compared */
		clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

void steer_fork_without_timeout(void)
{
	static const struct steer_clockwork stopped = { .clock_ns = stopped_clock };

	steer_clockwork(&stopped);
}

void steer_quick_waits(void)
{
	other_system.quick_waits = true;
}

void steer_unopenable(const char *name, int error)
{
	other_system.unopenable = name;
	other_system.unopenable_error = error;
}

void steer_reset(void)
{
	works = NULL;
	rule_count = 0;
	memset(calls, 0, (size_t)noted_calls() * sizeof(calls[0]));
	call_count = 0;
	in_hook = false;
	watched_name = NULL;
	memset(&other_system, 0, sizeof(other_system));
}

void steer_watch_opens(const char *name)
{
	watched_name = name;
	watched_opens = 0;
}

int steer_opens(void)
{
	return watched_opens;
}

int steer_count(const char *call)
{
	int count = 0;

	for (int i = 0; i < noted_calls(); i++)
		count += calls[i] && is_call(call, calls[i]);
	return count;
}

const struct steer_call *steer_call(void)
{
	return &current_call;
}

static const char *without_prefix(const char *call)
{
	return strncmp(call, "sys_", 4) == 0 ? call + 4 : call;
}

/* Where no memory can be wiped the library asks for the PID in between. */
static bool is_besides(const char *call)
{
	return never_wipes && strcmp(call, "sys_getpid") == 0;
}

const char *steer_trace(void)
{
	static char *trace;
	size_t length = 1;

	for (int i = 0; i < noted_calls(); i++)
		length += strlen(calls[i]) + 1;
	free(trace);
	trace = calloc(1, length);
	for (int i = 0; i < noted_calls(); i++)
		if (!is_besides(calls[i]))
			strcat(strcat(trace, without_prefix(calls[i])), " ");
	return trace;
}

static bool applies(struct rule *rule, enum kind kind, const char *call)
{
	if (rule->kind != kind || !is_call(rule->call, call))
		return false;
	return ++rule->seen == rule->nth || rule->nth == EVERY;
}

static void run_hooks(enum kind kind, const char *call)
{
	in_hook = true;
	current_call.name = call;
	for (int i = 0; i < rule_count; i++)
		if (applies(&rules[i], kind, call))
			rules[i].hook(rules[i].argument);
	in_hook = false;
}

/* Returns whether the call is replaced by *ret_result. */
static bool enter(const char *call, long long *ret_result)
{
	bool replaced = false;
	int number;

	limit = NO_LIMIT;
	if (in_hook)
		return false;
	number = call_count++;
	if (number < MAX_CALLS)
		calls[number] = call;
	run_hooks(BEFORE, call);
	for (int i = 0; i < rule_count; i++)
		if (applies(&rules[i], SHORT, call))
			limit = (size_t)rules[i].result;
	for (int i = 0; i < rule_count; i++) {
		if (applies(&rules[i], RESULT, call)) {
			*ret_result = rules[i].result;
			replaced = true;
		}
	}
	return replaced;
}

static void tell_hooks(int fd, int flags)
{
	if (in_hook)
		return;
	current_call.fd = fd;
	current_call.flags = flags;
}

bool steer_enter(const char *call, long long *ret_result)
{
	return enter(call, ret_result);
}

static void leave(const char *call)
{
	if (!in_hook)
		run_hooks(AFTER, call);
}

/* It was made: is the caller told another result? */
static bool misled(const char *call, long long *ret_result)
{
	bool misled = false;

	for (int i = 0; i < rule_count && !in_hook; i++) {
		if (applies(&rules[i], MADE, call)) {
			*ret_result = rules[i].result;
			misled = true;
		}
	}
	return misled;
}

static size_t limited(size_t size)
{
	return size < limit ? size : limit;
}

#define WRAP(type, name, parameters, arguments) \
	type __real_##name parameters;          \
	WRAP_BY(type, name, __real_##name, parameters, arguments)

/* Of a descriptor. */
#define WRAP_FD(type, name, parameters, arguments) \
	type __real_##name parameters;             \
	WRAP_AS(type, name, __real_##name, parameters, arguments, fd, 0)

/* With a function of ours in place of the real one. */
#define WRAP_BY(type, name, by, parameters, arguments) \
	WRAP_AS(type, name, by, parameters, arguments, -1, 0)

/* Times have more bits than some pointers. */
#define AS(type, result) (type) _Generic((type)0, void * : (intptr_t)(result), default : (result))

#define WRAP_AS(type, name, by, parameters, arguments, of_fd, with_flags) \
	type __wrap_##name parameters;                                    \
	type __wrap_##name parameters                                     \
	{                                                                 \
		long long result;                                         \
		type value;                                               \
                                                                          \
		tell_hooks(of_fd, with_flags);                            \
		if (enter(#name, &result))                                \
			return AS(type, result);                          \
		value = by arguments;                                     \
		leave(#name);                                             \
		if (misled(#name, &result))                               \
			return AS(type, result);                          \
		return value;                                             \
	}

static bool is_missing(const char *name)
{
	return other_system.no_proc && strncmp(name, "/proc/", 6) == 0;
}

static bool is_unopenable(int dirfd, const char *name, int flags)
{
	struct stat st;

	return other_system.unopenable && strcmp(name, other_system.unopenable) == 0 &&
	       !(flags & O_CREAT) && fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

int __real_sys_openat(int dirfd, const char *name, int flags, mode_t mode);
static int other_openat(int dirfd, const char *name, int flags, mode_t mode)
{
	if (!in_hook && watched_name && strcmp(name, watched_name) == 0)
		watched_opens++;
	if (other_system.no_tmpfile && (flags & O_TMPFILE) == O_TMPFILE)
		return -other_system.no_tmpfile;
	if (is_unopenable(dirfd, name, flags))
		return -other_system.unopenable_error;
	return is_missing(name) ? -ENOENT : __real_sys_openat(dirfd, name, flags, mode);
}

/* Is it the file of this name that this descriptor has, in whatever directory? */
static bool is_of_name(int fd, const char *name)
{
	char link[64], path[4096];
	const char *last;
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/thread-self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	path[n > 0 ? n : 0] = '\0';
	last = strrchr(path, '/');
	return last && strcmp(last + 1, name) == 0;
}

int __real_sys_reopen(int fd, int flags);
static int other_reopen(int fd, int flags)
{
	if (!in_hook && watched_name && is_of_name(fd, watched_name))
		watched_opens++;
	if (other_system.unopenable && is_of_name(fd, other_system.unopenable))
		return -other_system.unopenable_error;
	return other_system.no_proc ? -ENOENT : __real_sys_reopen(fd, flags);
}

int __real_sys_link_proc(int fd, int dirfd, const char *name);
static int other_link_proc(int fd, int dirfd, const char *name)
{
	return other_system.no_proc ? -ENOENT : __real_sys_link_proc(fd, dirfd, name);
}

int __real_sys_readlinkat(int dirfd, const char *name, char *buf, size_t size);
static int other_readlinkat(int dirfd, const char *name, char *buf, size_t size)
{
	int r = is_missing(name) ? -ENOENT : __real_sys_readlinkat(dirfd, name, buf, size);

	return r < 0 ? r : (int)limited((size_t)r);
}

/* To ask for less would be an error. */
int __real_sys_fgetxattr(int fd, const char *name, void *buf, size_t size);
static int other_fgetxattr(int fd, const char *name, void *buf, size_t size)
{
	int r = __real_sys_fgetxattr(fd, name, buf, size);

	return r < 0 ? r : (int)limited((size_t)r);
}

static int shortened(int timeout_ms)
{
	return other_system.quick_waits && (timeout_ms > 1 || timeout_ms < 0) ? 1 : timeout_ms;
}

int __real_sys_epoll_wait(int epoll, int timeout_ms, const sigset_t *mask);
static int other_epoll_wait(int epoll, int timeout_ms, const sigset_t *mask)
{
	return works && works->epoll_wait ?
	               works->epoll_wait(epoll, timeout_ms, mask) :
	               __real_sys_epoll_wait(epoll, shortened(timeout_ms), mask);
}

int __real_sys_timer_set(int timer, int timeout_ms);
static int other_timer_set(int timer, int timeout_ms)
{
	return __real_sys_timer_set(timer, shortened(timeout_ms));
}

int __real_sys_fstatfs_type(int fd, unsigned long *ret);
static int other_fstatfs_type(int fd, unsigned long *ret)
{
	int r = __real_sys_fstatfs_type(fd, ret);

	if (r < 0)
		return r;
	if (*ret == PIDFS_TYPE)
		*ret = other_system.no_pidfs ? ANON_INODE_TYPE : PIDFS_TYPE;
	else if (other_system.file_system)
		*ret = other_system.file_system;
	return r;
}

void *__real_sys_map_wiped(size_t size, bool *ret_wiped);
static void *other_map_wiped(size_t size, bool *ret_wiped)
{
	void *memory;

	if (!other_system.no_wipe) {
		memory = __real_sys_map_wiped(size, ret_wiped);
		never_wipes = memory && !*ret_wiped;
		return memory;
	}
	*ret_wiped = false;
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return memory == MAP_FAILED ? NULL : memory;
}

int64_t __real_sys_clock_ns(int clock);
static int64_t other_clock_ns(int clock)
{
	int64_t ahead = clock >= 0 && clock < CLOCKS ? other_system.ahead_ns[clock] : 0;

	return works && works->clock_ns ? works->clock_ns(clock) :
	                                  __real_sys_clock_ns(clock) + ahead;
}

int __real_sys_poll(struct pollfd *fds, nfds_t count, int timeout_ms);
static int other_poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
	if (works && works->poll)
		return works->poll(fds, count, timeout_ms);
	if (other_system.no_pauses && count == 0)
		timeout_ms = 0;
	return __real_sys_poll(fds, count, timeout_ms);
}

int __real_sys_sleep_ns(long ns);
static int other_sleep_ns(long ns)
{
	return works && works->sleep_ns ? works->sleep_ns(ns) : __real_sys_sleep_ns(ns);
}

WRAP_AS(int, sys_openat, other_openat, (int dirfd, const char *name, int flags, mode_t mode),
        (dirfd, name, flags, mode), -1, flags)
#define WRAP_VOID(name, parameters, arguments)   \
	void __real_##name parameters;           \
	void __wrap_##name parameters;           \
	void __wrap_##name parameters            \
	{                                        \
		long long result;                \
                                                 \
		if (!enter(#name, &result)) {    \
			__real_##name arguments; \
			leave(#name);            \
		}                                \
	}

WRAP(int, sys_open_path, (int dirfd, const char *name), (dirfd, name))
WRAP_AS(int, sys_reopen, other_reopen, (int fd, int flags), (fd, flags), fd, flags)
WRAP_FD(int, sys_close, (int fd), (fd))
WRAP_FD(int, sys_close_two, (int fd, int other), (fd, other))
WRAP_FD(int, sys_fstat, (int fd, struct stat *ret), (fd, ret))
WRAP(int, sys_fstatat, (int dirfd, const char *name, struct stat *ret), (dirfd, name, ret))
WRAP(uint64_t, sys_mount_id, (const char *name), (name))
WRAP(int, sys_refresh, (int dirfd, const char *dir), (dirfd, dir))
WRAP_FD(int, sys_flags, (int fd), (fd))
WRAP_BY(int, sys_fstatfs_type, other_fstatfs_type, (int fd, unsigned long *ret), (fd, ret))
WRAP_FD(int, sys_pread, (int fd, void *buf, size_t size, int64_t offset),
        (fd, buf, limited(size), offset))
WRAP_FD(int, sys_pwrite, (int fd, const void *buf, size_t size), (fd, buf, limited(size)))
WRAP_FD(int64_t, sys_lseek, (int fd, int64_t offset, int whence), (fd, offset, whence))
WRAP_FD(int, sys_ftruncate, (int fd, int64_t size), (fd, size))
WRAP_FD(int, sys_fchmod, (int fd, mode_t mode), (fd, mode))
WRAP_AS(int, sys_fgetxattr, other_fgetxattr, (int fd, const char *name, void *buf, size_t size),
        (fd, name, buf, size), fd, 0)
WRAP_FD(int, sys_fsetxattr, (int fd, const char *name, const void *buf, size_t size),
        (fd, name, buf, size))
WRAP_BY(int, sys_readlinkat, other_readlinkat,
        (int dirfd, const char *name, char *buf, size_t size), (dirfd, name, buf, size))
WRAP_FD(int, sys_write_lock, (int fd), (fd))
WRAP_FD(int, sys_is_write_locked, (int fd), (fd))
WRAP_FD(int, sys_link_fd, (int fd, int dirfd, const char *name), (fd, dirfd, name))
WRAP_AS(int, sys_link_proc, other_link_proc, (int fd, int dirfd, const char *name),
        (fd, dirfd, name), fd, 0)
WRAP(int, sys_rename, (int dirfd, const char *from, const char *to), (dirfd, from, to))
WRAP(int, sys_rename_noreplace, (int dirfd, const char *from, const char *to), (dirfd, from, to))
WRAP(int, sys_may_write, (int dirfd), (dirfd))
WRAP(int, sys_unlinkat, (int dirfd, const char *name, int flags), (dirfd, name, flags))
WRAP(pid_t, sys_getpid, (void), ())
WRAP(int, sys_pidfd_open, (pid_t pid), (pid))
WRAP_FD(int, sys_pidfd_send_signal, (int fd, int signal), (fd, signal))
WRAP(int, sys_kill, (pid_t pid, int signal), (pid, signal))
WRAP_BY(int, sys_poll, other_poll, (struct pollfd * fds, nfds_t count, int timeout_ms),
        (fds, count, timeout_ms))
WRAP_FD(int, sys_read, (int fd, void *buf, size_t size), (fd, buf, limited(size)))
WRAP_FD(int, sys_write, (int fd, const void *buf, size_t size), (fd, buf, limited(size)))
WRAP_FD(int, sys_lock_byte, (int fd, short type, int byte), (fd, type, byte))
WRAP_FD(int, sys_is_byte_locked, (int fd, int byte), (fd, byte))
WRAP_FD(int, sys_unlock_bytes, (int fd), (fd))
WRAP(int, sys_mkfifoat, (int dirfd, const char *name, mode_t mode), (dirfd, name, mode))
WRAP(uid_t, sys_geteuid, (void), ())
WRAP(int, sys_epoll_create, (void), ())
WRAP(int, sys_epoll_add, (int epoll, int fd, uint32_t events, bool counts),
     (epoll, fd, events, counts))
WRAP_BY(int, sys_epoll_wait, other_epoll_wait, (int epoll, int timeout_ms, const sigset_t *mask),
        (epoll, timeout_ms, mask))
WRAP(int, sys_timer_create, (void), ())
WRAP_BY(int, sys_timer_set, other_timer_set, (int timer, int timeout_ms), (timer, timeout_ms))
WRAP_BY(int, sys_sleep_ns, other_sleep_ns, (long ns), (ns))
WRAP(bool, sys_has_interrupting_handlers, (const sigset_t *mask), (mask))
WRAP(bool, sys_has_restarting_handlers, (const sigset_t *mask, sigset_t *ret_signals),
     (mask, ret_signals))
WRAP(bool, sys_let_in, (const sigset_t *signals), (signals))
WRAP(int, sys_signalfd, (const sigset_t *signals), (signals))
WRAP_VOID(sys_block_signals, (sigset_t * ret_before), (ret_before))
WRAP_VOID(sys_restore_signals, (const sigset_t *before), (before))
WRAP(int, sys_getrandom, (void *buf, size_t size), (buf, limited(size)))
WRAP_BY(void *, sys_map_wiped, other_map_wiped, (size_t size, bool *ret_wiped), (size, ret_wiped))
WRAP_BY(int64_t, sys_clock_ns, other_clock_ns, (int clock), (clock))
