/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Is it still ours?  Descriptors may have been closed, their numbers given to
 * other files, and inode numbers be used again.
 */
#include <config.h>

#include "common.h"
#include "pidfile.h"
#include "process.h"
#include "record.h"
#include "steer.h"
#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME         "x.pid"
#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* The two ways to make one. */

static int make_unnamed(struct pidfile *file, mode_t mode)
{
	return pidfile_make_unnamed(file, AT_FDCWD, ".", mode, false);
}

static int make_named(struct pidfile *file, mode_t mode)
{
	return pidfile_make_named(file, AT_FDCWD, NAME, mode, false);
}

static const struct way {
	int (*make)(struct pidfile *file, mode_t mode);
	bool named;
} ways[] = {
	{ make_unnamed, false },
	{ make_named, true },
};

static void begin(void)
{
	struct owner self;

	steer_reset();
	ck_assert_int_eq(process_init(), 0);
	process_self(&self); /* its calls are made now */
	steer_reset();
}

/* It stands at NAME afterwards. */
static struct pidfile *make(const struct way *way)
{
	static struct pidfile file;

	begin();
	ck_assert_int_eq(way->make(&file, 0644), 0);
	if (!way->named)
		ck_assert_int_eq(pidfile_link(&file, AT_FDCWD, NAME), 0);
	return &file;
}

static void end(struct pidfile *file)
{
	steer_reset();
	pidfile_drop(file);
	unlink(NAME);
}

/* Opens what a descriptor has open once more. */
static int open_again(int fd, int flags)
{
	char name[64];
	int again;

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	again = open(name, flags | O_CLOEXEC);
	ck_assert_int_ge(again, 0);
	return again;
}

TEST_EACH(content_is_compared_to_the_byte, ways)
{
	struct pidfile *file = make(&ways[_i]);
	char other[32];

	ck_assert_int_eq(pidfile_has_content(file, file->descriptor.fd), 1);
	write_file(NAME, "");
	ck_assert_int_eq(pidfile_has_content(file, file->descriptor.fd), 0);
	snprintf(other, sizeof(other), "%d", (int)getpid());
	write_file(NAME, other);
	ck_assert_int_eq(pidfile_has_content(file, file->descriptor.fd), 0);
	snprintf(other, sizeof(other), "%d\n\n", (int)getpid());
	write_file(NAME, other);
	ck_assert_int_eq(pidfile_has_content(file, file->descriptor.fd), 0);
	snprintf(other, sizeof(other), "%d\n", (int)getpid() ^ 1);
	write_file(NAME, other);
	ck_assert_int_eq(pidfile_has_content(file, file->descriptor.fd), 0);
	end(file);
}

TEST(attribute_errors_are_told_from_its_absence)
{
	static const int absent[] = { ENODATA, ERANGE, EOPNOTSUPP, ENOSYS, EPERM, EACCES };
	struct pidfile *file = make(&ways[0]);
	struct record record;

	for (size_t i = 0; i < COUNT(absent); i++) {
		steer_reset();
		steer_result("sys_fgetxattr", 1, -absent[i]);
		ck_assert_int_eq(pidfile_read_record(file->descriptor.fd, &record), 0);
	}
	steer_reset();
	steer_result("sys_fgetxattr", 1, -EIO);
	ck_assert_int_eq(pidfile_read_record(file->descriptor.fd, &record), -EIO);
	end(file);
}

/* With its attribute, and without: what is known then is the inode. */

static struct pidfile *make_with(bool attribute)
{
	static struct pidfile file = PIDFILE_NONE;

	begin();
	if (!attribute)
		steer_result("sys_fsetxattr", 1, -EOPNOTSUPP);
	ck_assert_int_eq(make_named(&file, 0644), 0);
	if (attribute && !file.has_attribute) {
		end(&file);
		SKIP("no user attributes here");
	}
	return &file;
}

static const bool attributes[] = { true, false };

TEST_EACH(descriptor_that_was_closed_is_not_ours, attributes)
{
	struct pidfile *file = make_with(attributes[_i]);

	ck_assert(pidfile_has_fd(file));
	close(file->descriptor.fd);
	ck_assert(!pidfile_has_fd(file));
	end(file);
}

TEST_EACH(number_of_another_file_is_not_ours_and_never_closed, attributes)
{
	struct pidfile *file = make_with(attributes[_i]);
	int fd = file->descriptor.fd, other;

	write_file("other", "content\n");
	other = open("other", O_RDWR | O_CLOEXEC);
	ck_assert_int_eq(dup3(other, fd, O_CLOEXEC), fd);
	ck_assert(!pidfile_has_fd(file));
	pidfile_retract(file);
	assert_content("other", "content\n");
	end(file);
	ck_assert_int_ge(fcntl(fd, F_GETFD), 0);
	close(fd);
	close(other);
	unlink("other");
}

