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
 * Whose queue it is
 * -----------------
 * splice(2) from an empty socket into a FIFO holds the pipe's mutex as long as its
 * caller likes; whoever opens, reads, writes or closes that FIFO meanwhile sleeps in
 * state D, where no signal reaches him.  So no process touches a FIFO that another user
 * could open: a wait queue is used by processes of one effective user, who owns the
 * FIFO; its mode is 0600, and it has one name.  All that is asked of the very object,
 * before it is opened: O_PATH, fstat, and then /proc/thread-self/fd.  By its name it is
 * looked at and opened only where no other user could replace it in between: in a
 * directory of ours or root's that others may not write, or that is sticky.  Elsewhere
 * there is no queue without /proc/thread-self (Linux 3.17).
 *
 * Where the files that we make belong to another user than we are (root_squash, mapped
 * IDs, setfsuid(2)), that user could open our FIFO, and there is no queue.  A user of
 * another namespace may look like us by the overflow UID; the kernel does not let us
 * open his FIFO.
 *
 * A waiter whose queue cannot be used, or whose holder is of another user and so does
 * not wake it, looks at PATH every 1 to 50 ms.  Nobody changes or removes a queue that
 * is not its user's.  inotify(7) would tell such a waiter of a release immediately.  It
 * needs permission to read the lock file, a user has 128 instances for all programs,
 * and to close one takes the new holder 7 to 14 ms (Linux 6.18).
 *
 * Descriptors
 * -----------
 * A waiter has 3: for epoll(7), the directory and the FIFO; an event loop's has a timer as
 * well.  The head also has a pidfd of the holder and its prepared lock file.  Directory
 * and lock file are those that the lock keeps when it is acquired.  To open them then
 * instead would make each hand-off longer.
 */
#include <config.h>

#include "queue.h"

#include "filesystem.h"
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

#define QUEUE_MODE   0600
#define FOREIGN_MODE 07177 /* what no FIFO of ours has */
#define NO_USER      ((uid_t)-1)

/* For writing only would mean SIGPIPE when the last reader leaves. */
#define OPEN_FIFO (O_RDWR | O_NONBLOCK | O_NOCTTY)

static uid_t user_of_queue(uid_t owner_of_files)
{
	uid_t user = sys_geteuid();

	return owner_of_files == NO_USER || owner_of_files == user ? user : NO_USER;
}

/* Is it our user's, and can nobody else open it?  The umask may have taken from its mode. */
static bool is_ours(const struct stat *fifo, uid_t user)
{
	return S_ISFIFO(fifo->st_mode) && fifo->st_nlink == 1 && fifo->st_uid == user &&
	       (fifo->st_mode & FOREIGN_MODE) == 0;
}

/*
 * Can nobody but this user and root replace a file of this user there?  On network and
 * FUSE file systems the mode need not tell who may.
 */
static bool keeps_names(int dirfd, uid_t user)
{
	struct stat dir;

	return sys_fstat(dirfd, &dir) == 0 && (dir.st_uid == user || dir.st_uid == 0) &&
	       ((dir.st_mode & S_ISVTX) || !(dir.st_mode & 022)) && !filesystem_is_network(dirfd);
}

/* In a directory that keeps its names.  -EPERM: it is not ours; as the next. */
static int open_by_name(int dirfd, const char *name, uid_t user, struct stat *ret)
{
	int r = sys_fstatat(dirfd, name, ret);

	if (r < 0)
		return r;
	return is_ours(ret, user) ? sys_openat(dirfd, name, OPEN_FIFO | O_NOFOLLOW, 0) : -EPERM;
}

static int open_by_descriptor(int dirfd, const char *name, uid_t user, struct stat *ret)
{
	int handle = sys_openat(dirfd, name, O_PATH | O_NOFOLLOW, 0), r, fd;

	if (handle < 0)
		return handle;
	r = sys_fstat(handle, ret);
	if (r == 0 && !is_ours(ret, user))
		r = -EPERM;
	fd = r < 0 ? r : sys_reopen(handle, OPEN_FIFO);
	sys_close(handle);
	/* it is /proc that is missing */
	return r == 0 && fd == -ENOENT ? -EPERM : fd;
}

/* The second way takes two descriptors at once, and some microseconds more. */
static int open_fifo(int dirfd, const char *name, uid_t user, struct stat *ret)
{
	return keeps_names(dirfd, user) ? open_by_name(dirfd, name, user, ret) :
	                                  open_by_descriptor(dirfd, name, user, ret);
}

