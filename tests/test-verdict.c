/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of lib/verdict.c, row by row, as lockfile_pid_check() and
 * lockfile_pid_trylock() see it.
 */
#include <config.h>

#include "common.h"
#include "filesystem.h"
#include "forge.h"
#include "process.h"
#include "steer.h"
#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <lockfile-pid.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#define PATH "x.pid"
#define BUSY LOCKFILE_PID_ERR_BUSY
#define DEAD LOCKFILE_PID_ERR_PROCESS_DEAD

#define NFS  0x6969UL
#define FUSE 0x65735546UL
#define CIFS 0xff534d42UL
#define EXT4 0xef53UL

static void other_boot(struct owner *owner)
{
	owner->boot[0] ^= 1;
}

static void unknown_boot(struct owner *owner)
{
	memset(owner->boot, 0, BOOT_ID_SIZE);
}

/* Of the first processes of each boot the inodes of pidfds are the same. */
static void unknown_boot_other_start(struct owner *owner)
{
	unknown_boot(owner);
	owner->start--;
}

static void other_pid_namespace(struct owner *owner)
{
	owner->pid_namespace++;
}

static void unknown_pid_namespace(struct owner *owner)
{
	owner->pid_namespace = 0;
}

static void other_time_namespace(struct owner *owner)
{
	owner->time_namespace++;
	owner->pidfd_inode = 0;
}

static void unknown_start(struct owner *owner)
{
	owner->start = 0;
	owner->pidfd_inode = 0;
}

static void reused_pid(struct owner *owner)
{
	owner->start--;
	owner->pidfd_inode -= owner->pidfd_inode != 0;
}

static void other_image(struct owner *owner)
{
	owner->image ^= 1;
}

static void unknown_image(struct owner *owner)
{
	owner->image = 0;
}

enum kernel_lock { NONE, READ, WRITE };
enum process { SELF, LIVING, ZOMBIE, GONE };
enum {
	INHERITABLE = 1,
	LET_GO = 2,
	CLUSTER_LOCKS = 4, /* that is what the handle is told */
	NO_PID = 8         /* it means nothing here */
};

