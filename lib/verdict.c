/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The verdict on a regular file, the first row that fits:
 *
 *	kernel	attribute		recorded process	verdict
 *	lock
 *	-	none (over 4 KiB)	-			alien
 *	-	none (over 64 bytes)	no valid PID		alien
 *	held	ours, not inheritable,	dead or a zombie, or	stale: a leaked copy of
 *		its PID means here	its PID was reused	the descriptor is left
 *		what it says
 *	held	any			any			busy
 *	none	of another file		any			stale: a copy, which
 *								nobody holds
 *	none	ours			a handle of this one	busy
 *	none	ours, of this boot,	any			stale
 *		abandoned
 *	none	ours, comparable	this very one, and the	busy: another copy of the
 *				same program image		library has it
 *	none	ours, comparable	this very one		stale: our former image,
 *								before exec
 *	none	ours, comparable	alive and the same	busy: its descriptor was
 *								closed externally, or who
 *								held it for this process
 *								has ended
 *	none	ours, comparable	dead, or PID reused	stale
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
 * The attribute counts only if it names this file, and beside content that begins with
 * what we write; more may have been written to the file by mistake.  A kernel lock is
 * one for writing: whoever may read a file may lock it for reading, and holds nothing
 * by that.  It is of this boot, so that the PID in a locked file can be compared even
 * if its maker, or we, were shown no boot ID or another one.  An inheritable lock is
 * held by whoever has a copy of the descriptor, until that process adopts it.  "On a
 * network" is a file system whose users may be on another machine, where the lack of a
 * lock proves nothing unless the caller says that its kernel locks are those of all.
 */
#include <config.h>

#include "verdict.h"

#include "filesystem.h"
#include "object.h"
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
	pid_t pid;     /* 0: no valid one */
	size_t length; /* of the content, as far as it was read */
	/* its start */
	char content[RECORD_CONTENT_SIZE];
	bool ours;            /* it has a record of ours, which counts */
	bool copied;          /* it has one that was written to another file */
	bool this_boot;       /* the record is of this boot */
	struct record record; /* if ours */
	struct owner self;    /* who reads it */
};

/* Does the content begin as the file of this process does?  More may have been written to it. */
static bool begins_as_ours(const struct statement *says, pid_t pid)
{
	char expected[RECORD_CONTENT_SIZE];
	size_t length = record_format_content(pid, expected);

	return says->length >= length && memcmp(says->content, expected, length) == 0;
}

/*
 * Does the record count?  Not in a file that another program has written its own PID to,
 * or that a holder has emptied.
 */
static bool is_content_of(const struct statement *says, pid_t recorded)
{
	if (says->pid == 0)
		return says->length > RECORD_DAMAGED_MAX;
	return says->pid == recorded && begins_as_ours(says, recorded);
}

static int read_record(int fd, const struct stat *st, bool is_read, struct statement *ret)
{
	struct record *record = &ret->record;
	int r = pidfile_read_record(fd, record);

	if (r <= 0 || (is_read && !is_content_of(ret, record->owner.pid)))
		return r < 0 ? r : 0;
	ret->ours = pidfile_is_of_record(fd, st->st_ino, record);
	ret->copied = !ret->ours;
	ret->pid = ret->ours ? record->owner.pid : 0;
	return 0;
}

/* In pieces, since a thread may have little stack.  A file of ours is one of them. */
static int read_content(int fd, struct statement *ret)
{
	struct record_text text = { .length = 0 };
	char piece[RECORD_PIECE_SIZE];
	int r;

	do {
		r = sys_pread(fd, piece, sizeof(piece), (int64_t)text.length);
		if (r < 0)
			return r;
		if (text.length == 0)
			memcpy(ret->content, piece,
			       (size_t)r < sizeof(ret->content) ? (size_t)r : sizeof(ret->content));
		record_parse_piece(&text, piece, (size_t)r);
	} while (r == RECORD_PIECE_SIZE && text.length <= RECORD_FILE_MAX);
	ret->length = text.length;
	ret->pid = record_parsed_pid(&text);
	return 0;
}

/*
 * Not to be read is the file of a stranger whose write(2) may keep us waiting (object.c);
 * of that the attribute alone tells.
 */
static int read_statement(int fd, const struct stat *st, bool may_read, struct statement *ret)
{
	int r;

	*ret = (struct statement){ .pid = 0 };
	r = process_self(&ret->self);
	if (r < 0)
		return r;
	if (!may_read)
		return read_record(fd, st, false, ret);
	r = read_content(fd, ret);
	if (r < 0 || (ret->pid == 0 && ret->length <= RECORD_DAMAGED_MAX))
		return r;
	return read_record(fd, st, true, ret);
}

static int judge_locked(const struct statement *says)
{
	if (says->ours && !says->record.inheritable && says->this_boot &&
	    owner_state(&says->record.owner, &says->self) == OWNER_DEAD)
		return VERDICT_STALE;
	return VERDICT_BUSY;
}

/*
 * Was the record made since this machine started?  No kernel lock outlives its kernel,
 * whatever boot ID its maker was shown.  A boot ID that is hidden (ProcSubset=pid in
 * systemd.exec(5)) says nothing; then the recorded process is of this boot if it lives and
 * started at the recorded time.
 */
