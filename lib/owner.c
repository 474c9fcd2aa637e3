/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Dead means: the kernel knows no process of that number, or only one that is
 * all zombie, or the number is by now that of a mere thread.  A process whose
 * first thread has exited lives as long as another thread does, although
 * proc(5) shows it as a zombie.  A process that we may not ask (EPERM, hidepid,
 * seccomp) is alive: to steal a living lock is worse than to wait for a dead
 * one.  Nothing here ever looks at the age of a file.
 */
#include <config.h>

#include "owner.h"

#include "image.h"
#include "proc.h"
#include "record.h"
#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIDFS_TYPE 0x50494446UL /* linux/magic.h, Linux 6.9 */

/* Room for the fields of /proc/PID/stat up to the start, which are 400 bytes at most; */
#define STAT_SIZE 512
/* and for a UUID. */
#define UUID_SIZE 40

/* Two numbers, and we are in a PID namespace below that of this /proc. */
static bool has_one_number(void)
{
	struct proc_field numbers = { .name = "NSpid" };

	if (proc_read_fields("/proc/self/status", &numbers, 1) < 0)
		return false;
	/* there is none before Linux 4.1 */
	return !numbers.is_found || !strchr(numbers.value, '\t');
}

/* The /proc of another PID namespace has another number for us, or none.  0 or 1. */
static int has_our_number(void)
{
	char self[16];
	int n = sys_readlinkat(AT_FDCWD, "/proc/self", self, sizeof(self) - 1);

	if (n <= 0)
		return n;
	self[n] = '\0';
	return atoi(self) == (int)sys_getpid();
}

/* Does /proc tell the truth of this process?  0, 1, or -errno. */
static int may_ask_proc(pid_t pid)
{
	int r = has_our_number();

	/* where it has our number by chance it does of ourselves alone */
	return r == 1 && pid != sys_getpid() ? has_one_number() : r;
}

/*
 * These give 0 where it is not known, and -errno.  The start of the first thread
 * is that of the process.  A process that runs in qemu-user reads of itself in
 * /proc/PID/stat when the emulator started, and others read there what is true;
 * here both read the same.
 */
static int read_start(pid_t pid, uint64_t *ret)
{
	char path[64], text[STAT_SIZE];
	int r = may_ask_proc(pid);

	*ret = 0;
	if (r < 1)
		return r;
	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", (int)pid, (int)pid);
	r = proc_read(path, text, sizeof(text));
	*ret = record_parse_start(text);
	return r;
}

/* A namespace is named by a link such as "pid:[4026531836]". */
static int read_namespace(const char *path, uint32_t *ret)
{
	char name[64], *number;
	int n = sys_readlinkat(AT_FDCWD, path, name, sizeof(name) - 1);

	name[n > 0 ? n : 0] = '\0';
	number = strchr(name, '[');
	*ret = number ? (uint32_t)strtoul(number + 1, NULL, 10) : 0;
	return n;
}

static int hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *p = memchr(digits, c, sizeof(digits) - 1);

	return p ? (int)(p - digits) : -1;
}

/* The boot ID is a UUID in text. */
static int read_boot(unsigned char ret[BOOT_ID_SIZE])
{
	char text[UUID_SIZE];
	unsigned int digits = 0;
	int r = proc_read("/proc/sys/kernel/random/boot_id", text, sizeof(text));

	memset(ret, 0, BOOT_ID_SIZE);
	for (const char *p = text; *p && digits < 2 * BOOT_ID_SIZE; p++) {
		int value = hex_digit(*p);

		if (value >= 0) {
			ret[digits / 2] = (unsigned char)(ret[digits / 2] << 4 | value);
			digits++;
		}
	}
	return r;
}

/* Before there was a pidfs all pidfds shared one inode. */
static int read_inode(int pidfd, uint64_t *ret)
{
	unsigned long type = 0;
	struct stat st;
	int r = sys_fstatfs_type(pidfd, &type);

	*ret = 0;
	if (r < 0 || type != PIDFS_TYPE)
		return r;
	r = sys_fstat(pidfd, &st);
	if (r == 0)
		*ret = st.st_ino;
	return r;
}

