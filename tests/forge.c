/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "forge.h"

#include "common.h"
#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#define MAX_CHILDREN 64
#define FORGED_NONCE 0x1122334455667788U

static pid_t children[MAX_CHILDREN];
static int child_count;

static struct record record_of(const struct owner *owner)
{
	return (struct record){ .owner = *owner, .nonce = FORGED_NONCE };
}

struct record forge_own_record(void)
{
	struct owner self;

	owner_self(&self);
	return record_of(&self);
}

/* Says who it is, and lives until it is killed. */
static void live(int to)
{
	struct owner self;

	memset(&self, 0, sizeof(self)); /* what is between its members as well */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	owner_self(&self);
	if (write(to, &self, sizeof(self)) != sizeof(self))
		_exit(1);
	while (true)
		pause();
}

struct record forge_living_record(void)
{
	struct owner owner;
	int ends[2];
	pid_t pid;

	ck_assert_int_lt(child_count, MAX_CHILDREN);
	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	pid = checked_fork();
	if (pid == 0)
		live(ends[1]);
	children[child_count++] = pid;
	close(ends[1]);
	ck_assert_int_eq(read(ends[0], &owner, sizeof(owner)), sizeof(owner));
	close(ends[0]);
	return record_of(&owner);
}

struct record forge_zombie_record(void)
{
	struct record record = forge_living_record();
	siginfo_t info;

	kill(record.owner.pid, SIGKILL);
	ck_assert_int_eq(waitid(P_PID, (id_t)record.owner.pid, &info, WEXITED | WNOWAIT), 0);
	return record;
}

struct record forge_dead_record(void)
{
	struct record record = forge_zombie_record();

	ck_assert_int_eq(waitpid(record.owner.pid, NULL, 0), record.owner.pid);
	child_count--;
	return record;
}

void forge_end(void)
{
	while (child_count > 0) {
		pid_t pid = children[--child_count];

		kill(pid, SIGKILL);
		ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	}
}

void forge_attribute(const char *name, const struct record *record)
{
	struct record of_file = *record;
	unsigned char packed[RECORD_SIZE];
	struct stat st;

	if (of_file.inode == 0) {
		ck_assert_int_eq(stat(name, &st), 0);
		of_file.inode = st.st_ino;
	}
	record_pack(&of_file, packed);
	if (setxattr(name, RECORD_ATTRIBUTE, packed, sizeof(packed), 0) == 0)
		return;
	ck_assert_int_eq(errno, ENOTSUP);
	unlink(name);
	SKIP("no user attributes here");
}

void forge_foreign(const char *name, pid_t pid)
{
	char content[RECORD_CONTENT_SIZE];

	record_format_content(pid, content);
	write_file(name, content);
}

void forge_file(const char *name, const struct record *record)
{
	forge_foreign(name, record->owner.pid);
	forge_attribute(name, record);
}

int forge_lock(const char *name)
{
	int fd = open(name, O_RDWR | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(sys_write_lock(fd), 0);
	return fd;
}

void forge_mtime(const char *name, int seconds)
{
	struct timespec times[2];

	clock_gettime(CLOCK_REALTIME, &times[0]);
	times[0].tv_sec += seconds;
	times[1] = times[0];
	ck_assert_int_eq(utimensat(AT_FDCWD, name, times, 0), 0);
}