static bool is_of_this_boot(const struct statement *says, bool locked, int fd)
{
	const struct owner *maker = &says->record.owner;

	if (owner_same_boot(maker, &says->self))
		return true;
	if (filesystem_is_network(fd))
		return false;
	return locked || ((!owner_has_boot(maker) || !owner_has_boot(&says->self)) &&
	                  owner_has_same_start(maker, &says->self) &&
	                  owner_state(maker, &says->self) == OWNER_ALIVE);
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
	if (!says->this_boot)
		return judge_gone(judge, fd);
	if (says->record.let_go)
		return VERDICT_STALE;
	if (owner_state(owner, &says->self) != OWNER_ALIVE)
		return VERDICT_STALE;
	if (owner->pid != says->self.pid)
		return VERDICT_BUSY;
	/*
	 * This process made it, and no handle of this copy of the library has it: either
	 * another copy of the library in this process has, or our former image made it, or
	 * the handle that asks has just closed it.
	 */
	if (owner_same_image(owner, &says->self) && says->record.nonce != judge->nonce)
		return VERDICT_BUSY;
	return VERDICT_STALE;
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

/* May the content be read, without waiting for as long as a stranger likes? */
static int may_read(const struct object *object, int dirfd)
{
	int r = object_is_trusted(object->st.st_uid, dirfd, sys_geteuid());

	return r == 0 ? filesystem_reads_at_once(object->fd) : r;
}

/* Of a regular file, by what it says. */
static int judge_statement(const struct judge *judge, const struct object *object,
                           const struct statement *says)
{
	if (says->ours)
		return judge_ours(judge, object->fd, says);
	if (says->copied)
		return VERDICT_STALE;
	if (says->pid != 0)
		return judge_foreign(judge, object->fd, &object->st, says);
	return says->length == 0 && is_fresh(&object->st, judge->patience) ? VERDICT_BUSY :
	                                                                     VERDICT_DAMAGED;
}

static int judge_open(const struct judge *judge, struct judged *judged, int dirfd,
                      const struct object *object)
{
	struct statement says;
	int fd = object->fd, locked, readable, r;

	locked = r = sys_is_write_locked(fd);
	if (r >= 0)
		readable = r = may_read(object, dirfd);
	if (r >= 0)
		r = read_statement(fd, &object->st, readable, &says);
	if (r < 0)
		return locked == 1 ? VERDICT_BUSY : r;
	says.this_boot = says.ours && is_of_this_boot(&says, locked, fd);
	if (!says.ours && !says.copied &&
	    says.length > (says.pid ? RECORD_FILE_MAX : RECORD_DAMAGED_MAX))
		return VERDICT_ALIEN;
	if (!says.ours || (says.this_boot && owner_same_pids(&says.record.owner, &says.self)) ||
	    pidfile_find_nonce(says.record.nonce))
		judged->pid = says.pid;
	judged->ours = says.ours;
	judged->locked = locked;
	judged->inheritable = says.ours && says.record.inheritable;
	if (locked)
		return judge_locked(&says);
	if (!readable && !says.ours && !says.copied)
		return VERDICT_BUSY;
	return judge_statement(judge, object, &says);
}

static int judge_regular(const struct judge *judge, struct judged *judged, int dirfd,
                         struct object *object)
{
	int r = object_open(object, dirfd, judge->path->name, O_RDONLY);

	if (r < 0)
		return r == -EACCES || r == -EPERM ? VERDICT_BUSY : r;
	judged->dev = object->st.st_dev;
	judged->ino = object->st.st_ino;
	judged->owner = object->st.st_uid;
	judged->changed = object->st.st_ctim;
	return judge_open(judge, judged, dirfd, object);
}

static int judge_once(const struct judge *judge, struct judged *judged, int dirfd)
{
	struct object object;
	int r = object_find(&object, dirfd, judge->path->name);

	if (r < 0)
		return r == -ENOENT ? VERDICT_FREE : r;
	if (S_ISREG(object.st.st_mode))
		r = judge_regular(judge, judged, dirfd, &object);
	else
		r = VERDICT_ALIEN;
	judged->fd = object.fd;
	return r;
}

int verdict_judge(struct judged *ret, int dirfd, const struct judge *judge)
{
	int r = -EAGAIN, dir = 0;

	/* what was removed while it was judged is looked for again */
	for (int look = 0; (r == -EAGAIN || is_removed(r)) && look < LOOKS; look++) {
		*ret = (struct judged){ .fd = -1 };
		r = judge_once(judge, ret, dirfd);
		if (r < 0)
			verdict_release(ret);
		if (r == -ESTALE)
			dir = sys_refresh(dirfd, "");
	}
	/* another host has removed the directory itself */
	if (r == -ESTALE && dir == -ESTALE)
		return r;
	return r == -EAGAIN || is_removed(r) ? VERDICT_BUSY : r;
}

void verdict_release(struct judged *judged)
{
	if (judged->fd >= 0)
		sys_close(judged->fd);
	judged->fd = -1;
}

int verdict_holds(const struct judged *judged, int dirfd, const struct path *path)
{
	/* what was judged may have been found by a cached name */
	if (filesystem_is_network(judged->fd))
		sys_refresh(dirfd, "");
	return path_leads_to(dirfd, path->name, judged->dev, judged->ino);
}
