/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * On a network file system this host knows by a cache what names lead to.  Another host
 * changes a name here at the moment when the server is asked: who does not ask, acts on
 * what was there before.
 */
#include <config.h>

#include "common.h"
#include "forge.h"
#include "handle.h"
#include "process.h"
#include "steer.h"

#include <errno.h>
#include <fcntl.h>
#include <lockfile-pid.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PATH     "x.pid"
#define TAKEOVER PATH ".takeover"
#define ROGUE    LOCKFILE_PID_ERR_ROGUE_DELETION
#define DATA     "a file of another program"
#define NFS      0x6969

static char path[] = PATH, takeover_path[] = TAKEOVER;

static struct lockfile_pid *begin(void)
{
	struct lockfile_pid *lock;
	struct owner self;

	steer_reset();
	ck_assert_int_eq(lockfile_pid_new(&lock, PATH), 0);
	process_self(&self); /* its calls are made now */
	steer_file_system(NFS);
	return lock;
}

static void forget_rules(void)
{
	steer_reset();
	steer_file_system(NFS);
}

static struct lockfile_pid *hold(bool inheritable)
{
	struct lockfile_pid *lock = begin();

	ck_assert_int_eq(lockfile_pid_set_inheritable(lock, inheritable), 0);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	forget_rules();
	return lock;
}

static void end(struct lockfile_pid *lock)
{
	steer_reset();
	lockfile_pid_free(lock);
	assert_nothing_left();
}

/* By another host. */
static void replace(void *name)
{
	write_file("theirs", "1\n");
	ck_assert_int_eq(rename("theirs", name), 0);
}

/* By what is not the library's. */
static void replace_by_data(void *name)
{
	write_file("theirs", DATA);
	ck_assert_int_eq(rename("theirs", name), 0);
}

static const bool inheritable_or_not[] = { false, true };

TEST_EACH(unlock_asks_the_server_whose_file_it_is, inheritable_or_not)
{
	struct lockfile_pid *lock = hold(inheritable_or_not[_i]);

	steer_before("sys_refresh", 1, replace, path);
	ck_assert_int_eq(lockfile_pid_unlock(lock), ROGUE);
	assert_content(PATH, "1\n");
	unlink(PATH);
	end(lock);
}

TEST(unlock_without_a_descriptor_asks_the_server)
{
	struct lockfile_pid *lock = hold(false);

	if (!lock->file.has_attribute) {
		end(lock);
		SKIP("no user attributes here");
	}
	close(lock->file.descriptor.fd);
	steer_before("sys_refresh", 1, replace, path);
	ck_assert_int_eq(lockfile_pid_unlock(lock), ROGUE);
	assert_content(PATH, "1\n");
	unlink(PATH);
	end(lock);
}

TEST(verify_asks_the_server_whose_file_it_is)
{
	struct lockfile_pid *lock = hold(false);

	ck_assert_int_eq(lockfile_pid_verify(lock), 0);
	forget_rules();
	steer_before("sys_refresh", 1, replace, path);
	ck_assert_int_eq(lockfile_pid_verify(lock), ROGUE);
	unlink(PATH);
	end(lock);
}

/* What a server says that has forgotten the lock, that has another's, and that has no file. */
static const int lost[] = { -EIO, -EAGAIN, -ESTALE };

TEST_EACH(verify_tells_that_the_server_has_lost_the_lock, lost)
{
	struct lockfile_pid *lock = hold(false);

	steer_result("sys_write_lock", 1, lost[_i]);
	ck_assert_int_eq(lockfile_pid_verify(lock), ROGUE);
	forget_rules();
	steer_result("sys_write_lock", 1, -ENOLCK);
	ck_assert_int_eq(lockfile_pid_verify(lock), -ENOLCK);
	forget_rules();
	ck_assert_int_eq(lockfile_pid_verify(lock), 0);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	end(lock);
}

/* Its inode number is that of the file of another host by now, which is at the path. */
TEST(file_that_another_host_removed_is_not_ours_by_its_number)
{
	struct lockfile_pid *lock = hold(false);

	/* of the path, of the directory, and of our file */
	steer_result("sys_refresh", 3, -ESTALE);
	ck_assert_int_eq(lockfile_pid_unlock(lock), ROGUE);
	ck_assert(exists(PATH));
	unlink(PATH);
	end(lock);
}

/* It could do so between the check and the removal. */
TEST(unlock_keeps_other_hosts_from_taking_over)
{
	struct lockfile_pid *lock = hold(false);

	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	ck_assert_int_ge(steer_count("sys_link_fd"), 1);
	end(lock);
}

static void close_and_open(void *fd)
{
	ck_assert_int_eq(dup2(STDERR_FILENO, *(int *)fd), *(int *)fd);
}