/* The number is by now that of the same file, but opened by others: theirs to close. */
TEST_EACH(another_description_of_our_file_is_not_ours_and_never_closed, attributes)
{
	struct pidfile *file = make_with(attributes[_i]);
	int fd = file->descriptor.fd, again = open_again(fd, O_RDWR);

	ck_assert_int_eq(dup3(again, fd, O_CLOEXEC), fd);
	close(again);
	ck_assert(!pidfile_has_fd(file));
	end(file);
	ck_assert_int_ge(fcntl(fd, F_GETFD), 0);
	close(fd);
}

/* It cannot be told from the above. */
TEST_EACH(descriptor_whose_offset_was_moved_is_not_ours_any_more, attributes)
{
	struct pidfile *file = make_with(attributes[_i]);
	int fd = file->descriptor.fd;

	ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
	ck_assert(!pidfile_has_fd(file));
	end(file);
	close(fd);
}

TEST(where_a_file_cannot_seek_the_attribute_decides)
{
	struct pidfile file = PIDFILE_NONE;
	int fd, other = open("/dev/null", O_RDONLY | O_CLOEXEC);

	begin();
	steer_result("sys_lseek", EVERY, -ESPIPE);
	ck_assert_int_eq(make_named(&file, 0644), 0);
	fd = file.descriptor.fd;
	ck_assert_int_eq(pidfile_has_fd(&file), file.has_attribute);
	steer_result("sys_fgetxattr", 1, -EIO);
	ck_assert(!pidfile_has_fd(&file));
	ck_assert_int_eq(dup3(other, fd, O_CLOEXEC), fd);
	ck_assert(!pidfile_has_fd(&file));
	end(&file);
	ck_assert_int_ge(fcntl(fd, F_GETFD), 0);
	close(fd);
	close(other);
}

/* Makes files until one has the number of an inode that is gone; or -1. */
static int open_same_inode(const struct pidfile *file)
{
	int found = -1;

	for (int i = 0; i < 64 && found < 0; i++) {
		char name[16];
		struct stat st;

		snprintf(name, sizeof(name), "again%d", i);
		found = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		ck_assert_int_eq(fstat(found, &st), 0);
		if (st.st_ino != file->ino || st.st_dev != file->dev) {
			close(found);
			found = -1;
		}
	}
	for (int i = 0; i < 64; i++) {
		char name[16];

		snprintf(name, sizeof(name), "again%d", i);
		unlink(name);
	}
	return found;
}

TEST(number_of_a_file_with_our_old_inode_number_is_not_ours)
{
	struct pidfile *file = make_with(true);
	int fd = file->descriptor.fd, other;

	close(fd);
	unlink(NAME);
	other = open_same_inode(file);
	if (other < 0) {
		end(file);
		SKIP("inode numbers are not re-used here");
	}
	if (other != fd)
		ck_assert_int_eq(dup3(other, fd, O_CLOEXEC), fd);
	ck_assert(!pidfile_has_fd(file));
	end(file);
	ck_assert_int_ge(fcntl(fd, F_GETFD), 0);
	close(fd);
	if (other != fd)
		close(other);
}

TEST(copy_of_our_attribute_on_another_file_is_not_of_our_number)
{
	struct pidfile *file = make_with(true);
	struct pidfile other = PIDFILE_NONE;

	ck_assert_int_eq(pidfile_make_named(&other, AT_FDCWD, "y.pid", 0644, false), 0);
	ck_assert_int_eq(pidfile_has_nonce(file, file->descriptor.fd), 1);
	ck_assert_int_eq(pidfile_has_nonce(file, other.descriptor.fd), 0);
	pidfile_drop(&other);
	unlink("y.pid");
	end(file);
}

TEST_EACH(drop_closes_and_lets_go, ways)
{
	struct pidfile *file = make(&ways[_i]);
	int fd = file->descriptor.fd, again = open_again(fd, O_RDONLY);

	pidfile_drop(file);
	ck_assert_int_eq(file->descriptor.fd, -1);
	ck_assert_int_lt(fcntl(fd, F_GETFD), 0);
	ck_assert_int_eq(sys_is_write_locked(again), 0);
	ck_assert(exists(NAME));
	close(again);
	pidfile_drop(file); /* has no effect */
	unlink(NAME);
}

TEST_EACH(retracted_file_names_nobody, ways)
{
	struct pidfile *file = make(&ways[_i]);

	pidfile_retract(file);
	assert_content(NAME, "\n");
	end(file);
}
