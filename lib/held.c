/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Is PATH our file?  Only then it is removed.  What was found must still be so
 * when unlink(2) is called: either nobody else may change it, or we have the
 * right to replace it (lock.c, "Release").
 */
#include <config.h>

#include "held.h"

#include "lock.h"
#include "object.h"
#include "sys.h"
#include "takeover.h"

#include <errno.h>
#include <fcntl.h>
#include <time.h>

/* Of a check that gives 1, 0 or -errno. */
static int result_of(int r)
{
	return r == 1 ? 0 : r == 0 || is_removed(r) ? LOCKFILE_PID_ERR_ROGUE_DELETION : r;
}

/* By way of our descriptor.  0, ROGUE_DELETION or -errno, as all of these. */
static int check_by_descriptor(const struct lockfile_pid *lock, int dirfd)
{
	int r = pidfile_is_at(&lock->file, dirfd, lock->path.name);

	if (r == 1)
		r = pidfile_remains(&lock->file);
	if (r == 1)
		r = pidfile_has_content(&lock->file, lock->file.descriptor.fd);
	return result_of(r);
}

/* Opens what the name leads to, if that is our file by all that can be seen unopened. */
static int open_ours(const struct lockfile_pid *lock, int dirfd, struct object *object)
{
	const struct pidfile *file = &lock->file;
	int r;

	if (!pidfile_is_local(file))
		sys_refresh(dirfd, "");
	r = object_find(object, dirfd, lock->path.name);
	if (r < 0)
		return r;
	if (!S_ISREG(object->st.st_mode) || object->st.st_dev != file->dev ||
	    object->st.st_ino != file->ino)
		return -ENOENT;
	/* the number may have been given again, to a stranger's file that we must not touch */
	r = object_is_trusted(object->st.st_uid, dirfd, file->owner);
	if (r < 1)
		return r < 0 ? r : -ENOENT;
	r = object_open(object, dirfd, lock->path.name, O_RDONLY);
	return r == -EAGAIN ? -ENOENT : r;
}

/* By way of what the name leads to.  Returns a descriptor of our file. */
static int open_by_name(const struct lockfile_pid *lock, int dirfd)
{
	struct object object = OBJECT_NONE;
	int r = open_ours(lock, dirfd, &object);

	if (r == 0)
		r = pidfile_has_nonce(&lock->file, object.fd);
	if (r == 1)
		return object.fd;
	object_close(&object);
	return result_of(r);
}

static int check_by_name(const struct lockfile_pid *lock, int dirfd)
{
	int fd = open_by_name(lock, dirfd), r;

	if (fd < 0)
		return fd;
	r = pidfile_has_content(&lock->file, fd);
	sys_close(fd);
	return result_of(r);
}

int held_check(const struct lockfile_pid *lock, int dirfd)
{
	if (pidfile_has_fd(&lock->file))
		return check_by_descriptor(lock, dirfd);
	return check_by_name(lock, dirfd);
}

/*
 * Does PATH lead to our file, which we have open?  1, 0 or -errno.  Nobody can tell after
 * chroot(2), when our names mean something else, or if the directory that a relative path
 * begins with was closed externally; then our file in our directory decides.
 */
static int is_at_path(const struct lockfile_pid *lock)
{
	const struct path *path = &lock->path;
	int base = path_base(path), r;

	if (!pidfile_is_local(&lock->file))
		sys_refresh(base, path->dir);
	r = path_leads_to(base, path->full, lock->file.dev, lock->file.ino);
	if (r != 1 && (r == -EBADF || path_has_other_root(path)) && path_is_kept_dir(&lock->dir))
		r = pidfile_is_at(&lock->file, lock->dir.fd, path->name);
	return r == -ENOTDIR ? 0 : r;
}

/* Without the directory there is no lock file in it. */
static int open_dir(const struct lockfile_pid *lock)
{
	int dirfd = path_open_dir(&lock->path);

	return dirfd == -ENOENT || dirfd == -ENOTDIR ? LOCKFILE_PID_ERR_ROGUE_DELETION : dirfd;
}

/* Is our file in the kept directory? */
static bool is_in_kept_dir(const struct lockfile_pid *lock, nlink_t *ret_links)
{
	struct stat st;

	if (sys_fstatat(lock->dir.fd, lock->path.name, &st) < 0 || st.st_dev != lock->file.dev ||
	    st.st_ino != lock->file.ino)
		return false;
	*ret_links = st.st_nlink;
	return true;
}

static int find_again(const struct lockfile_pid *lock, struct found *ret)
{
	int r = open_dir(lock);

	if (r < 0)
		return r;
	ret->dirfd = r;
	ret->opened = true;
	return 0;
}

/*
 * The kept directory is the right one if it has our file by its name, whatever became of
 * its descriptor; if it has not, that was closed externally, or files were moved by hand.
 * Then what PATH leads to must have it: the name may be another's in the meantime.
 */