TEST(directory_that_is_closed_while_unlock_waits_is_not_closed_again)
{
	struct lockfile_pid *lock = hold(false);
	int fd = lock->dir.fd;

	/* the file at PATH.takeover, which is removed after the lock file */
	steer_after("sys_unlinkat", 2, close_and_open, &fd);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	ck_assert_int_ge(fcntl(fd, F_GETFD), 0);
	close(fd);
	end(lock);
}

TEST(takeover_file_of_another_host_is_not_moved)
{
	struct lockfile_pid *lock = begin();

	forge_foreign(PATH, dead_pid());
	ck_assert_int_eq(lockfile_pid_set_cluster_locks(lock, 1), 0);
	/* after our own came there, and after the stale file was looked at */
	steer_before("sys_refresh", 3, replace_by_data, takeover_path);
	ck_assert_int_eq(lockfile_pid_trylock(lock), -EEXIST);
	assert_content(TAKEOVER, DATA);
	ck_assert_int_eq(steer_count("sys_rename"), 0);
	unlink(TAKEOVER);
	unlink(PATH);
	end(lock);
}

TEST(takeover_lock_that_the_server_has_lost_is_not_used)
{
	struct lockfile_pid *lock = begin();

	forge_foreign(PATH, dead_pid());
	ck_assert_int_eq(lockfile_pid_set_cluster_locks(lock, 1), 0);
	/* the first made the prepared file */
	steer_result("sys_write_lock", 2, -EIO);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(steer_count("sys_rename"), 1);
	ck_assert_int_ge(steer_count("sys_write_lock"), 4);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	end(lock);
}

TEST(stale_file_is_not_replaced_if_another_host_was_first)
{
	struct lockfile_pid *lock = begin();

	forge_foreign(PATH, dead_pid());
	ck_assert_int_eq(lockfile_pid_set_cluster_locks(lock, 1), 0);
	/* the first of these is about the takeover lock, which was just acquired */
	steer_before("sys_refresh", 2, replace, path);
	ck_assert_int_eq(lockfile_pid_trylock(lock), LOCKFILE_PID_ERR_BUSY);
	ck_assert_int_ge(steer_count("sys_refresh"), 2);
	assert_content(PATH, "1\n");
	unlink(PATH);
	end(lock);
}

TEST(stale_takeover_file_is_not_removed_if_another_host_was_first)
{
	struct lockfile_pid *lock = begin();

	forge_foreign(PATH, dead_pid());
	write_file(TAKEOVER, "");
	ck_assert_int_eq(lockfile_pid_set_cluster_locks(lock, 1), 0);
	/* the first of these is about our own file, which was not linked */
	steer_before("sys_refresh", 2, replace_by_data, takeover_path);
	ck_assert_int_eq(lockfile_pid_trylock(lock), -EEXIST);
	assert_content(TAKEOVER, DATA);
	unlink(TAKEOVER);
	unlink(PATH);
	end(lock);
}

/* The server is asked just before a name decides. */
TEST(stale_file_is_looked_at_by_the_server_before_it_is_replaced)
{
	struct lockfile_pid *lock = begin();

	forge_foreign(PATH, dead_pid());
	write_file(TAKEOVER, "");
	ck_assert_int_eq(lockfile_pid_set_cluster_locks(lock, 1), 0);
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_ptr_nonnull(strstr(steer_trace(), " refresh fstatat unlinkat "));
	ck_assert_ptr_nonnull(
		strstr(steer_trace(), " refresh fstatat refresh fstatat write_lock rename "));
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	end(lock);
}

/* That of our own at PATH.takeover, which is removed after the lock file. */
TEST(takeover_file_is_looked_at_by_the_server_before_it_is_removed)
{
	struct lockfile_pid *lock = hold(true);

	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	ck_assert_ptr_nonnull(strstr(steer_trace(), " unlinkat refresh fstatat unlinkat "));
	end(lock);
}

TEST(file_without_a_descriptor_is_looked_for_by_the_server)
{
	struct lockfile_pid *lock = hold(false);

	if (!lock->file.has_attribute) {
		end(lock);
		SKIP("no user attributes here");
	}
	close(lock->file.descriptor.fd);
	forget_rules();
	ck_assert_int_eq(lockfile_pid_verify(lock), 0);
	ck_assert_ptr_nonnull(strstr(steer_trace(), " refresh open_path "));
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	end(lock);
}

/* Each costs a call to the server. */
TEST(nothing_is_asked_on_a_local_file_system)
{
	struct lockfile_pid *lock;

	steer_reset();
	ck_assert_int_eq(lockfile_pid_new(&lock, PATH), 0);
	steer_file_system(0xef53);
	forge_foreign(PATH, dead_pid());
	ck_assert_int_eq(lockfile_pid_trylock(lock), 0);
	ck_assert_int_eq(steer_count("sys_write_lock"), 1);
	ck_assert_int_eq(lockfile_pid_verify(lock), 0);
	ck_assert_int_eq(lockfile_pid_unlock(lock), 0);
	ck_assert_int_eq(steer_count("sys_refresh"), 0);
	end(lock);
}
