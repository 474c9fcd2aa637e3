/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A file that was found and is opened by its name, since there is no /proc; and whose
 * files are trusted.
 */
#include <config.h>

#include "object.h"
#include "steer.h"
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#define NAME "x"

#define STRANGER 65533

/* Without /proc. */
static struct object find(void)
{
	struct object object;

	steer_reset();
	write_file(NAME, "");
	ck_assert_int_eq(object_find(&object, AT_FDCWD, NAME), 0);
	steer_reset();
	steer_result("sys_reopen", EVERY, -ENOENT);
	return object;
}

static void open_in_vain(struct object *object, int result)
{
	int before = count_descriptors(), fd = object->fd;

	ck_assert_int_eq(object_open(object, AT_FDCWD, NAME, O_RDONLY), result);
	ck_assert_int_eq(object->fd, fd);
	ck_assert_int_eq(count_descriptors(), before);
	steer_reset();
	object_close(object);
	ck_assert_int_eq(unlink(NAME), 0);
}

static const struct {
	int error, result;
} failures[] = {
	/* a lease, which is not waited for */
	{ EWOULDBLOCK, -EACCES },
	/* a link or a socket took the place of what was found */
	{ ELOOP, -EAGAIN },
	{ ENXIO, -EAGAIN },
	{ ENOENT, -ENOENT },
	{ EACCES, -EACCES },
	{ EMFILE, -EMFILE },
};

TEST_EACH(a_name_that_cannot_be_opened_is_told, failures)
{
	struct object object = find();

	steer_result("sys_openat", 1, -failures[_i].error);
	open_in_vain(&object, failures[_i].result);
}

TEST(a_file_that_cannot_be_looked_at_again_is_closed)
{
	struct object object = find();

	steer_result("sys_fstat", 1, -EIO);
	open_in_vain(&object, -EIO);
}

/* The number of an inode says nothing on another device, nor the device alone. */
TEST(a_file_of_another_number_or_device_is_another)
{
	struct object object = find();

	object.st.st_ino++;
	open_in_vain(&object, -EAGAIN);
	object = find();
	object.st.st_dev++;
	open_in_vain(&object, -EAGAIN);
}

TEST(a_file_is_opened_by_its_name)
{
	struct object object = find();
	int before = count_descriptors();
	char byte;

	ck_assert_int_eq(object_open(&object, AT_FDCWD, NAME, O_RDONLY), 0);
	/* it was found by one that cannot be read */
	ck_assert_int_eq(read(object.fd, &byte, 1), 0);
	ck_assert_int_eq(count_descriptors(), before);
	object_close(&object);
	ck_assert_int_eq(unlink(NAME), 0);
}

/* What a user who is not root may open by its name; see also test-leftover.c for root. */
static const struct place {
	mode_t mode;
	uid_t directory, file;
	int result;
} places[] = {
	{ 0755, NOBODY, NOBODY, 0 },       { 0755, NOBODY, STRANGER, 0 },
	{ 0755, 0, STRANGER, 0 },          { 0755, STRANGER, NOBODY, -EACCES },
	{ 01777, 0, NOBODY, 0 },           { 01777, 0, 0, 0 },
	{ 01777, 0, STRANGER, -EACCES },   { 01777, STRANGER, NOBODY, -EACCES },
	{ 0777, NOBODY, NOBODY, -EACCES },
};

static void open_as_nobody(void *argument)
{
	const struct place *place = argument;
	struct object object;

	REQUIRE(setresgid(NOBODY, NOBODY, NOBODY) == 0);
	REQUIRE(setresuid(NOBODY, NOBODY, NOBODY) == 0);
	REQUIRE(object_find(&object, AT_FDCWD, NAME) == 0);
	steer_result("sys_reopen", EVERY, -ENOENT);
	REQUIRE(object_open(&object, AT_FDCWD, NAME, O_RDONLY) == place->result);
	object_close(&object);
}

TEST_EACH(a_name_is_safe_if_only_root_and_we_can_change_it, places)
{
	struct place place = places[_i];

	SKIP_UNLESS_ROOT();
	steer_reset();
	write_file(NAME, "");
	ck_assert_int_eq(chmod(NAME, 0644), 0);
	ck_assert_int_eq(chown(NAME, place.file, place.file), 0);
	ck_assert_int_eq(chown(".", place.directory, place.directory), 0);
	ck_assert_int_eq(chmod(".", place.mode), 0);
	ck_assert_int_eq(in_child(open_as_nobody, &place), 0);
	ck_assert_int_eq(chown(".", 0, 0), 0);
	ck_assert_int_eq(chmod(".", 0755), 0);
	ck_assert_int_eq(unlink(NAME), 0);
}

/* Whose files we make is not known either if they seem to be of that user. */
TEST(a_file_of_an_unknown_owner_is_not_our_own)
{
	if (getuid() == 65534)
		SKIP("the user that stands for all that are unknown");
	steer_reset();
	ck_assert_int_eq(chmod(".", 01777), 0);
	steer_result("sys_geteuid", EVERY, STRANGER);
	ck_assert_int_eq(object_is_trusted(STRANGER, AT_FDCWD, STRANGER), 1);
	ck_assert_int_eq(object_is_trusted(NOBODY, AT_FDCWD, NOBODY), 0);
	steer_reset();
	steer_result("sys_geteuid", EVERY, NOBODY);
	ck_assert_int_eq(object_is_trusted(NOBODY, AT_FDCWD, NOBODY), 1);
	steer_reset();
	ck_assert_int_eq(chmod(".", 0755), 0);
}