static const struct row {
	enum kernel_lock lock;
	bool ours; /* has the attribute */
	enum process process;
	void (*change)(struct owner *owner); /* of the record */
	unsigned long file_system;
	int check, trylock;
	unsigned int flags;
} rows[] = {
	/* held, ours */
	{ WRITE, true, GONE, NULL, 0, DEAD, 0, 0 },
	{ WRITE, true, ZOMBIE, NULL, 0, DEAD, 0, 0 },
	{ WRITE, true, GONE, NULL, NFS, DEAD, 0, 0 },
	{ WRITE, true, GONE, unknown_start, 0, DEAD, 0, 0 },
	{ WRITE, true, LIVING, NULL, 0, BUSY, BUSY, 0 },
	{ WRITE, true, LIVING, reused_pid, 0, DEAD, 0, 0 },
	{ WRITE, true, LIVING, unknown_start, 0, BUSY, BUSY, 0 },
	{ WRITE, true, SELF, other_image, 0, BUSY, BUSY, 0 },
	{ WRITE, true, SELF, NULL, 0, BUSY, BUSY, 0 },
	{ WRITE, true, GONE, other_pid_namespace, 0, BUSY, BUSY, NO_PID },
	{ WRITE, true, GONE, unknown_pid_namespace, 0, BUSY, BUSY, NO_PID },
	/* a kernel lock is of this boot, whatever boot ID its maker was shown */
	{ WRITE, true, GONE, other_boot, 0, DEAD, 0, 0 },
	{ WRITE, true, GONE, unknown_boot, 0, DEAD, 0, 0 },
	{ WRITE, true, LIVING, other_boot, 0, BUSY, BUSY, 0 },
	{ WRITE, true, LIVING, unknown_boot, 0, BUSY, BUSY, 0 },
	{ WRITE, true, LIVING, other_boot, NFS, BUSY, BUSY, NO_PID },
	{ WRITE, true, GONE, other_boot, NFS, BUSY, BUSY, NO_PID },
	/* held, foreign */
	{ WRITE, false, GONE, NULL, 0, BUSY, BUSY, 0 },
	{ WRITE, false, LIVING, NULL, 0, BUSY, BUSY, 0 },
	{ WRITE, false, SELF, NULL, 0, BUSY, BUSY, 0 },
	/* held, inheritable: by a child */
	{ WRITE, true, GONE, NULL, 0, BUSY, BUSY, INHERITABLE },
	{ WRITE, true, ZOMBIE, NULL, 0, BUSY, BUSY, INHERITABLE },
	{ WRITE, true, GONE, NULL, NFS, BUSY, BUSY, INHERITABLE | CLUSTER_LOCKS },
	{ WRITE, true, LIVING, NULL, 0, BUSY, BUSY, INHERITABLE },
	{ WRITE, true, LIVING, NULL, 0, BUSY, BUSY, INHERITABLE | LET_GO },
	{ WRITE, true, GONE, NULL, 0, BUSY, BUSY, INHERITABLE | LET_GO },
	{ WRITE, true, SELF, NULL, 0, BUSY, BUSY, INHERITABLE | LET_GO },
	{ WRITE, true, GONE, other_pid_namespace, 0, BUSY, BUSY, NO_PID | INHERITABLE },
	/* no lock, let go of */
	{ NONE, true, LIVING, NULL, 0, DEAD, 0, INHERITABLE | LET_GO },
	{ NONE, true, SELF, NULL, 0, DEAD, 0, INHERITABLE | LET_GO },
	{ NONE, true, LIVING, NULL, NFS, DEAD, 0, INHERITABLE | LET_GO },
	{ NONE, true, LIVING, other_boot, NFS, BUSY, BUSY, NO_PID | INHERITABLE | LET_GO },
	{ NONE, true, LIVING, other_boot, 0, DEAD, 0, NO_PID | INHERITABLE | LET_GO },
	{ NONE, true, LIVING, other_boot, NFS, DEAD, 0,
	  NO_PID | INHERITABLE | LET_GO | CLUSTER_LOCKS },
	{ READ, true, LIVING, NULL, 0, DEAD, 0, INHERITABLE | LET_GO },
	/* no lock, inheritable: nobody has inherited it */
	{ NONE, true, LIVING, NULL, 0, BUSY, BUSY, INHERITABLE },
	{ NONE, true, GONE, NULL, 0, DEAD, 0, INHERITABLE },
	{ NONE, true, LIVING, reused_pid, 0, DEAD, 0, INHERITABLE },
	{ NONE, true, LIVING, other_boot, NFS, BUSY, BUSY, NO_PID | INHERITABLE },
	/* no lock, ours, comparable */
	/* another copy of the library in this process may have it, our former image has not */
	{ NONE, true, SELF, NULL, 0, BUSY, BUSY, 0 },
	{ NONE, true, SELF, other_image, 0, DEAD, 0, 0 },
	{ NONE, true, SELF, unknown_image, 0, DEAD, 0, 0 },
	{ NONE, true, SELF, reused_pid, 0, DEAD, 0, 0 },
	{ NONE, true, LIVING, NULL, 0, BUSY, BUSY, 0 },
	{ NONE, true, GONE, NULL, 0, DEAD, 0, 0 },
	{ NONE, true, ZOMBIE, NULL, 0, DEAD, 0, 0 },
	{ NONE, true, LIVING, reused_pid, 0, DEAD, 0, 0 },
	{ NONE, true, GONE, NULL, NFS, DEAD, 0, 0 },
	/* no lock, ours, of this boot but not comparable */
	{ NONE, true, LIVING, other_pid_namespace, 0, DEAD, 0, NO_PID },
	{ NONE, true, LIVING, unknown_pid_namespace, 0, DEAD, 0, NO_PID },
	{ NONE, true, SELF, other_pid_namespace, 0, DEAD, 0, NO_PID },
	{ NONE, true, LIVING, other_time_namespace, 0, DEAD, 0, 0 },
	{ NONE, true, LIVING, unknown_start, 0, DEAD, 0, 0 },
	{ NONE, true, LIVING, other_pid_namespace, NFS, DEAD, 0, NO_PID },
	/* no lock, ours, of another boot */
	{ NONE, true, LIVING, other_boot, 0, DEAD, 0, NO_PID },
	{ NONE, true, GONE, other_boot, EXT4, DEAD, 0, NO_PID },
	{ NONE, true, GONE, unknown_boot, 0, DEAD, 0, NO_PID },
	{ NONE, true, ZOMBIE, unknown_boot, 0, DEAD, 0, NO_PID },
	/* a hidden boot ID does not hide a process that lives */
	{ NONE, true, LIVING, unknown_boot, 0, BUSY, BUSY, 0 },
	{ NONE, true, LIVING, unknown_boot, NFS, BUSY, BUSY, NO_PID },
	{ NONE, true, LIVING, unknown_boot_other_start, 0, DEAD, 0, NO_PID },
	{ NONE, true, LIVING, other_boot, NFS, BUSY, BUSY, NO_PID },
	{ NONE, true, GONE, other_boot, FUSE, BUSY, BUSY, NO_PID },
	{ NONE, true, GONE, other_boot, CIFS, BUSY, BUSY, NO_PID },
	{ NONE, true, LIVING, other_boot, NFS, DEAD, 0, NO_PID | CLUSTER_LOCKS },
	{ NONE, true, GONE, other_boot, FUSE, DEAD, 0, NO_PID | CLUSTER_LOCKS },
	{ NONE, true, LIVING, NULL, NFS, BUSY, BUSY, CLUSTER_LOCKS },
	{ WRITE, true, GONE, other_boot, NFS, BUSY, BUSY, NO_PID | CLUSTER_LOCKS },
	/* no lock, foreign */
	{ NONE, false, SELF, NULL, 0, DEAD, 0, 0 },
	{ NONE, false, SELF, NULL, NFS, DEAD, 0, 0 },
	{ NONE, false, LIVING, NULL, 0, BUSY, BUSY, 0 },
	{ NONE, false, GONE, NULL, 0, DEAD, 0, 0 },
	{ NONE, false, ZOMBIE, NULL, 0, DEAD, 0, 0 },
	{ NONE, false, GONE, NULL, EXT4, DEAD, 0, 0 },
	{ NONE, false, GONE, NULL, NFS, BUSY, BUSY, 0 },
	{ NONE, false, GONE, NULL, FUSE, BUSY, BUSY, 0 },
	{ NONE, false, GONE, NULL, NFS, DEAD, 0, CLUSTER_LOCKS },
	{ NONE, false, GONE, NULL, FUSE, DEAD, 0, CLUSTER_LOCKS },
	{ NONE, false, LIVING, NULL, NFS, BUSY, BUSY, CLUSTER_LOCKS },
	{ WRITE, false, GONE, NULL, NFS, BUSY, BUSY, CLUSTER_LOCKS },
	/* a read lock is nobody's holding */
	{ READ, true, GONE, NULL, 0, DEAD, 0, 0 },
	{ READ, true, LIVING, reused_pid, 0, DEAD, 0, 0 },
	{ READ, true, LIVING, other_boot, 0, DEAD, 0, NO_PID },
	{ READ, false, GONE, NULL, 0, DEAD, 0, 0 },
};

