/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The line of waiters.  Right or wrong never depends on it: a waiter looks at
 * PATH whenever it wakes, and at least once a second.  It only makes waiting
 * quick, fair and cheap.
 *
 * A waiter opens the FIFO PATH.queue and sleeps on it in epoll_wait(2), with
 * EPOLLEXCLUSIVE: for each byte that somebody writes the kernel wakes one of
 * those who sleep, the one that came first.  A release writes one byte.  Who is
 * stopped or dead does not sleep, and is passed over.  The events are
 * edge-triggered: a byte that a waiter did not come to read wakes nobody twice.
 *
 * The kernel wakes only one of many as long as each sleeps on its epoll
 * descriptor itself.  An event loop that polls that descriptor is woken with all
 * the others of its kind: right, only dearer.
 *
 * Locks on the FIFO (open file description locks):
 * - byte 0, for reading: "I stand in line".  Who leaves lets go of its own, then
 *   tries to get it for writing: if that is possible nobody else is there, and
 *   the name is removed, and who comes meanwhile finds the lock taken or the
 *   name gone, and starts again.  To upgrade instead would leave the FIFO behind
 *   when two leave at once.
 * - byte 1, for writing: "I am the first".  Only the first watches the holder
 *   (by its pidfd, or a foreign one by looking at PATH often).  If all did, each
 *   exit of a holder would wake all.  Who leaves as the first wakes the next.
 *
 * Who could take the lock may stand in line: the FIFO is open to the group, or to
 * all, where the directory is, and what root makes in a directory of a user's
 * becomes that user's.
 */
#include <config.h>

#include "queue.h"

#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>

/* A wake-up can get lost with the waiter that it woke. */
#define LOOK_AGAIN_MS 1000

/* A holder that wakes nobody is looked at this often. */
#define LOOK_OFTEN_MIN_MS 1
#define LOOK_OFTEN_MAX_MS 50

/* Others may leave, and remove the FIFO, just when we come. */
#define JOIN_TRIES 100

#define PLACE_BYTE 0
#define FIRST_BYTE 1

#define KEEP_USER ((uid_t)-1) /* of chown(2) */

/* Tells a FIFO that was just made here from others: the sticky bit means nothing to it. */
#define MODE_NEW (S_ISVTX | 0600)

/*
 * May we use this FIFO?  In a sticky directory one of another user cannot be
 * removed by us, so we do not stand in it; but we wake who stands in that of
 * root.  One with a second name is somebody's, to whom its bytes mean something.
 */
static bool is_usable(const struct stat *fifo, int dirfd, bool to_stand)
{
	uid_t user = sys_geteuid();
	struct stat dir;

	if (!S_ISFIFO(fifo->st_mode) || fifo->st_nlink > 1)
		return false;
	if (user == 0 || fifo->st_uid == user || (fifo->st_uid == 0 && !to_stand))
		return true;
	return sys_fstat(dirfd, &dir) == 0 && (!(dir.st_mode & S_ISVTX) || dir.st_uid == user);
}

/* The umask must not keep out others.  What took the place of ours is not to be changed. */
static void share_fifo(int fd, int dirfd, const struct stat *fifo)
{
	struct stat dir;

	if ((fifo->st_mode & 07777) != MODE_NEW || sys_fstat(dirfd, &dir) < 0)
		return;
	/* what root makes where a daemon's user is at home is to be the user's */
	if (fifo->st_uid == 0 && dir.st_uid != 0 && !(dir.st_mode & S_ISVTX))
		sys_fchown(fd, dir.st_uid, dir.st_gid);
	/* the group that may write the directory, which is ours as well if it lets us in */
	else if (dir.st_mode & 020 && dir.st_gid != fifo->st_gid)
		sys_fchown(fd, KEEP_USER, dir.st_gid);
	if (dir.st_mode & 022)
		sys_fchmod(fd, 0600 | (dir.st_mode & 020 ? 060 : 0) | (dir.st_mode & 02 ? 06 : 0));
}

static int open_fifo(int dirfd, const char *name, bool to_stand, struct stat *ret)
{
	/* for writing only would mean SIGPIPE when the last reader has just left */
	int fd = sys_openat(dirfd, name, O_RDWR | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY, 0), r;

	if (fd < 0)
		return fd;
	r = sys_fstat(fd, ret);
	if (r == 0 && !is_usable(ret, dirfd, to_stand))
		r = -EPERM;
	if (r < 0)
		sys_close(fd);
	return r < 0 ? r : fd;
}

