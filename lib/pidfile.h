/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pidfile - a PID file of our own: first a candidate that nobody sees, then the
 * lock file
 */
#ifndef PIDFILE_H
#define PIDFILE_H

#include "process.h"
#include "record.h"

struct pidfile {
	struct descriptor descriptor;
	dev_t dev;
	ino_t ino;
	uid_t owner;                /* (uid_t)-1 before the first one was made */
	mode_t mode;                /* to have as the lock file, */
	mode_t mode_now;            /* and that it has */
	pid_t pid;                  /* its content */
	bool inheritable;           /* a child of fork(2) may adopt it */
	uint64_t nonce;             /* in its attribute, */
	bool has_attribute;         /* where the file system has such */
	bool can_seek;              /* the offset is the mark of our descriptor */
	const struct owner *holder; /* whose lock it is; NULL: of the process that makes it */
	dev_t local_dev;            /* a file system that is known to be none of a network; or 0 */
};

#define PIDFILE_NONE                                              \
	{                                                         \
		.descriptor = DESCRIPTOR_NONE, .owner = (uid_t)-1 \
	}

/* Is there one; did this process make it? */
bool pidfile_exists(const struct pidfile *file);
bool pidfile_is_of_process(const struct pidfile *file);

/*
 * Makes a candidate that has no name yet, in the directory dir as seen from
 * dirfd.  PID, attribute, kernel lock and mode, less the umask, are in place.
 * -EOPNOTSUPP: not possible here.
 */
int pidfile_make_unnamed(struct pidfile *file, int dirfd, const char *dir, mode_t mode,
                         bool inheritable);

/*
 * Makes one that has a name from the start, and is open to nobody else for now.
 * -EEXIST: the name exists; -EAGAIN: somebody took ours for a leftover.
 */
int pidfile_make_named(struct pidfile *file, int dirfd, const char *name, mode_t mode,
                       bool inheritable);

/*
 * Gives a candidate without a name one, and sees that the name leads to it.
 * -EEXIST: the name exists; -EOPNOTSUPP: not possible here; -EAGAIN: the name was
 * changed at once, and the candidate is closed.
 */
int pidfile_link(struct pidfile *file, int dirfd, const char *name);

/* Is it on a file system without a network, and not on one of FUSE? */
bool pidfile_is_local(const struct pidfile *file);

/*
 * Does the name, in the directory dirfd, lead to this file?  0 or 1.  On a network file
 * system the server says so.
 */
int pidfile_is_at(const struct pidfile *file, int dirfd, const char *name);

/*
 * Has no other host removed the file open at its descriptor?  If one has, its inode
 * number may be another file's, although it is open here.
 */
bool pidfile_remains(const struct pidfile *file);

/*
 * Has the file open at its descriptor its kernel lock still?  0 or 1.  A network file
 * system loses locks if the server was out of reach for too long (nfs(5)).
 */
int pidfile_keeps_lock(const struct pidfile *file);

/*
 * Is the descriptor number still that of our file?  It may have been closed,
 * and given to another file, behind our back.
 */
bool pidfile_has_fd(const struct pidfile *file);

/* Is the content of the file open at fd just what we wrote?  0 or 1. */
int pidfile_has_content(const struct pidfile *file, int fd);

/* Is it of our acquisition, by its attribute?  0 or 1. */
int pidfile_has_nonce(const struct pidfile *file, int fd);

/* Reads the attribute of a file, of whoever.  0: there is none that we know; or 1. */
int pidfile_read_record(int fd, struct record *ret);

/*
 * Was the record written to the very file that is open at fd, of this inode number, and
 * not copied with it from another?
 */
bool pidfile_is_of_record(int fd, ino_t ino, const struct record *record);

/*
 * Gives it permissions for now; where that is refused it keeps those that it has.
 * -EAGAIN: somebody has removed it.
 */
int pidfile_set_mode(struct pidfile *file, mode_t mode);

/*
 * Makes it a lone newline, if its name cannot be removed: that names nobody, and unlike
 * an empty file it has no writer that may be about to fill it.
 */
void pidfile_retract(const struct pidfile *file);

/* Says in the attribute of the file open at fd, which is ours, that we let go of it. */
void pidfile_mark_let_go(const struct pidfile *file, int fd);

/* Does this process have the file of this acquisition; this inode? */
bool pidfile_find_nonce(uint64_t nonce);
bool pidfile_find_inode(dev_t dev, ino_t ino);

/* Forgets one whose descriptor was closed underneath.  Is there one still? */
bool pidfile_recover(struct pidfile *file);

/*
 * Closes it, and so lets go of its kernel lock, if there is one and
 * pidfile_has_fd() says so.  Its names stay.
 */
void pidfile_drop(struct pidfile *file);
void pidfile_close(struct pidfile *file, bool has_fd);

/* *to becomes what *from was, and *from none. */
void pidfile_move(struct pidfile *to, struct pidfile *from);

#endif
