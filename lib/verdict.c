/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The verdict on a regular file, the first row that fits:
 *
 *	kernel	attribute		recorded process	verdict
 *	lock
 *	-	- (over 4 KiB)		-			alien
 *	-	- (over 64 bytes)	no valid PID		alien
 *	held	ours, not inheritable,	dead or a zombie	stale: a stray copy of
 *		its PID means here				the descriptor is left
 *		what it says
 *	held	any			any			busy
 *	none	ours			a handle of this one	busy
 *	none	ours, of this boot,	any			stale
 *		let go of
 *	none	ours, comparable	this very one		stale: our former image,
 *								before exec
 *	none	ours, comparable	alive and the same	busy: its descriptor was
 *								closed underneath
 *	none	ours, comparable	dead, or PID re-used	stale
 *	none	ours, of this boot	-			stale
 *	none	ours, another boot	-			stale; busy on a network
 *								without cluster locks
 *	none	none			this very one		stale if no handle has it
 *	none	none			alive			busy
 *	none	none			dead			stale; busy on a network
 *								without cluster locks
 *	none	none			no valid PID		damaged; busy while empty
 *								and fresh
 *
 * The attribute counts only beside the very content that we write.  A kernel
 * lock is one for writing: who may read a file may lock it for reading, and
 * holds nothing by that.  An inheritable lock is held by whoever has a copy of the
 * descriptor, until that one adopts it.  "On a network" is a file system whose
 * users may be on another machine, where the lack of a lock proves nothing unless
 * the caller says that its kernel locks are those of all hosts.
 */
#include <config.h>

#include "verdict.h"

#include "filesystem.h"
#include "pidfile.h"
#include "process.h"
#include "record.h"
#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>

/* How long the writer of an empty file may take from open(2) to write(2). */
#define NS_PER_S INT64_C(1000000000)
#define EMPTY_NS NS_PER_S

/* A name that changes its kind this often while we look is being played with. */
#define LOOKS 16

/* What a file says. */
struct statement {
	pid_t pid; /* 0: no valid one */
	size_t length;
	bool ours;
	struct record record; /* if ours */
	struct owner self;    /* who reads it */
};

static bool is_our_content(const char *content, size_t length, pid_t pid)
{
	char expected[RECORD_CONTENT_SIZE];
	size_t expected_length = record_format_content(pid, expected);

	return length == expected_length && memcmp(content, expected, length) == 0;
}

static int read_statement(int fd, struct statement *ret)
{
	char content[RECORD_FILE_MAX + 1];
	int r = sys_pread(fd, content, sizeof(content));

	if (r < 0)
		return r;
	ret->length = (size_t)r;
	r = process_self(&ret->self);
	if (r < 0)
		return r;
	ret->pid = record_parse_content(content, ret->length);
	ret->ours = false;
	if (ret->pid == 0 || !is_our_content(content, ret->length, ret->pid))
		return 0;
	r = pidfile_read_record(fd, &ret->record);
	if (r == 1)
		ret->ours = ret->record.owner.pid == ret->pid;
	return r < 0 ? r : 0;
}

static int judge_locked(const struct statement *says)
{
	if (says->ours && !says->record.inheritable &&
	    owner_same_pids(&says->record.owner, &says->self) && !owner_pid_alive(says->pid))
		return VERDICT_STALE;
	return VERDICT_BUSY;
}

/* The process that is recorded is not of this boot, or there is none. */
static int judge_gone(const struct judge *judge, int fd)
{
	return !judge->cluster_locks && filesystem_is_network(fd) ? VERDICT_BUSY : VERDICT_STALE;
}

static int judge_ours(const struct judge *judge, int fd, const struct statement *says)
{
	const struct owner *owner = &says->record.owner;

	if (pidfile_find_nonce(says->record.nonce))
		return VERDICT_BUSY;
	if (!owner_same_boot(owner, &says->self))
		return judge_gone(judge, fd);
	if (says->record.let_go)
		return VERDICT_STALE;
	if (owner_state(owner, &says->self) != OWNER_ALIVE)
		return VERDICT_STALE;
	/* no handle of ours has it: made before exec */
	return owner->pid == says->self.pid ? VERDICT_STALE : VERDICT_BUSY;
}