static struct record record_of(enum process process)
{
	switch (process) {
	case SELF:
		return forge_own_record();
	case LIVING:
		return forge_living_record();
	case ZOMBIE:
		return forge_zombie_record();
	default:
		return forge_dead_record();
	}
}

static int lock_file(enum kernel_lock kind)
{
	struct flock lock = { .l_whence = SEEK_SET, .l_len = 1 };
	int fd;

	if (kind == NONE)
		return -1;
	fd = open(PATH, O_RDWR | O_CLOEXEC);
	lock.l_type = kind == READ ? F_RDLCK : F_WRLCK;
	ck_assert_int_eq(fcntl(fd, F_OFD_SETLK, &lock), 0);
	return fd;
}

static struct lockfile_pid *new_lock(void)
{
	struct lockfile_pid *lock;

	ck_assert_int_eq(lockfile_pid_new(&lock, PATH), 0);
	return lock;
}

/* Nothing is taken, removed or written. */
static void assert_disturbs_nobody(void)
{
	static const char *const calls[] = {
		"sys_write_lock", "sys_lock_byte",        "sys_unlinkat", "sys_rename",
		"sys_link_fd",    "sys_rename_noreplace", "sys_fchmod",   "sys_pwrite",
		"sys_fsetxattr",  "sys_ftruncate",
	};

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		ck_assert_msg(steer_count(calls[i]) == 0, "%s", calls[i]);
}

/* The two answers; afterwards PATH is gone if it was had, else what it was. */
static void assert_answers_to(struct lockfile_pid *lock, int check, pid_t pid, int trylock)
{
	pid_t found = -1;
	char before[64];

	strcpy(before, read_file(PATH));
	ck_assert_int_eq(lockfile_pid_check(lock, &found), check);
	ck_assert_int_eq(found, pid);
	assert_disturbs_nobody();
	ck_assert_str_eq(read_file(PATH), before);
	ck_assert_int_eq(lockfile_pid_trylock(lock), trylock);
	if (trylock == 0) {
		assert_content(PATH, "%d\n", (int)getpid());
		ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	} else {
		ck_assert_str_eq(read_file(PATH), before);
		ck_assert_int_eq(unlink(PATH), 0);
	}
	lockfile_pid_free(lock);
	assert_nothing_left();
}

static void assert_answers(int check, pid_t pid, int trylock)
{
	assert_answers_to(new_lock(), check, pid, trylock);
}

