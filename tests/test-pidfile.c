/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "common.h"
#include "pidfile.h"
#include "process.h"
#include "record.h"
#include "steer.h"
#include "sys.h"
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME "x.pid"

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

/* What it is made of. */

TEST_EACH(content_is_the_pid, ways)
{
	struct pidfile *file = make(&ways[_i]);

	assert_content(NAME, "%d\n", (int)getpid());
	ck_assert_int_eq(file->pid, getpid());
	end(file);
}

TEST_EACH(attribute_says_who_made_it, ways)
{
	struct pidfile *file = make(&ways[_i]);
	struct record record;
	struct owner self;
	int r = pidfile_read_record(file->descriptor.fd, &record);

	process_self(&self);
	if (!file->has_attribute) {
		ck_assert_int_eq(r, 0);
		end(file);
		SKIP("no user attributes here");
	}
	ck_assert_int_eq(r, 1);
	ck_assert_int_eq(record.owner.pid, self.pid);
	ck_assert_uint_eq(record.owner.start, self.start);
	ck_assert_uint_eq(record.owner.pidfd_inode, self.pidfd_inode);
	ck_assert_uint_eq(record.owner.pid_namespace, self.pid_namespace);
	ck_assert_uint_eq(record.owner.time_namespace, self.time_namespace);
	ck_assert_mem_eq(record.owner.boot, self.boot, BOOT_ID_SIZE);
	ck_assert_uint_eq(record.nonce, file->nonce);
	end(file);
}

TEST_EACH(each_has_a_random_number_of_its_own, ways)
{
	struct pidfile *first = make(&ways[_i]), *second;
	uint64_t nonce = first->nonce;

	end(first);
	second = make(&ways[_i]);
	ck_assert_uint_ne(second->nonce, nonce);
	end(second);
}

TEST_EACH(device_and_inode_are_remembered, ways)
{
	struct pidfile *file = make(&ways[_i]);
	struct stat st;

	ck_assert_int_eq(stat(NAME, &st), 0);
	ck_assert_uint_eq(file->dev, st.st_dev);
	ck_assert_uint_eq(file->ino, st.st_ino);
	ck_assert_int_eq(pidfile_is_at(file, AT_FDCWD, NAME), 1);
	ck_assert_int_eq(pidfile_is_at(file, AT_FDCWD, "other"), 0);
	end(file);
}

TEST(same_number_on_another_device_is_another_file)
{
	struct pidfile *file = make(&ways[0]);

	file->dev++;
	ck_assert_int_eq(pidfile_is_at(file, AT_FDCWD, NAME), 0);
	file->dev--;
	file->ino++;
	ck_assert_int_eq(pidfile_is_at(file, AT_FDCWD, NAME), 0);
	end(file);
}

TEST_EACH(descriptor_is_close_on_exec, ways)
{
	struct pidfile *file = make(&ways[_i]);

	ck_assert_int_eq(fcntl(file->descriptor.fd, F_GETFD), FD_CLOEXEC);
	end(file);
}

TEST_EACH(kernel_lock_is_there_when_it_is_made, ways)
{
	struct pidfile file = PIDFILE_NONE;
	int again;

	begin();
	ck_assert_int_eq(ways[_i].make(&file, 0644), 0);
	again = open_again(file.descriptor.fd, O_RDONLY);
	ck_assert_int_eq(sys_is_write_locked(again), 1);
	close(again);
	end(&file);
}

TEST_EACH(unnamed_file_is_complete_before_it_has_a_name, ways)
{
	struct pidfile file = PIDFILE_NONE;

	if (ways[_i].named)
		return;
	begin();
	ck_assert_int_eq(make_unnamed(&file, 0644), 0);
	assert_nothing_left();
	pidfile_drop(&file);
}

TEST(named_file_has_its_record_before_its_lock)
{
	struct pidfile file = PIDFILE_NONE;
	const char *trace;

	begin();
	ck_assert_int_eq(make_named(&file, 0644), 0);
	trace = steer_trace();
	ck_assert_ptr_nonnull(strstr(trace, "pwrite fsetxattr write_lock fstatat"));
	end(&file);
}

