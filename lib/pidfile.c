/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A PID file is complete before anybody can see it: content, attribute and
 * kernel lock come first, the name last.
 *
 * Who are we to a file?  Inode numbers are re-used at once, and descriptors may
 * be closed by others, so neither device and inode nor a descriptor number
 * alone says that a file is still ours.
 *
 * - A descriptor is ours if its file offset is the one that we set, a random
 *   number: the offset belongs to the open file description.  The attribute
 *   would not do: the program may have opened the very same file, and such a
 *   descriptor has no lock.  Only where a file cannot seek the attribute decides.
 * - While the descriptor is ours the inode exists and its number is nobody
 *   else's: then a name that leads to the same device and inode leads to us.
 * - Without a descriptor the attribute of the file at the name decides.
 */
#include <config.h>

#include "pidfile.h"

#include "filesystem.h"
#include "path.h"
#include "proc.h"
#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OWNER_BITS    0600
#define DEFAULT_UMASK 077

/* Within the largest file of any file system in use. */
static int64_t offset_of(const struct pidfile *file)
{
	return 1 + (int64_t)(file->nonce & 0x3fffffff);
}

static int write_content(const struct pidfile *file)
{
	char content[RECORD_CONTENT_SIZE];
	size_t length = record_format_content(file->pid, content);
	int r = sys_pwrite(file->descriptor.fd, content, length);

	return r < 0 ? r : (size_t)r == length ? 0 : -ENOSPC;
}

static int write_attribute(const struct pidfile *file, int fd, const struct owner *holder,
                           bool let_go)
{
	struct record record = {
		.owner = *holder,
		.nonce = file->nonce,
		.inode = file->ino,
		.inheritable = file->inheritable,
		.let_go = let_go,
		.for_owner = file->holder != NULL,
	};
	unsigned char packed[RECORD_SIZE];

	record_pack(&record, packed);
	return sys_fsetxattr(fd, RECORD_ATTRIBUTE, packed, sizeof(packed));
}

static int identify(struct pidfile *file)
{
	struct stat st;
	int r = sys_fstat(file->descriptor.fd, &st);

	if (r < 0)
		return r;
	file->dev = st.st_dev;
	file->ino = st.st_ino;
	file->owner = st.st_uid;
	file->mode_now = st.st_mode & 07777;
	return 0;
}

static const struct pidfile *pidfile_of(const struct descriptor *descriptor)
{
	return (const struct pidfile *)descriptor;
}

static bool is_ours(const struct descriptor *descriptor)
{
	return pidfile_has_fd(pidfile_of(descriptor));
}

/*
 * To close a file on a network or FUSE file system may take forever (process.h).  A
 * handle asks once: each time would be one system call more for each lock.
 */
static void learn_file_system(struct pidfile *file)
{
	if (!pidfile_is_local(file) && !filesystem_is_network(file->descriptor.fd))
		file->local_dev = file->dev;
	file->descriptor.may_hang = !pidfile_is_local(file);
}

static int open_listed(struct pidfile *file, int dirfd, const char *name, int flags, mode_t mode)
{
	uint64_t nonce = process_nonce();
	uintptr_t pass = gate_enter();
	int fd, r;

	/* where this process was forked it may still have the number that a parent had */
	file->descriptor.fd = -1;
	fd = r = sys_openat(dirfd, name, flags | O_RDWR, mode);
	if (fd >= 0) {
		*file = (struct pidfile){
			.descriptor = { .fd = -1, .is_ours = is_ours, .may_hang = true },
			.owner = (uid_t)-1,
			.nonce = nonce,
			.holder = file->holder,
			.local_dev = file->local_dev,
		};
		file->can_seek = sys_lseek(fd, offset_of(file), SEEK_SET) == offset_of(file);
		fd_track(&file->descriptor, fd);
		r = is_stream(fd) ? -EMFILE : identify(file);
		/* inside the gate: until it is known a child would keep its copy */
		if (r == 0)
			learn_file_system(file);
	}
	gate_leave(pass);
	return r < 0 ? r : 0;
}

/*
 * Of fchmod(2) and fsetxattr(2), which are optional: the file system, a security module
 * or a filter of system calls does not allow it.  What has run out, such as ENOSPC, is
 * another matter.
 */
static bool is_refused(int error)
{
	return error == -EPERM || error == -EACCES || error == -ENODATA || error == -ENOSYS ||
	       error == -EOPNOTSUPP || error == -EINVAL;
}

/* Whom content and attribute name. */
static int get_holder(const struct pidfile *file, struct owner *ret)
{
	int r = process_self(ret);

	if (file->holder)
		*ret = *file->holder;
	return r;
}