TEST_EACH(row, rows)
{
	const struct row *row = &rows[_i];
	struct record record = record_of(row->process);
	struct lockfile_pid *lock = new_lock();
	pid_t pid = record.owner.pid;
	int fd;

	steer_reset();
	record.inheritable = row->flags & INHERITABLE;
	record.let_go = row->flags & LET_GO;
	ck_assert_int_eq(lockfile_pid_set_cluster_locks(lock, row->flags & CLUSTER_LOCKS), 0);
	if (row->change)
		row->change(&record.owner);
	if (row->ours)
		forge_file(PATH, &record);
	else
		forge_foreign(PATH, pid);
	fd = lock_file(row->lock);
	steer_file_system(row->file_system);
	assert_answers_to(lock, row->check, row->flags & NO_PID ? 0 : pid, row->trylock);
	steer_reset();
	if (fd >= 0)
		close(fd);
	forge_end();
}

/* Holders that are really there. */

TEST(held_by_another_process_is_busy)
{
	struct holder holder = holder_start(PATH);
	struct lockfile_pid *lock = new_lock();
	pid_t pid;

	ck_assert_int_eq(holder_do(&holder, "trylock"), 0);
	ck_assert_int_eq(lockfile_pid_check(lock, &pid), BUSY);
	ck_assert_int_eq(pid, holder.pid);
	ck_assert_int_eq(lockfile_pid_trylock(lock), BUSY);
	ck_assert_int_eq(holder_do(&holder, "verify"), 0);
	ck_assert_int_eq(holder_do(&holder, "unlock"), 0);
	ck_assert_int_eq(lockfile_pid_check(lock, &pid), 0);
	ck_assert_int_eq(pid, 0);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	holder_end(&holder);
	lockfile_pid_free(lock);
}

TEST(holder_whose_descriptors_were_closed_still_holds)
{
	struct holder holder = holder_start(PATH);
	struct lockfile_pid *lock = new_lock();

	ck_assert_int_eq(holder_do(&holder, "trylock"), 0);
	ck_assert_int_eq(holder_do(&holder, "closefrom"), 0);
	ck_assert_int_eq(lockfile_pid_trylock(lock), BUSY);
	holder_kill(&holder);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	lockfile_pid_free(lock);
}

/* It is read once, when this process looks itself up. */
TEST(holder_holds_though_our_own_boot_is_hidden)
{
	struct holder holder = holder_start(PATH);
	struct lockfile_pid *lock = new_lock();

	ck_assert_int_eq(holder_do(&holder, "trylock"), 0);
	ck_assert_int_eq(holder_do(&holder, "closefrom"), 0);
	steer_reset();
	steer_unopenable("/proc/sys/kernel/random/boot_id", EACCES);
	ck_assert_int_eq(lockfile_pid_check(lock, NULL), BUSY);
	ck_assert_int_eq(lockfile_pid_trylock(lock), BUSY);
	steer_reset();
	holder_kill(&holder);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	lockfile_pid_free(lock);
}

TEST(killed_holder_is_dead)
{
	struct holder holder = holder_start(PATH);
	struct lockfile_pid *lock = new_lock();
	pid_t pid;

	ck_assert_int_eq(holder_do(&holder, "trylock"), 0);
	holder_kill(&holder);
	ck_assert_int_eq(lockfile_pid_check(lock, &pid), DEAD);
	ck_assert_int_eq(pid, holder.pid);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	lockfile_pid_free(lock);
}

TEST(process_that_executed_a_new_image_has_let_go)
{
	struct holder holder = holder_start(PATH);
	struct lockfile_pid *lock = new_lock();

	ck_assert_int_eq(holder_do(&holder, "trylock"), 0);
	holder_ask(&holder, "exec");
	ck_assert_int_eq(holder_answer(&holder), 0);
	ck_assert_int_eq(holder_do(&holder, "trylock"), 0);
	ck_assert_int_eq(lockfile_pid_trylock(lock), BUSY);
	holder_end(&holder);
	lockfile_pid_free(lock);
}

/* This very process, by the attribute's number, or by the inode without. */
static const bool attributes[] = { true, false };

TEST_EACH(other_handle_whose_descriptor_was_closed_still_holds, attributes)
{
	struct lockfile_pid *first = new_lock(), *second = new_lock();
	pid_t pid;

	if (!attributes[_i])
		steer_result("sys_fsetxattr", EVERY, -EOPNOTSUPP);
	ck_assert_int_eq(lockfile_pid_trylock(first), 0);
	ck_assert_int_eq(lockfile_pid_trylock(second), BUSY);
	close(lockfile_pid_fileno(first));
	ck_assert_int_eq(lockfile_pid_check(second, &pid), BUSY);
	ck_assert_int_eq(pid, getpid());
	ck_assert_int_eq(lockfile_pid_trylock(second), BUSY);
	lockfile_pid_free(second);
	lockfile_pid_free(first);
	unlink(PATH);
	steer_reset();
}

/* The number means something to who made it, though namespaces cannot be compared. */
static const bool closed[] = { false, true };