int held_find_dir(const struct lockfile_pid *lock, bool has_fd, struct found *ret)
{
	int r;

	*ret = (struct found){ .dirfd = -1, .links = 1 };
	if (!has_fd)
		return find_again(lock, ret);
	r = is_at_path(lock);
	if (r != 1)
		return result_of(r);
	if (is_in_kept_dir(lock, &ret->links)) {
		ret->dirfd = lock->dir.fd;
		return 0;
	}
	r = find_again(lock, ret);
	return r < 0 ? r : result_of(pidfile_is_at(&lock->file, ret->dirfd, lock->path.name));
}

void held_close_dir(const struct found *found)
{
	if (found->opened)
		sys_close(found->dirfd);
}

static int verify_by_name(const struct lockfile_pid *lock)
{
	int dirfd = open_dir(lock), r;

	if (dirfd < 0)
		return dirfd;
	r = check_by_name(lock, dirfd);
	sys_close(dirfd);
	return r;
}

int held_verify(const struct lockfile_pid *lock)
{
	int r;

	if (!lock_is_held(lock))
		return LOCKFILE_PID_ERR_ROGUE_DELETION;
	if (!pidfile_has_fd(&lock->file))
		return verify_by_name(lock);
	r = is_at_path(lock);
	if (r == 1)
		r = pidfile_keeps_lock(&lock->file);
	if (r == 1)
		r = pidfile_has_content(&lock->file, lock->file.descriptor.fd);
	return result_of(r);
}

static int unlink_path(const struct lockfile_pid *lock, int dirfd)
{
	int r = sys_unlinkat(dirfd, lock->path.name, 0);

	return r == -ENOENT ? LOCKFILE_PID_ERR_ROGUE_DELETION : r;
}

/* Returns what queue_wake() does. */
static int wake(struct lockfile_pid *lock, int dirfd)
{
	int r = queue_wake(dirfd, &lock->path, lock->file.owner);

	if (r > 0)
		lock->yield.since_ns = sys_clock_ns(CLOCK_MONOTONIC);
	return r;
}

static int release_alone(struct lockfile_pid *lock, int dirfd)
{
	int r = result_of(pidfile_has_content(&lock->file, lock->file.descriptor.fd));

	return r == 0 ? unlink_path(lock, dirfd) : r;
}

static int release_by_right(struct lockfile_pid *lock, int dirfd)
{
	int r = held_check(lock, dirfd);

	if (r == 0)
		r = takeover_claim_patiently(lock, &lock->spare, dirfd);
	if (r < 0) {
		if (!lock->file.inheritable)
			pidfile_drop(&lock->spare);
		return r;
	}
	r = held_check(lock, dirfd);
	if (r == 0)
		r = unlink_path(lock, dirfd);
	takeover_withdraw(lock, &lock->spare, dirfd);
	return r;
}

/*
 * What was lost may be elsewhere, in a directory that was renamed, or that chroot(2)
 * put out of reach.  Who finds it there shall not take us for its holder, whose
 * descriptor was closed underneath.
 */
void held_lose(struct lockfile_pid *lock)
{
	if (lock_is_held(lock) && pidfile_has_fd(&lock->file))
		pidfile_mark_let_go(&lock->file, lock->file.descriptor.fd);
	lock_drop(lock);
}

/*
 * Can nobody take over what we hold?  A process that it is held for may have ended.  A
 * server that has forgotten our kernel lock may have let another host find our file stale;
 * it gives the lock back to who asks for it before that host has it, so that to ask proves
 * nothing.
 */
static bool holds_alone(const struct lockfile_pid *lock)
{
	return !lock->file.inheritable && !lock->file.holder && pidfile_is_local(&lock->file);
}

static int release_in(struct lockfile_pid *lock, int dirfd, bool *has_fd)
{
	int r;

	if (*has_fd && holds_alone(lock))
		return release_alone(lock, dirfd);
	r = release_by_right(lock, dirfd);
	/* which may have waited for a second */
	*has_fd = pidfile_has_fd(&lock->file);
	return r;
}

/*
 * Whether the kept directory is open for certain: our file was found in it just now, or, if
 * the release may have waited since, its number has the marks still.
 */
static bool is_kept_dir_open(const struct lockfile_pid *lock, const struct found *found)
{
	return found->dirfd >= 0 && !found->opened &&
	       (holds_alone(lock) || path_is_kept_dir(&lock->dir));
}

static void close_kept_dir(struct lockfile_pid *lock, bool has_fd, const struct found *found)
{
	if (has_fd && is_kept_dir_open(lock, found))
		fd_close(&lock->dir);
	else
		path_drop_dir(&lock->dir, !has_fd);
}

static bool is_table_full(int error)
{
	return error == -EMFILE || error == -ENFILE;
}

/* What is over is closed.  Whoever waits is woken before, and after if it takes a descriptor. */
static void finish(struct lockfile_pid *lock, int r, bool has_fd, const struct found *found)
{
	int woken = r == 0 ? wake(lock, found->dirfd) : 0;

	/* who finds it by another name, or elsewhere, shall not take us for its holder */
	if (has_fd && (r < 0 || found->links > 1))
		pidfile_mark_let_go(&lock->file, lock->file.descriptor.fd);
	pidfile_drop(&lock->spare);
	if (has_fd && is_kept_dir_open(lock, found) && !is_table_full(woken)) {
		fd_close_two(&lock->file.descriptor, &lock->dir);
		return;
	}
	pidfile_close(&lock->file, has_fd);
	if (is_table_full(woken))
		wake(lock, found->dirfd);
	close_kept_dir(lock, has_fd, found);
}