/* O_CREAT would be refused on another's FIFO (proc_sys_fs(5), protected_fifos). */
static int open_or_make_fifo(int dirfd, const char *name, struct stat *ret, bool *ret_made)
{
	int fd = open_fifo(dirfd, name, true, ret), r;

	*ret_made = false;
	if (fd != -ENOENT)
		return fd;
	r = sys_mkfifoat(dirfd, name, MODE_NEW);
	if (r < 0)
		return r == -EEXIST ? -EAGAIN : r;
	*ret_made = true;
	fd = open_fifo(dirfd, name, true, ret);
	if (fd >= 0)
		share_fifo(fd, dirfd, ret);
	return fd;
}

/* It cannot be used; whoever stands in it by now, goes along (queue_follow()). */
static void unmake_fifo(int dirfd, const char *name)
{
	struct stat st;

	if (sys_fstatat(dirfd, name, &st) == 0 && is_usable(&st, dirfd, true))
		sys_unlinkat(dirfd, name, 0);
}

/* -EAGAIN: it is on its way out. */
static int take_place(int fd, int dirfd, const char *name, const struct stat *fifo)
{
	int r = sys_lock_byte(fd, F_RDLCK, PLACE_BYTE);

	if (r == 0)
		r = path_leads_to(dirfd, name, fifo->st_dev, fifo->st_ino);
	return r < 0 ? r : r == 1 ? 0 : -EAGAIN;
}

/* Returns a descriptor, or -errno where there can be no line. */
static int enter_line(struct queue *queue, const char *name)
{
	int dirfd = queue->dir.fd, r = -EAGAIN, fd;
	struct stat fifo;
	bool made;

	for (int try = 0; (r == -EAGAIN || r == -ENOENT) && try < JOIN_TRIES; try++) {
		fd = r = open_or_make_fifo(dirfd, name, &fifo, &made);
		if (fd >= 0)
			r = take_place(fd, dirfd, name, &fifo);
		if (r == 0) {
			queue->fifo_dev = fifo.st_dev;
			queue->fifo_ino = fifo.st_ino;
			return fd;
		}
		/* otherwise ours is gone, and what is there may be another's by now */
		if (made && r != -EAGAIN && r != -ENOENT)
			unmake_fifo(dirfd, name);
		if (fd >= 0)
			sys_close(fd);
	}
	return r;
}

static int enter(struct descriptor *descriptor, int fd)
{
	if (fd < 0)
		return fd;
	fd_track(descriptor, fd);
	return 0;
}

static int add_to_epoll(const struct queue *queue, const struct descriptor *descriptor,
                        uint32_t events)
{
	return sys_epoll_add(queue->epoll.fd, descriptor->fd, events);
}

/* Inside the gate (process.h), as is the next. */
static int take_stand(struct queue *queue, const struct path *path)
{
	int r = enter(&queue->dir, path_open_dir(path));
	struct stat st;

	if (r == 0)
		r = sys_fstat(queue->dir.fd, &st);
	if (r < 0)
		return r;
	queue->dir_dev = st.st_dev;
	queue->dir_ino = st.st_ino;
	if (enter(&queue->fifo, enter_line(queue, path->queue)) < 0)
		return 0;
	r = add_to_epoll(queue, &queue->fifo, EPOLLIN | EPOLLET | EPOLLEXCLUSIVE);
	/* before Linux 4.5: all are woken */
	return r == -EINVAL ? add_to_epoll(queue, &queue->fifo, EPOLLIN | EPOLLET) : r;
}

static int open_all(struct queue *queue, const struct path *path, bool with_timer)
{
	int r = enter(&queue->epoll, sys_epoll_create());

	if (r == 0)
		r = take_stand(queue, path);
	if (r == 0 && with_timer)
		r = enter(&queue->timer, sys_timer_create());
	return r < 0 || !with_timer ? r : add_to_epoll(queue, &queue->timer, EPOLLIN);
}

/* What woke others before we came is not for us, and no news. */
static void forget_past(const struct queue *queue)
{
	sys_epoll_wait(queue->epoll.fd, 0, NULL);
}

int queue_join(struct queue *queue, const struct path *path, bool with_timer)
{
	uint64_t pass = gate_enter();
	int r;

	*queue = (struct queue)QUEUE_NONE;
	r = open_all(queue, path, with_timer);
	gate_leave(pass);
	if (r < 0)
		queue_leave(queue, path, false);
	else
		forget_past(queue);
	return r;
}

bool queue_is_joined(const struct queue *queue)
{
	return fd_is_of_process(&queue->epoll);
}

