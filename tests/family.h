/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * family - a parent with a handle, its children, a child's child, and a stranger
 * with a handle of his own: processes that do one thing at a time, and can be
 * stopped before any of its calls (steer.h)
 *
 *	family_start("x.pid", 0, false);
 *	family_do(PARENT, lockfile_pid_trylock);
 *	family_fork(PARENT, CHILD);
 *	family_kill(PARENT);
 *	ck_assert_int_eq(family_do(CHILD, lockfile_pid_adopt), 0);
 *	family_end();
 *
 * A function may be any of the test's: it runs in that process, where it may
 * steer, and look into the handle.
 */
#ifndef FAMILY_H
#define FAMILY_H

#include <lockfile-pid.h>
#include <stdbool.h>
#include <sys/types.h>

enum relative { PARENT, CHILD, SIBLING, GRANDCHILD, STRANGER, RELATIVES };

#define FAMILY_STOPPED 1

/*
 * The parent and the stranger live then.  no_tmpfile: an errno as for
 * steer_no_tmpfile(), or 0.  Pauses take no time.  The handle of the parent is
 * inheritable.
 */
void family_start(const char *path, int no_tmpfile, bool no_attributes);

/* Who lives frees what there is, and exits with 0. */
void family_end(void);

/* raw: by the bare system call, without handlers for forks. */
void family_fork(enum relative parent, enum relative child);
void family_fork_raw(enum relative parent, enum relative child);

int family_do(enum relative who, int (*f)(struct lockfile_pid *));

/* FAMILY_STOPPED: before the call number nth of that name. */
int family_do_until(enum relative who, int (*f)(struct lockfile_pid *), const char *call, int nth);
int family_go_on(enum relative who);

/* For what waits: is to be told at once, and heard when it has an answer. */
void family_ask(enum relative who, int (*f)(struct lockfile_pid *));
int family_hear(enum relative who);

/* They are waited for.  To leave is to exit with the handle as it is. */
void family_kill(enum relative who);
void family_leave(enum relative who);

pid_t family_pid(enum relative who);

/* To do, beside what the library has of this kind. */
int family_verify(struct lockfile_pid *lock);
int family_check(struct lockfile_pid *lock);
int family_free(struct lockfile_pid *lock);
int family_set_inheritable(struct lockfile_pid *lock);
int family_set_not_inheritable(struct lockfile_pid *lock);
int family_close_underneath(struct lockfile_pid *lock);
int family_count_descriptors(struct lockfile_pid *lock);

/*
 * The number of the lock file's descriptor becomes that of another file, named
 * "other", which says "content\n".  Is it still?
 */
int family_reuse_number(struct lockfile_pid *lock);
int family_has_other(struct lockfile_pid *lock);

#endif
