/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "hostile.h"

#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <lockfile-pid.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/vfs.h>

#define FILE_NAME    "precious"
#define FIFO_NAME    "pipe"
#define FILE_CONTENT "precious\n"

static const struct scene scenes[SCENES] = {
	{ 01777, 0, VICTIM },   { 01777, 0, 0 }, /* as /tmp */
	{ 00777, 0, VICTIM },   { 00777, 0, 0 },           { 01777, ATTACKER, VICTIM },
	{ 01777, ATTACKER, 0 }, { 01777, VICTIM, VICTIM }, { 01777, VICTIM, 0 },
};

static struct stat file_before, fifo_before;
static int fifo_fd; /* what is written to the FIFO stays in it */

static void give(const char *name, uid_t owner, mode_t mode)
{
	ck_assert_int_eq(lchown(name, owner, owner), 0);
	ck_assert_int_eq(chmod(name, mode), 0);
}

static void make_precious(const struct scene *scene)
{
	write_file(FILE_NAME, FILE_CONTENT);
	give(FILE_NAME, scene->victim, 0600);
	age_file(FILE_NAME, 100);
	ck_assert_int_eq(stat(FILE_NAME, &file_before), 0);
	ck_assert_int_eq(mkfifo(FIFO_NAME, 0600), 0);
	give(FIFO_NAME, scene->victim, 0600);
	fifo_fd = open(FIFO_NAME, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	ck_assert_int_ge(fifo_fd, 0);
	ck_assert_int_eq(stat(FIFO_NAME, &fifo_before), 0);
}

const struct scene *begin_scene(int i)
{
	const struct scene *scene = &scenes[i % SCENES];

	SKIP_UNLESS_ROOT();
	ck_assert_int_eq(chmod(".", 0755), 0);
	ck_assert_int_eq(mkdir(DIR, 0700), 0);
	give(DIR, scene->owner, scene->mode);
	make_precious(scene);
	return scene;
}

static void assert_same(const char *name, const struct stat *before)
{
	struct stat now;

	ck_assert_int_eq(lstat(name, &now), 0);
	ck_assert_uint_eq(now.st_ino, before->st_ino);
	ck_assert_uint_eq(now.st_mode, before->st_mode);
	ck_assert_uint_eq(now.st_uid, before->st_uid);
	ck_assert_int_eq(now.st_mtim.tv_sec, before->st_mtim.tv_sec);
	ck_assert_int_eq(now.st_mtim.tv_nsec, before->st_mtim.tv_nsec);
}

static void assert_precious_untouched(void)
{
	int bytes = -1;

	assert_same(FILE_NAME, &file_before);
	assert_content(FILE_NAME, FILE_CONTENT);
	assert_same(FIFO_NAME, &fifo_before);
	ck_assert_int_eq(ioctl(fifo_fd, FIONREAD, &bytes), 0);
	ck_assert_int_eq(bytes, 0);
}

void end_scene(void)
{
	assert_precious_untouched();
	ck_assert_str_eq(list_dir(DIR), "");
	ck_assert_int_eq(rmdir(DIR), 0);
	ck_assert_int_eq(unlink(FILE_NAME), 0);
	ck_assert_int_eq(unlink(FIFO_NAME), 0);
}

enum trust trust_in(const struct scene *scene)
{
	bool is_root = scene->victim == 0, is_sticky = scene->mode & S_ISVTX;

	if (is_sticky && scene->owner != ATTACKER)
		return is_root ? STRANGERS_TO_ROOT : STRANGERS;
	if (is_root)
		return TRUSTED_BY_ROOT;
	return is_sticky ? SHUT_OUT : TRUSTED;
}

int said_of_file(const struct scene *scene, int result)
{
	enum trust trust = trust_in(scene);
	struct statfs fs;
	bool is_read;

	ck_assert_int_eq(statfs(DIR, &fs), 0);
	is_read = fs.f_type == EXT4_SUPER_MAGIC || fs.f_type == TMPFS_MAGIC ||
	          fs.f_type == BTRFS_SUPER_MAGIC || fs.f_type == RAMFS_MAGIC;
	return trust <= STRANGERS_TO_ROOT && !is_read ? LOCKFILE_PID_ERR_BUSY : result;
}

struct holder start_victim(const struct scene *scene)
{
	return holder_of_user(scene->victim, PATH);
}

void end_victim(struct holder *victim, int descriptors)
{
	ck_assert_int_eq(count_descriptors_of(victim->pid), descriptors);
	holder_end(victim);
	assert_precious_untouched();
}

void leave_stale(const struct scene *scene)
{
	struct holder holder = start_victim(scene);

	ck_assert_int_eq(holder_do(&holder, "trylock"), 0);
	holder_kill(&holder);
}

void expect_refusal(struct holder *victim, int result)
{
	int waited = result == LOCKFILE_PID_ERR_BUSY ? -ETIMEDOUT : result;
	char before[256];

	snprintf(before, sizeof(before), "%s", list_dir(DIR));
	ck_assert_int_eq(holder_do(victim, "trylock"), result);
	ck_assert_str_eq(list_dir(DIR), before);
	ck_assert_int_eq(holder_do(victim, "timedlock 20"), waited);
	ck_assert_str_eq(list_dir(DIR), before);
	ck_assert_int_eq(holder_do(victim, "begin"), result);
	ck_assert_int_eq(holder_do(victim, "cancel"), 0);
	ck_assert_int_eq(holder_do(victim, "verify"), LOCKFILE_PID_ERR_ROGUE_DELETION);
	ck_assert_int_eq(holder_do(victim, "unlock"), LOCKFILE_PID_ERR_ROGUE_DELETION);
	ck_assert_str_eq(list_dir(DIR), before);
}

void expect_lock(struct holder *victim)
{
	ck_assert_int_eq(holder_do(victim, "trylock"), 0);
	ck_assert_str_eq(list_dir(DIR), NAME " ");
	assert_content(PATH, "%d\n", (int)victim->pid);
	ck_assert_int_eq(holder_do(victim, "verify"), 0);
	ck_assert_int_eq(holder_do(victim, "unlock"), 0);
	ck_assert_str_eq(list_dir(DIR), "");
}

static bool is_beyond_the_attacker(void (*make)(const char *))
{
	return make == make_second_name || make == make_second_fifo_name || make == make_device;
}

void plant(void (*make)(const char *), const char *name)
{
	if (is_beyond_the_attacker(make))
		make(name);
	else
		as_user(ATTACKER, make, name);
	ck_assert(exists(name));
}

/* Links lead from DIR. */

void make_link_to_file(const char *name)
{
	REQUIRE(symlink("../" FILE_NAME, name) == 0);
}

void make_link_to_fifo(const char *name)
{
	REQUIRE(symlink("../" FIFO_NAME, name) == 0);
}

void make_link_to_directory(const char *name)
{
	REQUIRE(symlink("..", name) == 0);
}

void make_link_to_device(const char *name)
{
	REQUIRE(symlink("/dev/null", name) == 0);
}

void make_link_to_nothing(const char *name)
{
	REQUIRE(symlink("../made-by-way-of-a-link", name) == 0);
}

void make_fifo(const char *name)
{
	REQUIRE(mkfifo(name, 0600) == 0 && chmod(name, 0666) == 0);
}

void make_closed_fifo(const char *name)
{
	REQUIRE(mkfifo(name, 0600) == 0);
}

void make_socket(const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, name);
	REQUIRE(bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
	close(fd);
}

void make_directory(const char *name)
{
	REQUIRE(mkdir(name, 0777) == 0);
}

void make_full_directory(const char *name)
{
	char inner[128];

	make_directory(name);
	snprintf(inner, sizeof(inner), "%s/inner", name);
	make_directory(inner);
}

void make_device(const char *name)
{
	if (mknod(name, S_IFCHR | 0666, makedev(1, 3)) < 0)
		SKIP("cannot make a device");
}

static void make_file_of_mode(const char *name, mode_t mode)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	REQUIRE(fd >= 0 && write(fd, "no PID\n", 7) == 7);
	REQUIRE(fchmod(fd, mode) == 0);
	close(fd);
}

void make_file(const char *name)
{
	make_file_of_mode(name, 0666);
}

void make_empty_file(const char *name)
{
	make_file(name);
	REQUIRE(truncate(name, 0) == 0);
}

void make_closed_file(const char *name)
{
	make_file_of_mode(name, 0600);
}

void make_shut_file(const char *name)
{
	make_file_of_mode(name, 0);
}

void make_second_name(const char *name)
{
	REQUIRE(link(FILE_NAME, name) == 0);
}

void make_second_fifo_name(const char *name)
{
	REQUIRE(link(FIFO_NAME, name) == 0);
}

void clear(const char *name)
{
	char inner[128];

	snprintf(inner, sizeof(inner), "%s/inner", name);
	rmdir(inner);
	ck_assert(remove(name) == 0 || errno == ENOENT);
}