/* O_CREAT would be refused on another's FIFO (proc_sys_fs(5), protected_fifos). */
static int open_or_make_fifo(int dirfd, const char *name, uid_t user, struct stat *ret,
                             bool *ret_made)
{
	int fd = open_fifo(dirfd, name, user, ret), r;

	*ret_made = false;
	if (fd != -ENOENT)
		return fd;
	r = sys_mkfifoat(dirfd, name, QUEUE_MODE);
	if (r < 0)
		return r == -EEXIST ? -EAGAIN : r;
	*ret_made = true;
	return open_fifo(dirfd, name, user, ret);
}

/* It cannot be used; whoever stands in it by now, goes along (queue_follow()). */
static void unmake_fifo(int dirfd, const char *name, uid_t user)
{
	struct stat st;

	if (sys_fstatat(dirfd, name, &st) == 0 && is_ours(&st, user))
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
		fd = r = open_or_make_fifo(dirfd, name, queue->user, &fifo, &made);
		if (fd >= 0)
			r = take_place(fd, dirfd, name, &fifo);
		if (r == 0) {
			queue->fifo_dev = fifo.st_dev;
			queue->fifo_ino = fifo.st_ino;
			return fd;
		}
		/* otherwise ours is gone, and what is there may be another's by now */
		if (made && r != -EAGAIN && r != -ENOENT)
			unmake_fifo(dirfd, name, queue->user);
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
	return sys_epoll_add(queue->epoll.fd, descriptor->fd, events, true);
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
	queue->user = user_of_queue(queue->owner);
	if (queue->user == NO_USER || enter(&queue->fifo, enter_line(queue, path->queue)) < 0)
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
	if (r < 0 || !with_timer)
		return r;
	/* that it is time to look does not count as a wake-up */
	return sys_epoll_add(queue->epoll.fd, queue->timer.fd, EPOLLIN, false);
}

/* What woke others before we came is not for us, and no news. */
static void forget_past(const struct queue *queue)
{
	sys_epoll_wait(queue->epoll.fd, 0, NULL);
}