TEST_EACH(without_proc_a_holder_is_told_its_own_pid, closed)
{
	struct lockfile_pid *first, *second;
	pid_t pid = -1;

	steer_reset();
	steer_no_proc();
	first = new_lock();
	second = new_lock();
	ck_assert_int_eq(lockfile_pid_trylock(first), 0);
	if (closed[_i])
		close(lockfile_pid_fileno(first));
	ck_assert_int_eq(lockfile_pid_check(first, &pid), BUSY);
	ck_assert_int_eq(pid, getpid());
	pid = -1;
	ck_assert_int_eq(lockfile_pid_check(second, &pid), BUSY);
	ck_assert_int_eq(pid, getpid());
	lockfile_pid_free(second);
	lockfile_pid_free(first);
	steer_reset();
}

static void lock_by_posix(int *ends)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char end;
	int fd = open(PATH, O_RDWR);

	close(ends[1]);
	if (fcntl(fd, F_SETLK, &lock) < 0 || write(ends[0], "", 1) != 1)
		_exit(1);
	_exit(read(ends[0], &end, 1) == 0 ? 0 : 1);
}

TEST(foreign_file_with_a_process_owned_lock_is_busy)
{
	pid_t dead = dead_pid(), pid;
	int ends[2], status;
	char up;

	forge_foreign(PATH, dead);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	pid = fork();
	if (pid == 0)
		lock_by_posix(ends);
	close(ends[0]);
	ck_assert_int_eq(read(ends[1], &up, 1), 1);
	assert_answers(BUSY, dead, BUSY);
	close(ends[1]);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}

TEST(process_that_may_not_be_signalled_holds)
{
	struct record dead = forge_dead_record();

	forge_foreign(PATH, dead.owner.pid);
	steer_reset();
	steer_result("sys_pidfd_open", EVERY, -EPERM);
	steer_result("sys_kill", EVERY, -EPERM);
	assert_answers(BUSY, dead.owner.pid, BUSY);
	steer_reset();
}

/* It may give a file another number, too: the type is asked for twice. */
TEST(file_system_of_unknown_kind_may_renumber)
{
	int fd = open(".", O_RDONLY | O_CLOEXEC);

	steer_reset();
	steer_file_system(EXT4);
	ck_assert(!filesystem_renumbers(fd));
	steer_result("sys_fstatfs_type", 1, -ENOSYS);
	ck_assert(filesystem_renumbers(fd));
	steer_reset();
	steer_file_system(EXT4);
	steer_result("sys_fstatfs_type", 2, -ENOSYS);
	ck_assert(filesystem_renumbers(fd));
	steer_reset();
	close(fd);
}

TEST(file_system_of_unknown_kind_may_be_a_network)
{
	struct record dead = forge_dead_record();

	forge_foreign(PATH, dead.owner.pid);
	steer_reset();
	steer_result("sys_fstatfs_type", EVERY, -ENOSYS);
	assert_answers(BUSY, dead.owner.pid, BUSY);
	steer_reset();
}

/* Our attribute beside any other content is nothing: the file is foreign. */
static const struct {
	const char *before, *after;
	enum process in_content, in_attribute;
	int check, trylock;
} mixtures[] = {
	/* by our own record these would be the other way round */
	{ "", "\n", GONE, LIVING, DEAD, 0 },
	{ "", "\n\n", GONE, LIVING, DEAD, 0 },
	{ "", "\n", LIVING, GONE, BUSY, BUSY },
	{ "", "", LIVING, GONE, BUSY, BUSY },
};

TEST_EACH(attribute_counts_only_beside_our_content, mixtures)
{
	struct record attribute = record_of(mixtures[_i].in_attribute);
	struct record content = record_of(mixtures[_i].in_content);
	char text[64];

	steer_reset();
	snprintf(text, sizeof(text), "%s%d%s", mixtures[_i].before, (int)content.owner.pid,
	         mixtures[_i].after);
	write_file(PATH, text);
	forge_attribute(PATH, &attribute);
	assert_answers(mixtures[_i].check, content.owner.pid, mixtures[_i].trylock);
	forge_end();
}

/*
 * A record of a PID that was reused is stale, but only if it counts.  More may have been
 * written to the file, after what we wrote.
 */
static const struct {
	const char *before, *after;
	int check, trylock;
} same_pid[] = {
	{ "", "\n", DEAD, 0 },     { "", "", BUSY, BUSY },    { "", "\nx", DEAD, 0 },
	{ "", " ", BUSY, BUSY },   { "", " \n", BUSY, BUSY }, { "", "\r\n", BUSY, BUSY },
	{ " ", "\n", BUSY, BUSY }, { "0", "\n", BUSY, BUSY },
};