/* Of what was judged: was it taken for the process that this handle is for? */
static int is_for_process(const struct lockfile_pid *lock, const struct judged *judged)
{
	struct record record;
	int r = judged->ours ? pidfile_read_record(judged->fd, &record) : 0;

	/* without attributes the PID and the kernel lock are all that there is */
	if (!judged->ours && !lock->spare.has_attribute)
		return judged->locked && judged->pid == lock->process.pid;
	return r < 1 ? r : record.for_owner && owner_is_same(&record.owner, &lock->process);
}

/* With the right: nobody takes over, nor does the process that has it open release it. */
static int release_judged(struct lockfile_pid *lock, int dirfd)
{
	struct judged judged;
	int r = lock_judge(lock, dirfd, &judged);

	if (r < 0)
		return r;
	r = r == VERDICT_FREE ? 0 : is_for_process(lock, &judged);
	if (r == 1)
		r = object_is_trusted(judged.owner, dirfd, sys_geteuid());
	if (r == 1)
		r = verdict_holds(&judged, dirfd, &lock->path);
	r = r == 1 ? unlink_path(lock, dirfd) : result_of(r);
	if (r == 0)
		queue_wake(dirfd, &lock->path, judged.owner);
	verdict_release(&judged);
	return r;
}

static int release_for_process(struct lockfile_pid *lock)
{
	int dirfd = open_dir(lock), r;

	if (dirfd < 0)
		return dirfd;
	r = takeover_claim_patiently(lock, &lock->spare, dirfd);
	if (r == 0) {
		r = release_judged(lock, dirfd);
		takeover_withdraw(lock, &lock->spare, dirfd);
	}
	sys_close(dirfd);
	return r;
}

int held_release(struct lockfile_pid *lock)
{
	struct found found;
	bool has_fd;
	int r;

	if (!lock_is_held(lock))
		return lock->file.holder ? release_for_process(lock) :
		                           LOCKFILE_PID_ERR_ROGUE_DELETION;
	has_fd = pidfile_has_fd(&lock->file);
	r = held_find_dir(lock, has_fd, &found);
	if (r == 0)
		r = release_in(lock, found.dirfd, &has_fd);
	if (r == 0 || r == LOCKFILE_PID_ERR_ROGUE_DELETION)
		finish(lock, r, has_fd, &found);
	held_close_dir(&found);
	return r;
}

/*
 * Without a record that says so the file is abandoned by its content, which may be changed
 * through our descriptor when nothing else of it may be.  Whoever waits is woken when the
 * kernel lock is released, and finds it so.
 */
void held_retract(struct lockfile_pid *lock)
{
	bool has_fd = pidfile_has_fd(&lock->file);

	pidfile_retract(&lock->file);
	pidfile_close(&lock->file, has_fd);
	if (has_fd && path_is_kept_dir(&lock->dir))
		queue_wake(lock->dir.fd, &lock->path, lock->file.owner);
}

static void mark_by_name(const struct lockfile_pid *lock, int dirfd)
{
	int fd = open_by_name(lock, dirfd);

	if (fd >= 0) {
		pidfile_mark_let_go(&lock->file, fd);
		sys_close(fd);
	}
}

/* With the right: what we let go of is stale, unless a child has a copy. */
static void remove_if_stale(struct lockfile_pid *lock, int dirfd)
{
	struct judged judged;
	int verdict = lock_judge(lock, dirfd, &judged);

	if (verdict < 0)
		return;
	if (verdict == VERDICT_STALE &&
	    object_is_trusted(judged.owner, dirfd, lock->file.owner) == 1 &&
	    verdict_holds(&judged, dirfd, &lock->path) == 1 && unlink_path(lock, dirfd) == 0)
		wake(lock, dirfd);
	verdict_release(&judged);
}

/*
 * The mark comes before the close, or a record without lock of a living process
 * would read as one whose descriptor was closed underneath.
 */
void held_let_go(struct lockfile_pid *lock)
{
	bool has_fd = pidfile_has_fd(&lock->file), is_ours;
	struct found found;
	int r = held_find_dir(lock, has_fd, &found), dirfd = found.dirfd;

	if (r == 0)
		r = takeover_claim_patiently(lock, &lock->spare, dirfd);
	has_fd = pidfile_has_fd(&lock->file); /* a second later, perhaps */
	/* before the close: then its inode number may be another's */
	is_ours = r >= 0 && held_check(lock, dirfd) == 0;
	if (has_fd)
		pidfile_mark_let_go(&lock->file, lock->file.descriptor.fd);
	else if (dirfd >= 0)
		mark_by_name(lock, dirfd);
	pidfile_close(&lock->file, has_fd);
	if (is_ours)
		remove_if_stale(lock, dirfd);
	if (r >= 0)
		takeover_withdraw(lock, &lock->spare, dirfd);
	held_close_dir(&found);
}