int queue_join(struct queue *queue, const struct path *path, uid_t owner, bool with_timer)
{
	uintptr_t pass = gate_enter();
	int r;

	*queue = (struct queue)QUEUE_NONE;
	queue->owner = owner;
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
 * That it has exited ends the sleep once: it may be the holder all the same, while
 * another process has a copy of its descriptor.  Returns whether it is gone already.
 */
static bool watch_holder(struct queue *queue, pid_t pid)
{
	uintptr_t pass;
	int r;

	if (pid == queue->watched)
		return false;
	fd_close(&queue->pidfd);
	queue->watched = pid;
	if (pid == 0)
		return false;
	pass = gate_enter();
	r = enter(&queue->pidfd, sys_pidfd_open(pid));
	gate_leave(pass);
	/* once: where a child by clone(2) has a copy our close does not end the events */
	if (r == 0 && add_to_epoll(queue, &queue->pidfd, EPOLLIN | EPOLLET) < 0)
		fd_close(&queue->pidfd);
	return r == -ESRCH;
}

static void unwatch_holder(struct queue *queue)
{
	fd_close(&queue->pidfd);
	queue->watched = 0;
}

static int next_pause(const struct queue *queue, bool is_first)
{
	const struct awaited *awaited = &queue->awaited;
	int pause = 2 * queue->pause_ms;
	bool wakes = awaited->wakes && awaited->user == queue->user;

	/* of others' files only the first looks often, and of another user's all do */
	if (queue->fifo.fd >= 0 && (wakes || (!is_first && !awaited->wakes)))
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
	bool watching, is_gone = false;

	queue->awaited = *awaited;
	if (queue->fifo.fd >= 0 && !queue->first)
		queue->first = sys_lock_byte(queue->fifo.fd, F_WRLCK, FIRST_BYTE) == 0;
	watching = queue->first || queue->fifo.fd < 0;
	if (watching)
		is_gone = watch_holder(queue, awaited->pid);
	queue_pause(queue, is_gone ? LOOK_OFTEN_MIN_MS : next_pause(queue, watching));
}

/* Was there one? */
static bool read_byte(const struct queue *queue)
{
	char byte;

	return queue->fifo.fd >= 0 && sys_read(queue->fifo.fd, &byte, sizeof(byte)) > 0;
}

bool queue_drain(struct queue *queue, bool yields)
{
	uint64_t expired;
	bool is_woken = sys_epoll_wait(queue->epoll.fd, 0, NULL) > 0;

	/* or the descriptor would poll readable until the next pause begins */
	sys_read(queue->timer.fd, &expired, sizeof(expired));
	/*
	 * A loop that sleeps on our descriptor itself has been told of the byte instead of us.
	 * But one from before we joined is for those to whom we yield.
	 */
	if (is_woken || !yields)
		is_woken = read_byte(queue) || is_woken;
	return is_woken;
}

int queue_add_signals(struct queue *queue, const sigset_t *signals)
{
	uintptr_t pass = gate_enter();
	int r = enter(&queue->signals, sys_signalfd(signals));

	gate_leave(pass);
	return r < 0 ? r : add_to_epoll(queue, &queue->signals, EPOLLIN);
}

int queue_sleep(struct queue *queue, int timeout_ms, const sigset_t *mask, const sigset_t *signals)
{
	int ready = sys_epoll_wait(queue->epoll.fd, timeout_ms, mask);
	bool is_woken = ready > 0 && read_byte(queue);

	if (ready > 0 && queue->signals.fd >= 0 && sys_let_in(signals))
		ready--;
	return ready < 0 ? ready : is_woken || ready > 0;
}

/* Removes the FIFO unless somebody stands in line.  Does nobody? */
static bool remove_if_deserted(int fd, int dirfd, const char *name, dev_t dev, ino_t ino)
{
	if (sys_lock_byte(fd, F_WRLCK, PLACE_BYTE) < 0)
		return false;
	/* with the lock, so that nobody has come when the name goes */
	if (path_leads_to(dirfd, name, dev, ino) == 1)
		sys_unlinkat(dirfd, name, 0);
	/* to close it is not enough where a child by clone(2) has a copy */
	sys_unlock_bytes(fd);
	return true;
}

/* A full pipe takes a byte when a page of it was read, which is 64 KiB at most. */
#define OLD_SIZE  256
#define OLD_TIMES (65536 / OLD_SIZE)

static void write_byte(int fd)
{
	char old[OLD_SIZE];

	/* full of bytes that nobody came to read; or somebody just has */
	for (int i = 0; sys_write(fd, "", 1) == -EAGAIN && i < OLD_TIMES; i++)
		sys_read(fd, old, sizeof(old));
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
	unwatch_holder(queue);
	queue->first = false;
}

/* Where there is no line now there may be one at the next look. */
static bool is_in_place(const struct queue *queue, const struct path *path, bool look)
{
	if (path_leads_to(path_base(path), path->dir, queue->dir_dev, queue->dir_ino) != 1)
		return false;
	return !look ||
	       (queue->fifo.fd >= 0 &&
	        path_leads_to(queue->dir.fd, path->queue, queue->fifo_dev, queue->fifo_ino) == 1);
}

int queue_follow(struct queue *queue, const struct path *path, bool look)
{
	uintptr_t pass;
	int r;

	if (is_in_place(queue, path, look))
		return 0;
	leave_stand(queue, path, true);
	fd_close(&queue->dir);
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

bool queue_sees_no_change(const struct queue *queue, const struct path *path)
{
	const struct awaited *seen = &queue->awaited;

	/* the wake-up by its exit may have gone to a loop that asked our epoll descriptor itself */
	return queue->pidfd.fd >= 0 && seen->wakes && seen->locked &&
	       !has_exited(queue->pidfd.fd) && is_unchanged(queue, path);
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
	fd_close(&queue->signals);
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

void queue_leave_served(struct queue *queue, const struct path *path, struct descriptor *ret_dir)
{
	uintptr_t pass;

	leave_stand(queue, path, false);
	pass = gate_enter();
	fd_move(ret_dir, &queue->dir);
	ret_dir->is_ours = path_is_kept_dir;
	gate_leave(pass);
	queue_drop(queue);
}

/* As queue_wake(). */
static int wake_head(int dirfd, const char *name, uid_t user)
{
	struct stat fifo;
	int fd = open_fifo(dirfd, name, user, &fifo);
	bool deserted;

	if (fd < 0)
		return fd == -EMFILE || fd == -ENFILE ? fd : 0;
	write_byte(fd);
	/* left behind by a crash, perhaps */
	deserted = remove_if_deserted(fd, dirfd, name, fifo.st_dev, fifo.st_ino);
	sys_close(fd);
	return !deserted;
}

int queue_wake(int dirfd, const struct path *path, uid_t owner)
{
	struct stat fifo;
	uintptr_t pass;
	uid_t user;
	int r;

	/* to look costs less than to open what is not there, and needs no descriptor */
	if (sys_fstatat(dirfd, path->queue, &fifo) < 0)
		return 0;
	user = user_of_queue(owner);
	if (!is_ours(&fifo, user))
		return 0;
	/* no fork may take a lock on it along */
	pass = gate_enter();
	r = wake_head(dirfd, path->queue, user);
	gate_leave(pass);
	return r;
}