static int judge_foreign(const struct judge *judge, int fd, const struct stat *st,
                         const struct statement *says)
{
	if (says->pid == says->self.pid && !pidfile_find_inode(st->st_dev, st->st_ino))
		return VERDICT_STALE;
	if (owner_pid_alive(says->pid))
		return VERDICT_BUSY;
	return judge_gone(judge, fd);
}

static bool is_known(const struct patience *patience, const struct stat *st)
{
	return patience->since_ns != 0 && patience->dev == st->st_dev &&
	       patience->ino == st->st_ino && patience->changed.tv_sec == st->st_mtim.tv_sec &&
	       patience->changed.tv_nsec == st->st_mtim.tv_nsec;
}

/* In the future, or a second ago? */
static bool is_settled(const struct timespec *changed)
{
	int64_t now = sys_clock_ns(CLOCK_REALTIME), second = now / NS_PER_S, age;

	/* of a time that anybody may have set */
	if (changed->tv_sec > second || changed->tv_sec < second - 1)
		return true;
	age = (second - changed->tv_sec) * NS_PER_S + now % NS_PER_S - changed->tv_nsec;
	return age < 0 || age >= EMPTY_NS;
}

/*
 * By the file's clock, which may be another machine's, and by our own, which
 * needs us to come back.
 */
static bool is_fresh(const struct stat *st, struct patience *patience)
{
	int64_t now = sys_clock_ns(CLOCK_MONOTONIC);

	if (is_settled(&st->st_mtim))
		return false;
	if (!patience)
		return true;
	if (!is_known(patience, st))
		*patience = (struct patience){ st->st_dev, st->st_ino, st->st_mtim, now };
	return now - patience->since_ns < EMPTY_NS;
}

static int judge_open(const struct judge *judge, struct judged *judged, int fd,
                      const struct stat *st)
{
	struct statement says;
	int locked = sys_is_write_locked(fd), r;

	if (locked < 0)
		return locked;
	r = read_statement(fd, &says);
	if (r < 0)
		return locked ? VERDICT_BUSY : r;
	if (says.length > (says.pid ? RECORD_FILE_MAX : RECORD_DAMAGED_MAX))
		return VERDICT_ALIEN;
	if (!says.ours || owner_same_pids(&says.record.owner, &says.self) ||
	    pidfile_find_nonce(says.record.nonce))
		judged->pid = says.pid;
	judged->ours = says.ours;
	judged->locked = locked;
	judged->inheritable = says.ours && says.record.inheritable;
	if (locked)
		return judge_locked(&says);
	if (says.ours)
		return judge_ours(judge, fd, &says);
	if (says.pid != 0)
		return judge_foreign(judge, fd, st, &says);
	return says.length == 0 && is_fresh(st, judge->patience) ? VERDICT_BUSY : VERDICT_DAMAGED;
}

/*
 * Opens a regular file that was found at the name.  -EAGAIN: it is something
 * else by now; -EACCES: it is not for us to read.
 */
static int open_regular(int dirfd, const char *name, struct stat *ret)
{
	int fd = sys_openat(dirfd, name, PATH_OPEN_TO_READ, 0), r;

	switch (fd) {
	case -EPERM:
	case -EWOULDBLOCK: /* somebody has a lease on it */
		return -EACCES;
	case -ELOOP:
	case -ENXIO:
		return -EAGAIN;
	}
	if (fd < 0)
		return fd;
	r = sys_fstat(fd, ret);
	if (r == 0 && !S_ISREG(ret->st_mode))
		r = -EAGAIN;
	if (r < 0)
		sys_close(fd);
	return r < 0 ? r : fd;
}

static int judge_regular(const struct judge *judge, struct judged *judged, int dirfd)
{
	struct stat st;
	int fd = open_regular(dirfd, judge->path->name, &st);

	if (fd < 0)
		return fd == -EACCES ? VERDICT_BUSY : fd;
	judged->fd = fd;
	judged->dev = st.st_dev;
	judged->ino = st.st_ino;
	judged->owner = st.st_uid;
	judged->changed = st.st_ctim;
	return judge_open(judge, judged, fd, &st);
}

/*
 * Another implementation makes PATH a link to PATH-DIGITS in the same
 * directory, plain or with the directory part that it was given.
 */