TEST_EACH(attribute_counts_only_beside_the_very_bytes_at_the_start, same_pid)
{
	struct record record = forge_living_record();
	char text[64];

	steer_reset();
	reused_pid(&record.owner);
	snprintf(text, sizeof(text), "%s%d%s", same_pid[_i].before, (int)record.owner.pid,
	         same_pid[_i].after);
	write_file(PATH, text);
	forge_attribute(PATH, &record);
	assert_answers(same_pid[_i].check, record.owner.pid, same_pid[_i].trylock);
	forge_end();
}

/* What a program writes to the inherited descriptor of a lock file by mistake. */
static const struct {
	const char *start; /* in place of the PID */
	off_t at;          /* of a stray byte */
	enum process process;
	enum kernel_lock lock;
	int check, trylock;
} strays[] = {
	{ NULL, 5000, LIVING, WRITE, BUSY, BUSY },
	{ NULL, 5000, LIVING, NONE, BUSY, BUSY },
	{ NULL, 5000, GONE, NONE, DEAD, 0 },
	{ NULL, 0x3fffffff, GONE, NONE, DEAD, 0 },
	{ NULL, 0x3fffffff, GONE, WRITE, DEAD, 0 },
	{ NULL, 70, GONE, NONE, DEAD, 0 },
	{ "some text, no PID", 64, GONE, NONE, DEAD, 0 },
	{ "some text, no PID", 64, LIVING, NONE, BUSY, BUSY },
	{ "some text, no PID", 5000, LIVING, WRITE, BUSY, BUSY },
};

TEST_EACH(file_that_carries_our_record_is_ours_whatever_its_size, strays)
{
	struct record record = record_of(strays[_i].process);
	struct lockfile_pid *lock = new_lock();
	pid_t pid = -1;
	int fd, locked;

	steer_reset();
	forge_foreign(PATH, record.owner.pid);
	if (strays[_i].start)
		write_file(PATH, strays[_i].start);
	forge_attribute(PATH, &record);
	fd = open(PATH, O_WRONLY | O_CLOEXEC);
	ck_assert_int_eq(pwrite(fd, "x", 1, strays[_i].at), 1);
	close(fd);
	locked = lock_file(strays[_i].lock);
	ck_assert_int_eq(lockfile_pid_check(lock, &pid), strays[_i].check);
	ck_assert_int_eq(pid, record.owner.pid);
	assert_disturbs_nobody();
	ck_assert_int_eq(lockfile_pid_trylock(lock), strays[_i].trylock);
	lockfile_pid_free(lock);
	unlink(PATH);
	if (locked >= 0)
		close(locked);
	forge_end();
}

/* cp -a, rsync -X, tar --xattrs; the number is not that of the file on some file systems. */
#define OVERLAY 0x794c7630UL
static const struct {
	enum kernel_lock lock;
	enum process process;
	unsigned long file_system;
	int check, trylock;
	bool has_pid;
} copies[] = {
	{ NONE, LIVING, 0, DEAD, 0, false },         { NONE, LIVING, EXT4, DEAD, 0, false },
	{ NONE, GONE, 0, DEAD, 0, false },           { NONE, SELF, 0, DEAD, 0, false },
	{ WRITE, LIVING, 0, BUSY, BUSY, false },     { WRITE, GONE, 0, BUSY, BUSY, false },
	{ NONE, LIVING, NFS, BUSY, BUSY, true },     { NONE, LIVING, FUSE, BUSY, BUSY, true },
	{ NONE, LIVING, OVERLAY, BUSY, BUSY, true }, { NONE, GONE, OVERLAY, DEAD, 0, true },
};

TEST_EACH(copy_of_a_lock_file_is_nobodys_lock, copies)
{
	struct record record = record_of(copies[_i].process);
	int locked;

	steer_reset();
	forge_foreign(PATH, record.owner.pid);
	record.inode = 1;
	forge_attribute(PATH, &record);
	locked = lock_file(copies[_i].lock);
	steer_file_system(copies[_i].file_system);
	assert_answers(copies[_i].check, copies[_i].has_pid ? record.owner.pid : 0,
	               copies[_i].trylock);
	if (locked >= 0)
		close(locked);
	steer_reset();
	forge_end();
}

static void copy_with_attributes(void *unused)
{
	(void)unused;
	execlp("cp", "cp", "-a", "held/x.pid", PATH, (char *)NULL);
	_exit(127);
}