bool queue_has_others(const struct queue *queue)
{
	return queue->fifo.fd >= 0 && sys_is_byte_locked(queue->fifo.fd, PLACE_BYTE) == 1;
}

static bool has_exited(int pidfd)
{
	struct pollfd exited = { .fd = pidfd, .events = POLLIN };

	return sys_poll(&exited, 1, 0) != 0;
}

/*
 * One that has exited, and is the holder all the same, has no more to tell.  Is
 * it news that it has?
 */
static bool watch_holder(struct queue *queue, pid_t pid)
{
	uint64_t pass;
	int r;

	if (pid == queue->watched) {
		if (queue->pidfd.fd >= 0 && has_exited(queue->pidfd.fd))
			fd_close(&queue->pidfd);
		return false;
	}
	fd_close(&queue->pidfd);
	queue->watched = pid;
	if (pid == 0)
		return false;
	pass = gate_enter();
	r = enter(&queue->pidfd, sys_pidfd_open(pid));
	gate_leave(pass);
	if (r == 0 && !has_exited(queue->pidfd.fd)) {
		/* once: where a child by clone(2) has a copy our close does not end the events */
		r = add_to_epoll(queue, &queue->pidfd, EPOLLIN | EPOLLET);
		if (r < 0)
			fd_close(&queue->pidfd);
		return false;
	}
	fd_close(&queue->pidfd);
	return r == 0 || r == -ESRCH;
}

static void unwatch_holder(struct queue *queue)
{
	fd_close(&queue->pidfd);
	queue->watched = 0;
}

static int next_pause(const struct queue *queue, const struct awaited *awaited, bool watching)
{
	int pause = 2 * queue->pause_ms;

	if (queue->fifo.fd >= 0 && (awaited->wakes || !watching))
		return LOOK_AGAIN_MS;
	if (pause < LOOK_OFTEN_MIN_MS || queue->pause_ms == LOOK_AGAIN_MS)
		return LOOK_OFTEN_MIN_MS;
	return pause > LOOK_OFTEN_MAX_MS ? LOOK_OFTEN_MAX_MS : pause;
}

void queue_pause(struct queue *queue, int pause_ms)
{
	queue->pause_ms = pause_ms;
	if (queue->timer.fd >= 0)
		sys_timer_set(queue->timer.fd, pause_ms);
}

void queue_watch(struct queue *queue, const struct awaited *awaited)
{
	bool watching, died = false;

	queue->awaited = *awaited;
	if (queue->fifo.fd >= 0 && !queue->first)
		queue->first = sys_lock_byte(queue->fifo.fd, F_WRLCK, FIRST_BYTE) == 0;
	watching = queue->first || queue->fifo.fd < 0;
	if (watching)
		died = watch_holder(queue, awaited->pid);
	queue_pause(queue, died ? LOOK_OFTEN_MIN_MS : next_pause(queue, awaited, watching));
}

/* Was there one? */
static bool read_byte(const struct queue *queue)
{
	char byte;

	return queue->fifo.fd >= 0 && sys_read(queue->fifo.fd, &byte, sizeof(byte)) > 0;
}

bool queue_drain(struct queue *queue)
{
	uint64_t expired;
	int ready = sys_epoll_wait(queue->epoll.fd, 0, NULL);
	bool is_time = sys_read(queue->timer.fd, &expired, sizeof(expired)) > 0;

	/* a loop that sleeps on our descriptor itself has been told of the byte instead of us */
	return read_byte(queue) || ready > is_time;
}

int queue_sleep(struct queue *queue, int timeout_ms, const sigset_t *mask, bool has_handlers)
{
	int r = sys_epoll_wait(queue->epoll.fd, timeout_ms, mask);

	/* so it is after SIGSTOP and SIGCONT too, which are nobody's business (signal(7)) */
	if (r == -EINTR && !has_handlers && !sys_has_signal_handlers())
		r = 0;
	if (r > 0)
		read_byte(queue);
	return r > 0 ? 1 : r;
}

/* Removes the FIFO unless somebody stands in line.  Does nobody? */
static bool remove_if_deserted(int fd, int dirfd, const char *name, dev_t dev, ino_t ino)
{
	if (sys_lock_byte(fd, F_WRLCK, PLACE_BYTE) < 0)
		return false;
	/* with the lock, so that nobody has come when the name goes */
	if (path_leads_to(dirfd, name, dev, ino) == 1)
		sys_unlinkat(dirfd, name, 0);
	return true;
}