static int read_own_inode(pid_t pid, uint64_t *ret)
{
	int pidfd = sys_pidfd_open(pid), r;

	*ret = 0;
	if (pidfd < 0)
		return pidfd;
	r = read_inode(pidfd, ret);
	sys_close(pidfd);
	return r;
}

/* What is refused for good is unknown; what is short now may be had later. */
static bool is_short(int r)
{
	return r == -EMFILE || r == -ENFILE || r == -ENOMEM || r == -EINTR;
}

int owner_self(struct owner *ret)
{
	int results[5];

	ret->pid = sys_getpid();
	ret->image = image_token();
	results[0] = read_namespace("/proc/self/ns/pid", &ret->pid_namespace);
	/* not that of the process, which is that of its first thread, while it has one */
	results[1] = read_namespace("/proc/thread-self/ns/time", &ret->time_namespace);
	results[2] = read_start(ret->pid, &ret->start);
	results[3] = read_own_inode(ret->pid, &ret->pidfd_inode);
	results[4] = read_boot(ret->boot);
	for (int i = 0; i < 5; i++)
		if (is_short(results[i]))
			return results[i];
	return 0;
}

/* Does proc(5) say that it is a zombie, or that the number is that of a mere thread? */
static bool status_says_dead(pid_t pid)
{
	struct proc_field fields[] = { { "State", "", false },
		                       { "Tgid", "", false },
		                       { "Threads", "", false } };
	const struct proc_field *state = &fields[0], *tgid = &fields[1], *threads = &fields[2];
	char path[64];

	if (may_ask_proc(pid) < 1)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	proc_read_fields(path, fields, 3);
	if (tgid->is_found && atoi(tgid->value) != pid)
		return true;
	return state->is_found && strspn(state->value, "XZ") > 0 && threads->is_found &&
	       atoi(threads->value) <= 1;
}

/*
 * One look: 1, 0, or -ESRCH if the kernel knows no process of this number.  Where pidfds
 * are refused kill(2) tells less, and proc(5) the rest.
 */
static int look_at(pid_t pid, uint64_t *ret_inode)
{
	struct pollfd exited = { .events = POLLIN };
	bool alive;

	exited.fd = sys_pidfd_open(pid);
	switch (exited.fd) {
	case -ESRCH:
	case -EINVAL: /* a thread's number; */
	case -ENOENT: /* so since Linux 6.14 or so */
		return -ESRCH;
	}
	if (exited.fd < 0)
		return sys_kill(pid, 0) == -ESRCH ? -ESRCH : !status_says_dead(pid);
	alive = sys_poll(&exited, 1, 0) <= 0;
	if (alive && ret_inode)
		read_inode(exited.fd, ret_inode);
	sys_close(exited.fd);
	return alive;
}

/*
 * A thread that executes a program takes over the number of the first thread, which is
 * a zombie by then: at that instant a living process looks dead.  So what looks dead, and
 * is there, is looked at again.
 */
#define LOOKS    3
#define PAUSE_NS (100 * 1000L)

/* Is it alive?  *ret_inode, if asked for, is its pidfd's, 0 if that is not known. */
static bool probe(pid_t pid, uint64_t *ret_inode)
{
	int alive;

	if (ret_inode)
		*ret_inode = 0;
	alive = look_at(pid, ret_inode);
	for (int look = 1; alive == 0 && look < LOOKS; look++) {
		sys_sleep_ns(PAUSE_NS);
		alive = look_at(pid, ret_inode);
	}
	return alive == 1;
}

bool owner_pid_alive(pid_t pid)
{
	return probe(pid, NULL);
}

bool owner_has_boot(const struct owner *owner)
{
	static const unsigned char unknown[BOOT_ID_SIZE];

	return memcmp(owner->boot, unknown, BOOT_ID_SIZE) != 0;
}