TEST(copy_that_cp_makes_of_a_held_lock_file_is_nobodys_lock)
{
	struct lockfile_pid *lock = new_lock();
	struct holder holder;
	struct record record;
	pid_t pid = -1;
	int fd;

	steer_reset();
	ck_assert_int_eq(mkdir("held", 0700), 0);
	holder = holder_start("held/x.pid");
	ck_assert_int_eq(holder_do(&holder, "trylock"), 0);
	ck_assert_int_eq(in_child(copy_with_attributes, NULL), 0);
	fd = open(PATH, O_RDONLY | O_CLOEXEC);
	if (fgetxattr(fd, RECORD_ATTRIBUTE, &record, 0) > 0) {
		ck_assert_int_eq(lockfile_pid_check(lock, &pid), DEAD);
		ck_assert_int_eq(pid, 0);
		ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	}
	close(fd);
	ck_assert_int_eq(holder_do(&holder, "verify"), 0);
	ck_assert_int_eq(holder_do(&holder, "unlock"), 0);
	lockfile_pid_free(lock);
	unlink(PATH);
	holder_end(&holder);
	ck_assert_int_eq(rmdir("held"), 0);
}

/* free() empties a file that it may not remove. */
TEST(emptied_file_is_damaged_whatever_its_attribute_says)
{
	struct record record = forge_living_record();
	struct lockfile_pid *lock = new_lock();
	pid_t pid;

	steer_reset();
	write_file(PATH, "\n");
	forge_attribute(PATH, &record);
	ck_assert_int_eq(lockfile_pid_check(lock, &pid), LOCKFILE_PID_ERR_INVALID_PID);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	lockfile_pid_free(lock);
	forge_end();
}

TEST(attribute_of_a_file_without_a_pid_is_not_asked_for)
{
	struct lockfile_pid *lock = new_lock();

	write_file(PATH, "\n");
	steer_reset();
	steer_result("sys_fgetxattr", EVERY, -EIO);
	ck_assert_int_eq(lockfile_pid_check(lock, NULL), LOCKFILE_PID_ERR_INVALID_PID);
	steer_reset();
	lockfile_pid_free(lock);
	unlink(PATH);
}

/* XFS reads wait for a write(2) of the owner, which may wait for a FUSE server of its. */
#define XFS 0x58465342UL
static const struct {
	mode_t directory;
	uid_t owner;
	unsigned long file_system;
	bool is_read;
	int check; /* of a file of a dead process, without attribute */
} readers[] = {
	{ 01777, 65533, XFS, false, BUSY }, { 01777, 65533, NFS, false, BUSY },
	{ 01777, 65533, EXT4, true, DEAD }, { 01777, 0, XFS, true, DEAD },
	{ 0777, 65533, XFS, true, DEAD },
};

TEST_EACH(strangers_file_is_not_read_where_that_may_hang, readers)
{
	struct lockfile_pid *lock = new_lock();
	pid_t pid = -1, dead = dead_pid();

	SKIP_UNLESS_ROOT();
	steer_reset();
	/* so old that without a PID it would be invalid */
	forge_foreign(PATH, dead);
	forge_mtime(PATH, -10);
	ck_assert_int_eq(chown(PATH, readers[_i].owner, 0), 0);
	ck_assert_int_eq(chmod(".", readers[_i].directory), 0);
	steer_file_system(readers[_i].file_system);
	ck_assert_int_eq(lockfile_pid_check(lock, &pid), readers[_i].check);
	ck_assert_int_eq(pid, readers[_i].is_read ? dead : 0);
	if (readers[_i].owner != 0 && readers[_i].file_system == XFS && !readers[_i].is_read) {
		/* its own attribute tells of it, unread */
		struct record record = forge_dead_record();

		steer_reset();
		steer_file_system(readers[_i].file_system);
		forge_attribute(PATH, &record);
		ck_assert_int_eq(lockfile_pid_check(lock, &pid), DEAD);
		ck_assert_int_eq(pid, record.owner.pid);
		/* and that it is a copy */
		record.inode = 1;
		forge_attribute(PATH, &record);
		ck_assert_int_eq(lockfile_pid_check(lock, &pid), DEAD);
		ck_assert_int_eq(pid, 0);
		/* where the file system is not known it is not read either */
		steer_result("sys_fstatfs_type", EVERY, -ENOSYS);
		forge_foreign(PATH, dead);
		ck_assert_int_eq(removexattr(PATH, RECORD_ATTRIBUTE), 0);
		pid = -1;
		ck_assert_int_eq(lockfile_pid_check(lock, &pid), BUSY);
		ck_assert_int_eq(pid, 0);
	}
	steer_reset();
	ck_assert_int_eq(chmod(".", 0755), 0);
	ck_assert_int_eq(unlink(PATH), 0);
	lockfile_pid_free(lock);
	forge_end();
}