static void write_byte(int fd)
{
	char old[4096];

	if (sys_write(fd, "", 1) != -EAGAIN)
		return;
	/* full of bytes that nobody came to read; or somebody just has */
	sys_read(fd, old, sizeof(old));
	sys_write(fd, "", 1);
}

static void leave_stand(struct queue *queue, const struct path *path, bool pass_on)
{
	int fd = queue->fifo.fd, dirfd = queue->dir.fd;

	if (fd >= 0) {
		sys_unlock_bytes(fd);
		if (!remove_if_deserted(fd, dirfd, path->queue, queue->fifo_dev, queue->fifo_ino) &&
		    (pass_on || queue->first))
			write_byte(fd);
	}
	fd_close(&queue->fifo);
	fd_close(&queue->dir);
	unwatch_holder(queue);
	queue->first = false;
}

/* Where there is no line now there may be one at the next look. */
static bool is_in_place(const struct queue *queue, const struct path *path, bool look)
{
	if (path_leads_to(AT_FDCWD, path->dir, queue->dir_dev, queue->dir_ino) != 1)
		return false;
	return !look ||
	       (queue->fifo.fd >= 0 &&
	        path_leads_to(queue->dir.fd, path->queue, queue->fifo_dev, queue->fifo_ino) == 1);
}

int queue_follow(struct queue *queue, const struct path *path, bool look)
{
	uint64_t pass;
	int r;

	if (is_in_place(queue, path, look))
		return 0;
	leave_stand(queue, path, true);
	pass = gate_enter();
	r = take_stand(queue, path);
	gate_leave(pass);
	return r;
}

static bool is_unchanged(const struct queue *queue, const struct path *path)
{
	const struct awaited *seen = &queue->awaited;
	struct stat st;

	/* one of this number on another device would have been changed at another time */
	return sys_fstatat(queue->dir.fd, path->name, &st) == 0 && st.st_ino == seen->ino &&
	       st.st_ctim.tv_sec == seen->changed.tv_sec &&
	       st.st_ctim.tv_nsec == seen->changed.tv_nsec;
}

/* The last to have the lock may be another than whom we watch, a child, say. */
static bool is_still_locked(const struct queue *queue, const struct path *path)
{
	int fd = sys_openat(queue->dir.fd, path->name, PATH_OPEN_TO_READ, 0);
	bool is_locked;

	if (fd < 0)
		return false;
	is_locked = sys_is_write_locked(fd) == 1;
	sys_close(fd);
	return is_locked;
}

bool queue_sees_no_change(const struct queue *queue, const struct path *path)
{
	const struct awaited *seen = &queue->awaited;

	/* if it had exited, that would have woken us */
	return queue->pidfd.fd >= 0 && seen->wakes && seen->locked && is_unchanged(queue, path) &&
	       is_still_locked(queue, path);
}

bool queue_defers(struct queue *queue, const struct path *path)
{
	struct stat st;

	queue->deferred = !queue->deferred && queue->fifo.fd >= 0 && !queue->first &&
	                  sys_fstatat(queue->dir.fd, path->name, &st) == -ENOENT;
	if (queue->deferred)
		write_byte(queue->fifo.fd);
	return queue->deferred;
}

void queue_drop(struct queue *queue)
{
	fd_close(&queue->pidfd);
	fd_close(&queue->timer);
	fd_close(&queue->fifo);
	fd_close(&queue->dir);
	fd_close(&queue->epoll);
}

void queue_leave(struct queue *queue, const struct path *path, bool pass_on)
{
	leave_stand(queue, path, pass_on);
	queue_drop(queue);
}

/* Is anybody in it? */
static bool wake_line(int dirfd, const char *name)
{
	struct stat fifo;
	int fd = open_fifo(dirfd, name, false, &fifo);
	bool deserted;

	if (fd < 0)
		return false;
	write_byte(fd);
	/* left behind by a crash, perhaps */
	deserted = remove_if_deserted(fd, dirfd, name, fifo.st_dev, fifo.st_ino);
	sys_close(fd);
	return !deserted;
}

bool queue_wake(int dirfd, const struct path *path)
{
	struct stat fifo;
	uint64_t pass;
	bool is_there;

	/* to look costs less than to open what is not there, and a FIFO only is opened */
	if (sys_fstatat(dirfd, path->queue, &fifo) < 0 || !S_ISFIFO(fifo.st_mode))
		return false;
	/* no fork may take a lock on it along */
	pass = gate_enter();
	is_there = wake_line(dirfd, path->queue);
	gate_leave(pass);
	return is_there;
}