static int fill(struct pidfile *file, bool inheritable)
{
	struct owner holder;
	int r = get_holder(file, &holder);

	file->pid = holder.pid;
	file->inheritable = inheritable;
	/* the attribute needs permission, whatever the descriptor may do */
	if (r == 0)
		r = pidfile_set_mode(file, file->mode_now | OWNER_BITS);
	if (r == 0)
		r = write_content(file);
	if (r < 0)
		return r;
	r = write_attribute(file, file->descriptor.fd, &holder, false);
	file->has_attribute = r == 0;
	if (!file->has_attribute)
		file->descriptor.may_hang = false;
	return is_refused(r) ? 0 : r;
}

/*
 * What kernels, file systems and security modules say that have no O_TMPFILE.
 * Some of it may mean more, which the attempt without it then tells.
 */
static bool no_tmpfile(int error)
{
	return error == -EOPNOTSUPP || error == -EISDIR || error == -EINVAL || error == -ENOSYS ||
	       error == -EPERM || error == -EACCES;
}

int pidfile_make_unnamed(struct pidfile *file, int dirfd, const char *dir, mode_t mode,
                         bool inheritable)
{
	int r = open_listed(file, dirfd, dir, O_TMPFILE, mode);

	if (file->descriptor.fd < 0)
		return no_tmpfile(r) ? -EOPNOTSUPP : r;
	file->mode = file->mode_now | OWNER_BITS;
	if (r == 0)
		r = fill(file, inheritable);
	if (r == 0)
		r = sys_write_lock(file->descriptor.fd);
	if (r < 0)
		pidfile_close(file, true);
	return r;
}

/* Without a call that changes it: where /proc does not say, the strictest usual one. */
static mode_t read_umask(void)
{
	struct proc_field umask = { .name = "Umask" };

	proc_read_fields("/proc/self/status", &umask, 1);
	return umask.is_found ? (mode_t)strtoul(umask.value, NULL, 8) : DEFAULT_UMASK;
}

/*
 * The name comes first here, so for a moment it leads to a file without kernel
 * lock, which is what a leftover looks like.  Who takes it for one locks it,
 * and removes the name before letting go: so either our attempt to lock fails,
 * or the name is gone when we have the lock.
 */
static int lock_named(const struct pidfile *file, int dirfd, const char *name)
{
	int r = sys_write_lock(file->descriptor.fd);

	if (r == 0)
		r = pidfile_is_at(file, dirfd, name);
	return r < 0 ? r : r == 1 ? 0 : -EAGAIN;
}

/*
 * Only who has the kernel lock may remove the name.  Where it is not to be had
 * (-ENOLCK again) the name stays, for the next who gets it: better a file left
 * behind than the removal of another's.
 */
static void unlink_if_locked(struct pidfile *file, int dirfd, const char *name)
{
	int r = sys_write_lock(file->descriptor.fd);

	/* where there are no such locks nobody else can have it either */
	if ((r == 0 || r == -ENOTSUP) && identify(file) == 0 &&
	    pidfile_is_at(file, dirfd, name) == 1)
		sys_unlinkat(dirfd, name, 0);
}

int pidfile_make_named(struct pidfile *file, int dirfd, const char *name, mode_t mode,
                       bool inheritable)
{
	int r;

	mode &= ~read_umask();
	r = open_listed(file, dirfd, name, O_CREAT | O_EXCL | O_NOFOLLOW, OWNER_BITS);
	if (file->descriptor.fd < 0)
		return r;
	file->mode = mode | OWNER_BITS;
	/*
	 * The record comes before the kernel lock: without one a leaked descriptor could
	 * block others after our death.
	 */
	if (r == 0)
		r = fill(file, inheritable);
	if (r == 0)
		r = lock_named(file, dirfd, name);
	if (is_removed(r)) /* somebody took it for a leftover */
		r = -EAGAIN;
	if (r < 0) {
		unlink_if_locked(file, dirfd, name);
		pidfile_close(file, true);
	}
	return r;
}

/*
 * The name is looked at whatever link(2) returned: over a network the result may be
 * that of the second of two requests.
 */
int pidfile_link(struct pidfile *file, int dirfd, const char *name)
{
	int r = sys_link_fd(file->descriptor.fd, dirfd, name), at;

	/* before Linux 6.10 that is for the privileged only */
	if (r == -ENOENT)
		r = sys_link_proc(file->descriptor.fd, dirfd, name);
	at = pidfile_is_at(file, dirfd, name);
	/* an error of looking does not count after a success: the file would be left behind */
	if (at == 1 || (at < 0 && r == 0))
		return 0;
	if (r == 0) {
		/* somebody moved or removed it already; it cannot be linked a second time */
		pidfile_mark_let_go(file, file->descriptor.fd);
		pidfile_close(file, true);
		return -EAGAIN;
	}
	/* without /proc as well; and the path may lead to another file system by now */
	return r == -ENOENT || r == -EXDEV ? -EOPNOTSUPP : r;
}

bool pidfile_is_local(const struct pidfile *file)
{
	return file->dev == file->local_dev;
}

int pidfile_is_at(const struct pidfile *file, int dirfd, const char *name)
{
	if (!pidfile_is_local(file))
		sys_refresh(dirfd, "");
	return path_leads_to(dirfd, name, file->dev, file->ino);
}