static const struct {
	size_t size;
	unsigned char version;
	int check, trylock;
} formats[] = {
	{ RECORD_SIZE, 1, DEAD, 0 },        { RECORD_SIZE + 8, 1, DEAD, 0 },
	{ 4 * RECORD_SIZE, 1, DEAD, 0 },    { 4 * RECORD_SIZE + 1, 1, BUSY, BUSY },
	{ RECORD_SIZE - 1, 1, BUSY, BUSY }, { 0, 1, BUSY, BUSY },
	{ RECORD_SIZE, 2, BUSY, BUSY },     { RECORD_SIZE, 0, BUSY, BUSY },
};

TEST_EACH(attribute_of_a_format_that_we_do_not_know_is_none, formats)
{
	struct record record = forge_living_record();
	unsigned char packed[4 * RECORD_SIZE + 1] = "";

	steer_reset();
	reused_pid(&record.owner);
	forge_file(PATH, &record);
	record_pack(&record, packed);
	packed[0] = formats[_i].version;
	ck_assert_int_eq(setxattr(PATH, RECORD_ATTRIBUTE, packed, formats[_i].size, 0), 0);
	assert_answers(formats[_i].check, record.owner.pid, formats[_i].trylock);
	forge_end();
}

/* What fails while it is judged.  process_self() has made its calls before. */
static const struct {
	const char *call;
	int error, check, trylock;
} failures[] = {
	{ "sys_open_path", EIO, -EIO, -EIO },
	{ "sys_open_path", EMFILE, -EMFILE, -EMFILE },
	{ "sys_open_path", EBUSY, -EBUSY, -EBUSY },
	{ "sys_fstat", EIO, -EIO, -EIO },
	{ "sys_reopen", EIO, -EIO, -EIO },
	{ "sys_reopen", EMFILE, -EMFILE, -EMFILE },
	{ "sys_pread", EIO, -EIO, -EIO },
	{ "sys_pread", EINTR, -EINTR, -EINTR },
	{ "sys_fgetxattr", EIO, -EIO, -EIO },
	{ "sys_is_write_locked", ENOTSUP, -ENOTSUP, -ENOTSUP },
	{ "sys_reopen", EACCES, BUSY, BUSY },
	{ "sys_reopen", EPERM, BUSY, BUSY },
	{ "sys_reopen", EWOULDBLOCK, BUSY, BUSY },
};

static void assert_failure(int row, bool trylock)
{
	struct lockfile_pid *lock = new_lock();
	struct owner self;
	pid_t pid;

	process_self(&self);
	steer_reset();
	/* the prepared file of an attempt is looked at before */
	steer_result(failures[row].call,
	             trylock && strcmp(failures[row].call, "sys_fstat") == 0 ? 2 : 1,
	             -failures[row].error);
	if (trylock)
		ck_assert_int_eq(lockfile_pid_trylock(lock), failures[row].trylock);
	else
		ck_assert_int_eq(lockfile_pid_check(lock, &pid), failures[row].check);
	lockfile_pid_free(lock);
	steer_reset();
}

TEST(who_cannot_look_itself_up_cannot_judge)
{
	struct lockfile_pid *lock = new_lock();
	pid_t pid;

	write_file(PATH, "1\n");
	steer_reset();
	steer_result("sys_pidfd_open", 1, -EMFILE);
	ck_assert_int_eq(lockfile_pid_check(lock, &pid), -EMFILE);
	steer_reset();
	ck_assert_int_eq(lockfile_pid_check(lock, &pid), BUSY);
	lockfile_pid_free(lock);
	unlink(PATH);
}

TEST_EACH(failure_while_judging, failures)
{
	struct record record = forge_dead_record();
	int before = count_descriptors();

	forge_file(PATH, &record);
	assert_failure(_i, false);
	assert_failure(_i, true);
	ck_assert_int_eq(count_descriptors(), before);
	assert_content(PATH, "%d\n", (int)record.owner.pid);
	unlink(PATH);
}

/* With PATH validly held nothing else matters. */
static const struct {
	const char *call;
	int error;
} obstacles[] = {
	{ "sys_pwrite", ENOSPC },     { "sys_pwrite", EDQUOT }, { "sys_fsetxattr", ENOSPC },
	{ "sys_write_lock", ENOLCK }, { "sys_link_fd", EROFS }, { "sys_link_fd", EACCES },
};

TEST_EACH(held_lock_beats_other_errors, obstacles)
{
	struct holder holder = holder_start(PATH);
	struct lockfile_pid *lock = new_lock();

	ck_assert_int_eq(holder_do(&holder, "trylock"), 0);
	steer_reset();
	steer_result(obstacles[_i].call, EVERY, -obstacles[_i].error);
	ck_assert_int_eq(lockfile_pid_trylock(lock), BUSY);
	steer_reset();
	holder_end(&holder);
	lockfile_pid_free(lock);
}