bool owner_same_boot(const struct owner *a, const struct owner *b)
{
	return owner_has_boot(a) && memcmp(a->boot, b->boot, BOOT_ID_SIZE) == 0;
}

bool owner_same_pids(const struct owner *a, const struct owner *b)
{
	return a->pid_namespace != 0 && a->pid_namespace == b->pid_namespace;
}

bool owner_same_image(const struct owner *a, const struct owner *b)
{
	return a->pid == b->pid && a->image != 0 && a->image == b->image;
}

/*
 * Each time namespace counts from a zero of its own.  One that is unknown on
 * both sides, of two whose PID namespace is known, is the only one of a kernel
 * before Linux 5.6.
 */
static bool same_clock(const struct owner *a, const struct owner *b)
{
	return a->start != 0 && b->start != 0 && a->time_namespace == b->time_namespace;
}

bool owner_is_same(const struct owner *a, const struct owner *b)
{
	if (a->pid != b->pid || !owner_same_pids(a, b))
		return false;
	if (a->pidfd_inode != 0 && b->pidfd_inode != 0)
		return a->pidfd_inode == b->pidfd_inode;
	return !same_clock(a, b) || a->start == b->start;
}

/*
 * Whether it lives is asked last: what was read before is then not of a process that was
 * given its number.
 */
int owner_of(pid_t pid, const struct owner *self, struct owner *ret)
{
	int r;

	*ret = *self;
	ret->pid = pid;
	ret->image = 0;
	r = read_own_inode(pid, &ret->pidfd_inode);
	if (is_short(r))
		return r;
	r = read_start(pid, &ret->start);
	if (is_short(r))
		return r;
	return owner_pid_alive(pid) ? 0 : -ESRCH;
}

bool owner_has_same_start(const struct owner *recorded, const struct owner *self)
{
	uint64_t start = 0;

	if (same_clock(recorded, self))
		read_start(recorded->pid, &start);
	return start != 0 && start == recorded->start;
}

enum owner_state owner_state(const struct owner *recorded, const struct owner *self)
{
	bool by_inode = recorded->pidfd_inode != 0 && self->pidfd_inode != 0;
	bool by_start = same_clock(recorded, self);
	uint64_t inode, start = 0;

	if (!owner_same_pids(recorded, self))
		return OWNER_UNKNOWN;
	if (!probe(recorded->pid, &inode))
		return OWNER_DEAD;
	if (!by_inode && !by_start)
		return OWNER_UNKNOWN;
	if (by_inode && inode != 0)
		return inode == recorded->pidfd_inode ? OWNER_ALIVE : OWNER_DEAD;
	if (by_start)
		read_start(recorded->pid, &start);
	return start == 0 || start == recorded->start ? OWNER_ALIVE : OWNER_DEAD;
}

enum owner_state owner_identify(const struct owner *recorded, const struct owner *self, int pidfd)
{
	uint64_t inode = 0, start = 0;

	if (!owner_same_pids(recorded, self))
		return OWNER_UNKNOWN;
	if (!owner_pid_alive(recorded->pid))
		return OWNER_DEAD;
	if (recorded->pidfd_inode != 0)
		read_inode(pidfd, &inode);
	if (inode != 0)
		return inode == recorded->pidfd_inode ? OWNER_ALIVE : OWNER_DEAD;
	if (same_clock(recorded, self))
		read_start(recorded->pid, &start);
	if (start == 0)
		return OWNER_UNKNOWN;
	return start == recorded->start ? OWNER_ALIVE : OWNER_DEAD;
}

bool owner_is_of_user(pid_t pid, uid_t user)
{
	struct proc_field users = { .name = "Uid" };
	unsigned long real, effective, saved;
	char path[64];

	if (user == OVERFLOW_UID || may_ask_proc(pid) < 1)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	proc_read_fields(path, &users, 1);
	if (sscanf(users.value, "%lu %lu %lu", &real, &effective, &saved) != 3)
		return false;
	return user == real || user == saved;
}