bool pidfile_remains(const struct pidfile *file)
{
	return pidfile_is_local(file) || !is_removed(sys_refresh(file->descriptor.fd, ""));
}

int pidfile_keeps_lock(const struct pidfile *file)
{
	int r = pidfile_is_local(file) ? 0 : sys_write_lock(file->descriptor.fd);

	/* EIO: the server has forgotten the lock; EAGAIN: and given it to another */
	if (r == -EIO || r == -EAGAIN)
		return 0;
	return r < 0 ? r : 1;
}

int pidfile_has_content(const struct pidfile *file, int fd)
{
	char expected[RECORD_CONTENT_SIZE], content[RECORD_CONTENT_SIZE + 1];
	size_t length = record_format_content(file->pid, expected);
	int r = sys_pread(fd, content, sizeof(content), 0);

	if (r < 0)
		return r;
	return (size_t)r == length && memcmp(content, expected, length) == 0;
}

int pidfile_read_record(int fd, struct record *ret)
{
	unsigned char packed[4 * RECORD_SIZE]; /* room for what later versions append */
	int r = sys_fgetxattr(fd, RECORD_ATTRIBUTE, packed, sizeof(packed));

	switch (r) {
	case -ENODATA:
	case -ERANGE:
	case -EOPNOTSUPP:
	case -ENOSYS: /* these of system call filters */
	case -EPERM:
	case -EACCES:
		return 0;
	}
	return r < 0 ? r : record_unpack(packed, (size_t)r, ret);
}

bool pidfile_is_of_record(int fd, ino_t ino, const struct record *record)
{
	return record->inode == ino || record->inode == 0 || filesystem_renumbers(fd);
}

int pidfile_has_nonce(const struct pidfile *file, int fd)
{
	struct record record;
	int r = file->has_attribute ? pidfile_read_record(fd, &record) : 0;

	return r <= 0 ? r : record.nonce == file->nonce;
}

int pidfile_set_mode(struct pidfile *file, mode_t mode)
{
	int r = mode == file->mode_now ? 0 : sys_fchmod(file->descriptor.fd, mode);

	if (r == 0)
		file->mode_now = mode;
	if (is_refused(r))
		return 0;
	return is_removed(r) ? -EAGAIN : r;
}

bool pidfile_has_fd(const struct pidfile *file)
{
	if (file->can_seek)
		return sys_lseek(file->descriptor.fd, 0, SEEK_CUR) == offset_of(file);
	return pidfile_has_nonce(file, file->descriptor.fd) == 1;
}

bool pidfile_exists(const struct pidfile *file)
{
	return fd_exists(&file->descriptor);
}

bool pidfile_recover(struct pidfile *file)
{
	if (pidfile_exists(file) && !pidfile_has_fd(file))
		pidfile_drop(file);
	return pidfile_exists(file);
}

bool pidfile_is_of_process(const struct pidfile *file)
{
	return fd_is_of_process(&file->descriptor);
}

static bool has_nonce(const struct descriptor *descriptor, const void *nonce)
{
	return descriptor->is_ours == is_ours &&
	       pidfile_of(descriptor)->nonce == *(const uint64_t *)nonce;
}

bool pidfile_find_nonce(uint64_t nonce)
{
	return fd_any(has_nonce, &nonce);
}

static bool has_inode(const struct descriptor *descriptor, const void *inode)
{
	const struct pidfile *file = pidfile_of(descriptor);
	const struct stat *st = inode;

	return descriptor->is_ours == is_ours && file->dev == st->st_dev && file->ino == st->st_ino;
}

bool pidfile_find_inode(dev_t dev, ino_t ino)
{
	struct stat st = { .st_dev = dev, .st_ino = ino };

	return fd_any(has_inode, &st);
}

void pidfile_drop(struct pidfile *file)
{
	if (pidfile_exists(file))
		pidfile_close(file, pidfile_has_fd(file));
}

void pidfile_close(struct pidfile *file, bool has_fd)
{
	fd_untrack(&file->descriptor, has_fd);
}

void pidfile_move(struct pidfile *to, struct pidfile *from)
{
	uintptr_t pass = gate_enter();

	*to = *from;
	fd_move(&to->descriptor, &from->descriptor);
	gate_leave(pass);
}

void pidfile_retract(const struct pidfile *file)
{
	/* after the first call, too, its first line is empty, which names nobody */
	if (pidfile_has_fd(file) && sys_pwrite(file->descriptor.fd, "\n", 1) == 1)
		sys_ftruncate(file->descriptor.fd, 1);
}

void pidfile_mark_let_go(const struct pidfile *file, int fd)
{
	struct owner holder;

	if (!file->has_attribute)
		return;
	/* no call to the kernel that can fail: we knew when we made the file */
	get_holder(file, &holder);
	/* unmarked, it is let go of when our process ends */
	write_attribute(file, fd, &holder, true);
}