static const struct {
	mode_t umask, mode, expected;
} modes[] = {
	{ 022, 0644, 0644 },  { 022, 0666, 0644 },  { 022, 0600, 0600 }, { 022, 0777, 0755 },
	{ 077, 0644, 0600 },  { 077, 0666, 0600 },  { 027, 0644, 0640 }, { 027, 0666, 0640 },
	{ 002, 0664, 0664 },  { 002, 0666, 0664 },  { 000, 0666, 0666 }, { 0777, 0644, 0600 },
	{ 0777, 0777, 0600 }, { 0200, 0644, 0644 },
};

static void check_modes(const struct way *way, int row)
{
	struct pidfile file = PIDFILE_NONE;
	mode_t before = umask(modes[row].umask);
	struct stat st;

	begin();
	ck_assert_int_eq(way->make(&file, modes[row].mode), 0);
	umask(before);
	ck_assert_uint_eq(file.mode, modes[row].expected);
	ck_assert_int_eq(fstat(file.descriptor.fd, &st), 0);
	ck_assert_uint_eq(file.mode_now, st.st_mode & 07777);
	/* whatever the umask, or the attribute could not be written */
	ck_assert_uint_eq(st.st_mode & 0600, 0600);
	if (way->named)
		ck_assert_uint_eq(st.st_mode & 077, 0);
	ck_assert_int_eq(pidfile_set_mode(&file, file.mode), 0);
	ck_assert_int_eq(fstat(file.descriptor.fd, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, modes[row].expected);
	end(&file);
}

TEST_EACH(mode_is_that_asked_for_less_the_umask, modes)
{
	for (int i = 0; i < 2; i++)
		check_modes(&ways[i], _i);
}

static void check_modes_as_nobody(void *row)
{
	if (setresuid(65534, 65534, 65534) < 0)
		_exit(2);
	for (int i = 0; i < 2; i++)
		check_modes(&ways[i], *(int *)row);
}

TEST_EACH(mode_is_right_without_privilege, modes)
{
	SKIP_UNLESS_ROOT();
	ck_assert_int_eq(chmod(".", 0777), 0);
	ck_assert_int_eq(in_child(check_modes_as_nobody, &_i), 0);
}

TEST(mode_without_proc_is_that_of_a_strict_umask)
{
	struct pidfile file = PIDFILE_NONE;

	begin();
	steer_no_proc();
	ck_assert_int_eq(make_named(&file, 0666), 0);
	ck_assert_uint_eq(file.mode, 0600);
	end(&file);
}

TEST(mode_is_changed_only_where_it_differs)
{
	struct pidfile *file = make(&ways[0]);

	steer_reset();
	ck_assert_int_eq(pidfile_set_mode(file, 0644), 0);
	ck_assert_int_eq(steer_count("sys_fchmod"), 0);
	ck_assert_int_eq(pidfile_set_mode(file, 0600), 0);
	ck_assert_int_eq(steer_count("sys_fchmod"), 1);
	steer_result("sys_fchmod", 1, -EIO);
	ck_assert_int_eq(pidfile_set_mode(file, 0644), -EIO);
	ck_assert_uint_eq(file->mode_now, 0600);
	end(file);
}

/* What fails. */

static const char *const calls[] = {
	"sys_openat", "sys_fstat", "sys_pwrite", "sys_fsetxattr", "sys_write_lock",
};
static const int errors[] = { EIO, ENOSPC, EDQUOT, ENOMEM, EMFILE, ENFILE, EACCES, EROFS, ENOLCK };

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static void check_failure(const struct way *way, const char *call, int error)
{
	struct pidfile file = PIDFILE_NONE;
	int before = count_descriptors();

	if (!way->named && strcmp(call, "sys_openat") == 0 && error == EACCES)
		return; /* may be the lack of O_TMPFILE alone */
	if (strcmp(call, "sys_fsetxattr") == 0 && error == EACCES)
		return; /* it goes on without */
	begin();
	/* a named one reads the umask before */
	steer_result(call, way->named && strcmp(call, "sys_openat") == 0 ? 2 : 1, -error);
	ck_assert_int_eq(way->make(&file, 0644), -error);
	ck_assert_int_eq(file.descriptor.fd, -1);
	ck_assert_int_eq(count_descriptors(), before);
	ck_assert_msg(!exists(NAME), "%s: %s", call, strerror(error));
}

TEST_EACH(failure_leaves_nothing, ways)
{
	for (size_t i = 0; i < COUNT(calls); i++)
		for (size_t j = 0; j < COUNT(errors); j++)
			check_failure(&ways[_i], calls[i], errors[j]);
	steer_reset();
}

TEST(failing_look_at_the_name_of_a_named_one_leaves_nothing)
{
	for (size_t i = 0; i < COUNT(errors); i++)
		check_failure(&ways[1], "sys_fstatat", errors[i]);
	steer_reset();
}

static const int writes[] = { 0, 1, 2 };

TEST_EACH(short_write_is_a_full_disk, writes)
{
	for (size_t i = 0; i < COUNT(ways); i++) {
		struct pidfile file = PIDFILE_NONE;

		begin();
		steer_result("sys_pwrite", 1, writes[_i]);
		ck_assert_int_eq(ways[i].make(&file, 0644), -ENOSPC);
		assert_nothing_left();
	}
	steer_reset();
}

/* In a process without standard input, where all other numbers are in use. */
static void make_as_standard_input(void *way)
{
	const struct way *making = way;
	struct pidfile file = PIDFILE_NONE;
	struct rlimit limit;
	int next;

	begin();
	REQUIRE(close(STDIN_FILENO) == 0);
	next = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	REQUIRE(next > STDERR_FILENO && close(next) == 0);
	REQUIRE(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	limit.rlim_cur = (rlim_t)next;
	REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	REQUIRE(making->make(&file, 0644) == -EMFILE);
	REQUIRE(!pidfile_exists(&file));
	REQUIRE(fcntl(STDIN_FILENO, F_GETFD) < 0);
	limit.rlim_cur = limit.rlim_max;
	REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	REQUIRE(making->make(&file, 0644) == 0);
	REQUIRE(file.descriptor.fd > STDERR_FILENO);
	pidfile_drop(&file);
}

TEST_EACH(file_never_has_the_number_of_a_standard_stream, ways)
{
	struct way way = ways[_i];

	ck_assert_int_eq(in_child(make_as_standard_input, &way), 0);
	ck_assert_int_eq(exists(NAME), way.named);
	unlink(NAME);
}

/* Of the file system, of a security module, of a filter of system calls. */
static const int refusals_of_change[] = { EPERM, EACCES, ENODATA, ENOSYS, EOPNOTSUPP, EINVAL };

TEST_EACH(goes_on_where_there_are_no_attributes, refusals_of_change)
{
	for (size_t i = 0; i < COUNT(ways); i++) {
		struct pidfile file = PIDFILE_NONE;
		struct record record;

		begin();
		steer_result("sys_fsetxattr", 1, -refusals_of_change[_i]);
		ck_assert_int_eq(ways[i].make(&file, 0644), 0);
		ck_assert(!file.has_attribute);
		ck_assert_int_eq(pidfile_read_record(file.descriptor.fd, &record), 0);
		ck_assert_int_eq(pidfile_has_nonce(&file, file.descriptor.fd), 0);
		ck_assert(pidfile_has_fd(&file));
		end(&file);
	}
}

TEST_EACH(mode_that_cannot_be_changed_stays, refusals_of_change)
{
	struct pidfile *file = make(&ways[0]);
	mode_t before = file->mode_now;

	steer_reset();
	steer_result("sys_fchmod", 1, -refusals_of_change[_i]);
	ck_assert_int_eq(pidfile_set_mode(file, 0600), 0);
	ck_assert_uint_eq(file->mode_now, before);
	end(file);
}

/* What has run out is an error. */
static const int shortages[] = { ENOSPC, EDQUOT, EIO, ENOMEM };

TEST_EACH(shortage_is_no_refusal, shortages)
{
	struct pidfile *file = make(&ways[0]);

	steer_reset();
	steer_result("sys_fchmod", 1, -shortages[_i]);
	ck_assert_int_eq(pidfile_set_mode(file, 0600), -shortages[_i]);
	end(file);
	for (size_t i = 0; i < COUNT(ways); i++)
		check_failure(&ways[i], "sys_fsetxattr", shortages[_i]);
	steer_reset();
}

TEST_EACH(goes_on_where_a_file_cannot_seek, ways)
{
	struct pidfile file = PIDFILE_NONE;

	begin();
	steer_result("sys_lseek", EVERY, -ESPIPE);
	ck_assert_int_eq(ways[_i].make(&file, 0644), 0);
	ck_assert(pidfile_has_fd(&file));
	end(&file);
}

TEST_EACH(without_kernel_locks_is_not_supported, ways)
{
	struct pidfile file = PIDFILE_NONE;

	begin();
	steer_result("sys_write_lock", EVERY, -ENOTSUP);
	ck_assert_int_eq(ways[_i].make(&file, 0644), -ENOTSUP);
	assert_nothing_left();
	steer_reset();
}

static const int refusals[] = { EOPNOTSUPP, EISDIR, EINVAL, ENOSYS, EPERM, EACCES };

TEST_EACH(unnamed_file_is_not_supported_here, refusals)
{
	struct pidfile file = PIDFILE_NONE;

	begin();
	steer_no_tmpfile(refusals[_i]);
	ck_assert_int_eq(make_unnamed(&file, 0644), -EOPNOTSUPP);
	ck_assert_int_eq(file.descriptor.fd, -1);
	steer_reset();
}

/* Names. */

TEST(named_file_does_not_replace_another)
{
	struct pidfile file = PIDFILE_NONE;

	begin();
	write_file(NAME, "mine\n");
	ck_assert_int_eq(make_named(&file, 0644), -EEXIST);
	assert_content(NAME, "mine\n");
	unlink(NAME);
}

TEST(named_file_does_not_follow_a_link)
{
	struct pidfile file = PIDFILE_NONE;

	begin();
	ck_assert_int_eq(symlink("elsewhere", NAME), 0);
	ck_assert_int_eq(make_named(&file, 0644), -EEXIST);
	ck_assert(!exists("elsewhere"));
	unlink(NAME);
}

TEST(link_does_not_replace_another)
{
	struct pidfile file = PIDFILE_NONE;

	begin();
	write_file(NAME, "mine\n");
	ck_assert_int_eq(make_unnamed(&file, 0644), 0);
	ck_assert_int_eq(pidfile_link(&file, AT_FDCWD, NAME), -EEXIST);
	assert_content(NAME, "mine\n");
	end(&file);
}

TEST(link_goes_by_proc_where_it_needs_privilege)
{
	struct pidfile file = PIDFILE_NONE;

	begin();
	ck_assert_int_eq(make_unnamed(&file, 0644), 0);
	steer_result("sys_link_fd", 1, -ENOENT);
	ck_assert_int_eq(pidfile_link(&file, AT_FDCWD, NAME), 0);
	ck_assert_int_eq(steer_count("sys_link_proc"), 1);
	ck_assert_int_eq(pidfile_is_at(&file, AT_FDCWD, NAME), 1);
	end(&file);
}

/* Nobody can tell, and so it is not had. */
TEST(link_that_failed_is_an_error_if_its_name_cannot_be_looked_at)
{
	struct pidfile file = PIDFILE_NONE;

	begin();
	ck_assert_int_eq(make_unnamed(&file, 0644), 0);
	steer_result("sys_link_fd", 1, -EIO);
	steer_result("sys_fstatat", 1, -ENOMEM);
	ck_assert_int_eq(pidfile_link(&file, AT_FDCWD, NAME), -EIO);
	end(&file);
	assert_nothing_left();
}

static const int link_errors[] = { EEXIST, EACCES, EROFS, EPERM, EMLINK };

TEST_EACH(link_goes_by_proc_for_no_other_reason, link_errors)
{
	struct pidfile file = PIDFILE_NONE;

	begin();
	ck_assert_int_eq(make_unnamed(&file, 0644), 0);
	steer_result("sys_link_fd", 1, -link_errors[_i]);
	ck_assert_int_eq(pidfile_link(&file, AT_FDCWD, NAME), -link_errors[_i]);
	ck_assert_int_eq(steer_count("sys_link_proc"), 0);
	end(&file);
}

/* By its path, which may lead to another one by now. */
TEST(link_to_another_file_system_is_not_supported)
{
	struct pidfile file = PIDFILE_NONE;

	begin();
	ck_assert_int_eq(make_unnamed(&file, 0644), 0);
	steer_result("sys_link_fd", 1, -EXDEV);
	ck_assert_int_eq(pidfile_link(&file, AT_FDCWD, NAME), -EOPNOTSUPP);
	ck_assert_int_eq(steer_count("sys_link_proc"), 0);
	assert_nothing_left();
	end(&file);
}

/* Somebody takes our named one, not locked yet, for a leftover. */

static int their_fd;

static void lock_theirs(void *unused)
{
	(void)unused;
	their_fd = open(NAME, O_RDWR | O_CLOEXEC);
	ck_assert_int_eq(sys_write_lock(their_fd), 0);
}

static void clear_ours(void *unused)
{
	lock_theirs(unused);
	ck_assert_int_eq(unlink(NAME), 0);
	close(their_fd);
}

static void replace_ours(void *unused)
{
	clear_ours(unused);
	write_file(NAME, "theirs\n");
}

TEST(named_file_that_another_locks_first_is_given_up_and_left_to_it)
{
	struct pidfile file = PIDFILE_NONE;
	int before;

	begin();
	before = count_descriptors();
	steer_before("sys_write_lock", 1, lock_theirs, NULL);
	ck_assert_int_eq(make_named(&file, 0644), -EAGAIN);
	ck_assert_int_eq(file.descriptor.fd, -1);
	ck_assert_int_eq(count_descriptors(), before + 1);
	ck_assert(exists(NAME));
	ck_assert_int_eq(steer_count("sys_unlinkat"), 0);
	close(their_fd);
	unlink(NAME);
	steer_reset();
}

TEST(named_file_that_another_has_cleared_is_given_up)
{
	struct pidfile file = PIDFILE_NONE;

	begin();
	steer_before("sys_write_lock", 1, clear_ours, NULL);
	ck_assert_int_eq(make_named(&file, 0644), -EAGAIN);
	ck_assert_int_eq(file.descriptor.fd, -1);
	assert_nothing_left();
	steer_reset();
}

TEST(named_file_that_another_has_replaced_is_given_up)
{
	struct pidfile file = PIDFILE_NONE;

	begin();
	steer_before("sys_write_lock", 1, replace_ours, NULL);
	ck_assert_int_eq(make_named(&file, 0644), -EAGAIN);
	assert_content(NAME, "theirs\n");
	unlink(NAME);
	steer_reset();
}

/* Taken for a leftover while a call of ours fails. */
TEST(failing_named_file_removes_nobody_elses)
{
	struct pidfile file = PIDFILE_NONE;

	begin();
	steer_before("sys_write_lock", 1, replace_ours, NULL);
	steer_result("sys_fstatat", 1, -EIO);
	ck_assert_int_eq(make_named(&file, 0644), -EIO);
	assert_content(NAME, "theirs\n");
	unlink(NAME);
	steer_reset();
}

/* Whose name is it? */
TEST(named_file_that_cannot_be_looked_at_is_left_behind)
{
	struct pidfile file = PIDFILE_NONE;
	int before;

	begin();
	before = count_descriptors();
	steer_result("sys_fstat", EVERY, -EIO);
	ck_assert_int_eq(make_named(&file, 0644), -EIO);
	ck_assert_int_eq(file.descriptor.fd, -1);
	ck_assert_int_eq(count_descriptors(), before);
	ck_assert_int_eq(steer_count("sys_unlinkat"), 0);
	ck_assert_int_eq(unlink(NAME), 0);
	steer_reset();
}

TEST(failing_named_file_is_left_to_who_has_its_lock)
{
	struct pidfile file = PIDFILE_NONE;

	begin();
	steer_before("sys_write_lock", 1, lock_theirs, NULL);
	steer_result("sys_write_lock", 1, -ENOLCK);
	ck_assert_int_eq(make_named(&file, 0644), -ENOLCK);
	ck_assert(exists(NAME));
	close(their_fd);
	unlink(NAME);
	steer_reset();
}

/* What cannot be written is not cut either: its first digits may be another's PID. */
TEST(content_that_cannot_be_retracted_stays)
{
	struct pidfile *file = make(&ways[0]);

	steer_reset();
	steer_result("sys_pwrite", 1, -EIO);
	pidfile_retract(file);
	ck_assert_int_eq(steer_count("sys_ftruncate"), 0);
	assert_content(NAME, "%d\n", (int)getpid());
	steer_reset();
	pidfile_retract(file);
	assert_content(NAME, "%s", "\n");
	end(file);
}
