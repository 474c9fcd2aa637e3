/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lockfile-pid-pidfile.h - pidfile(3) of FreeBSD and of libbsd, by liblockfile-pid
 *
 * A program that has
 *
 *	#include <bsd/libutil.h>		and pkg-config libbsd, or
 *	#include <libutil.h>			and -lutil
 *
 * for these functions includes this header instead, and is linked by pkg-config
 * lockfile-pid.  The page lockfile_pid_pidfile(3) says what is different, and what a
 * program cannot do by these functions.  All of them are defined here.
 *
 * Results are those of FreeBSD: a pointer or NULL, 0 or -1, and errno tells why.
 */
#ifndef LOCKFILE_PID_PIDFILE_H
#define LOCKFILE_PID_PIDFILE_H

#include <lockfile-pid.h>

#include <errno.h>
#include <string.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A program need not use all of them. */
#if defined(__GNUC__)
#define LOCKFILE_PID_PIDFILE_UNUSED __attribute__((__unused__))
#else
#define LOCKFILE_PID_PIDFILE_UNUSED
#endif

/* Room for the longest path that is made of the name of a program. */
#define LOCKFILE_PID_PIDFILE_ROOM 512

/* The name of the program, which the C library has; <errno.h> tells of it only sometimes. */
extern char *program_invocation_short_name;

/* An open PID file.  It is a handle of the library, of which this is another name. */
struct pidfh;

/* An error of the library in terms of errno: 0 or -1. */
LOCKFILE_PID_PIDFILE_UNUSED
static int lockfile_pid_pidfile_result(int r)
{
	if (r >= 0)
		return 0;
	if (r == LOCKFILE_PID_ERR_BUSY)
		errno = EEXIST;
	else if (r == LOCKFILE_PID_ERR_PROCESS_DEAD)
		errno = ESRCH;
	else if (r > -4096)
		errno = -r;
	else
		errno = EINVAL;
	return -1;
}

/* Of FreeBSD: /var/run/PROGRAM.pid if there is no path.  NULL: it would be too long. */
LOCKFILE_PID_PIDFILE_UNUSED
static const char *lockfile_pid_pidfile_path(const char *path, char *room, size_t size)
{
	static const char before[] = "/var/run/", after[] = ".pid";

	if (path)
		return path;
	if (strlen(program_invocation_short_name) + sizeof(before) + sizeof(after) > size)
		return NULL;
	strcpy(room, before);
	strcat(room, program_invocation_short_name);
	return strcat(room, after);
}

/*
 * Takes the lock; the file names this process from now on, and a child of it that calls
 * pidfile_write().  EEXIST: another process has it, and *pidptr is its PID.  With any
 * other result, or if the PID is not known, *pidptr is -1.  @mode has 0600 among its bits,
 * or the error is EINVAL.
 */
LOCKFILE_PID_PIDFILE_UNUSED
static struct pidfh *pidfile_open(const char *path, mode_t mode, pid_t *pidptr)
{
	struct lockfile_pid *lock = NULL;
	char room[LOCKFILE_PID_PIDFILE_ROOM];
	int r;

	if (pidptr)
		*pidptr = -1;
	path = lockfile_pid_pidfile_path(path, room, sizeof(room));
	r = path ? lockfile_pid_new(&lock, path) : -ENAMETOOLONG;
	if (r == 0)
		r = lockfile_pid_set_mode(lock, (unsigned int)mode);
	if (r == 0)
		r = lockfile_pid_set_inheritable(lock, 1);
	if (r == 0)
		r = lockfile_pid_trylock(lock);
	if (r == 0)
		return (struct pidfh *)lock;
	if (pidptr && lockfile_pid_holder(lock) > 0)
		*pidptr = lockfile_pid_holder(lock);
	lockfile_pid_free(lock);
	lockfile_pid_pidfile_result(r);
	return NULL;
}

/* The file names the calling process, which is the one that opened it or a child of it. */
LOCKFILE_PID_PIDFILE_UNUSED
static int pidfile_write(struct pidfh *pfh)
{
	return lockfile_pid_pidfile_result(lockfile_pid_adopt((struct lockfile_pid *)pfh));
}

/*
 * Gives the PID file up.  It stays if a child has it, which pidfile_write() gave it to, or
 * may still give it to.  If not it goes, unlike that of FreeBSD.
 */
LOCKFILE_PID_PIDFILE_UNUSED
static int pidfile_close(struct pidfh *pfh)
{
	if (!pfh)
		return lockfile_pid_pidfile_result(-EINVAL);
	lockfile_pid_free((struct lockfile_pid *)pfh);
	return 0;
}

/* Removes the file and gives it up.  EINVAL: it is not that of the calling process. */
LOCKFILE_PID_PIDFILE_UNUSED
static int pidfile_remove(struct pidfh *pfh)
{
	int r = lockfile_pid_unlock((struct lockfile_pid *)pfh);

	lockfile_pid_free((struct lockfile_pid *)pfh);
	return lockfile_pid_pidfile_result(r);
}

/* The descriptor of the file, or -1. */
LOCKFILE_PID_PIDFILE_UNUSED
static int pidfile_fileno(const struct pidfh *pfh)
{
	int fd = lockfile_pid_fileno((const struct lockfile_pid *)pfh);

	return fd < 0 ? lockfile_pid_pidfile_result(fd) : fd;
}

/*
 * Sends the signal to the process that holds the PID file, and to no other; *pidptr is its
 * PID, unless pidptr is NULL.  ENOENT: there is no file; ESRCH: its process is gone.
 */
LOCKFILE_PID_PIDFILE_UNUSED
static int pidfile_signal(const char *path, int signo, pid_t *pidptr)
{
	struct lockfile_pid *lock;
	char room[LOCKFILE_PID_PIDFILE_ROOM];
	int r;

	path = lockfile_pid_pidfile_path(path, room, sizeof(room));
	r = path ? lockfile_pid_new(&lock, path) : -ENAMETOOLONG;
	if (r < 0)
		return lockfile_pid_pidfile_result(r);
	r = lockfile_pid_signal(lock, signo);
	if (r == 0 && pidptr)
		*pidptr = lockfile_pid_holder(lock);
	lockfile_pid_free(lock);
	return lockfile_pid_pidfile_result(r == LOCKFILE_PID_ERR_ROGUE_DELETION ? -ENOENT : r);
}

#ifdef __cplusplus
}
#endif

#endif /* LOCKFILE_PID_PIDFILE_H */