static const char *target_name(const struct path *path, const char *target)
{
	size_t length = strlen(path->name), given = strlen(path->given) - length;
	size_t dir = strlen(path->dir);
	const char *digits;

	if (given > 0 && strncmp(target, path->given, given) == 0)
		target += given;
	else if (strncmp(target, path->dir, dir) == 0)
		target += dir;
	if (strncmp(target, path->name, length) != 0 || target[length] != '-')
		return NULL;
	digits = target + length + 1;
	return *digits && digits[strspn(digits, "0123456789")] == '\0' ? target : NULL;
}

static int open_link(struct judged *judged, int dirfd, const struct path *path, struct stat *ret)
{
	char target[PATH_MAX];
	const char *name;
	int r;

	judged->fd = sys_openat(dirfd, path->name, O_PATH | O_NOFOLLOW, 0);
	if (judged->fd < 0)
		return judged->fd;
	r = sys_fstat(judged->fd, ret);
	if (r < 0)
		return r;
	if (!S_ISLNK(ret->st_mode))
		return -EAGAIN;
	judged->dev = ret->st_dev;
	judged->ino = ret->st_ino;
	r = sys_readlinkat(judged->fd, "", target, sizeof(target));
	if (r < 0 || (size_t)r == sizeof(target))
		return r < 0 ? r : VERDICT_ALIEN;
	target[r] = '\0';
	name = target_name(path, target);
	if (!name || strlen(name) > NAME_MAX)
		return VERDICT_ALIEN;
	strcpy(judged->target, name);
	return 0;
}

static int judge_link(const struct judge *judge, struct judged *judged, int dirfd)
{
	struct stat link, st;
	struct record record;
	int r = open_link(judged, dirfd, judge->path, &link);

	if (r != 0)
		return r;
	r = sys_fstatat(dirfd, judged->target, &st);
	if (r < 0)
		return r == -ENOENT ? VERDICT_STALE : r;
	if (!S_ISREG(st.st_mode) || st.st_uid != link.st_uid)
		return VERDICT_ALIEN;
	r = open_regular(dirfd, judged->target, &st);
	if (r < 0)
		return r == -EACCES ? VERDICT_BUSY : r;
	judged->target_fd = r;
	judged->target_dev = st.st_dev;
	judged->target_ino = st.st_ino;
	/* a lock file of ours is its own lock, with a right to replace of its own */
	if (st.st_uid != link.st_uid || pidfile_read_record(r, &record) == 1)
		return VERDICT_ALIEN;
	return judge_open(judge, judged, judged->target_fd, &st);
}

static int judge_once(const struct judge *judge, struct judged *judged, int dirfd)
{
	struct stat st;
	int r = sys_fstatat(dirfd, judge->path->name, &st);

	if (r < 0)
		return r == -ENOENT ? VERDICT_FREE : r;
	if (S_ISLNK(st.st_mode))
		return judge_link(judge, judged, dirfd);
	/* never opened: that may wake a FIFO's writer or move a tape */
	if (!S_ISREG(st.st_mode))
		return VERDICT_ALIEN;
	return judge_regular(judge, judged, dirfd);
}

int verdict_judge(struct judged *ret, int dirfd, const struct judge *judge)
{
	int r = -EAGAIN;

	for (int look = 0; r == -EAGAIN && look < LOOKS; look++) {
		*ret = (struct judged){ .fd = -1, .target_fd = -1 };
		r = judge_once(judge, ret, dirfd);
		/* it vanished while it was judged */
		if (is_removed(r))
			r = -EAGAIN;
		if (r < 0)
			verdict_release(ret);
	}
	return r == -EAGAIN ? VERDICT_BUSY : r;
}

void verdict_release(struct judged *judged)
{
	if (judged->fd >= 0)
		sys_close(judged->fd);
	if (judged->target_fd >= 0)
		sys_close(judged->target_fd);
	judged->fd = judged->target_fd = -1;
}

int verdict_holds(const struct judged *judged, int dirfd, const struct path *path)
{
	return path_leads_to(dirfd, path->name, judged->dev, judged->ino);
}

int verdict_remove_target(const struct judged *judged, int dirfd, const struct path *path)
{
	int r;

	if (judged->target_fd < 0)
		return 0;
	r = verdict_holds(judged, dirfd, path);
	if (r == 1)
		r = path_leads_to(dirfd, judged->target, judged->target_dev, judged->target_ino);
	if (r == 1)
		r = sys_unlinkat(dirfd, judged->target, 0);
	return r == -ENOENT ? 0 : r;
}
