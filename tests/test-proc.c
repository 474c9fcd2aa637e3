/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "common.h"
#include "proc.h"
#include "steer.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define NAME "text"

/* What was there before is not to be taken for text. */
static char text[PROC_TEXT_SIZE];

static void fill(void)
{
	memset(text, 'x', sizeof(text) - 1);
	steer_reset();
}

TEST(text_is_the_start_of_the_file)
{
	int before = count_descriptors();

	fill();
	write_file(NAME, "some\ntext\n");
	ck_assert_int_eq(proc_read(NAME, text), 0);
	ck_assert_str_eq(text, "some\ntext\n");
	ck_assert_int_eq(count_descriptors(), before);
	unlink(NAME);
}

static const char *const calls[] = { "sys_openat", "sys_pread" };

TEST_EACH(what_cannot_be_read_is_told_and_empty, calls)
{
	int before = count_descriptors();

	fill();
	write_file(NAME, "text");
	steer_result(calls[_i], 1, -EACCES);
	ck_assert_int_eq(proc_read(NAME, text), -EACCES);
	ck_assert_str_eq(text, "");
	ck_assert_int_eq(count_descriptors(), before);
	steer_reset();
	unlink(NAME);
}

TEST(what_cannot_be_opened_is_not_read)
{
	fill();
	ck_assert_int_eq(proc_read(NAME, text), -ENOENT);
	ck_assert_str_eq(text, "");
	ck_assert_int_eq(steer_count("sys_pread"), 0);
	ck_assert_int_eq(steer_count("sys_close"), 0);
}

static const char status[] = "Name:\tTgid:\t1\nTgidOther:\t2\nAll Tgid:\t3\nTgid:\t4\nPid:\t5\n";

static const struct {
	const char *name, *value;
} fields[] = {
	{ "Tgid", "4\nPid:\t5\n" }, { "Pid", "5\n" }, { "Tg", NULL }, { "gid", NULL },
	{ "Name", NULL }, /* the first line is not looked at */
};

TEST_EACH(field_is_that_of_its_whole_name_at_the_start_of_a_line, fields)
{
	const char *value = proc_field(status, fields[_i].name);

	if (fields[_i].value)
		ck_assert_str_eq(value, fields[_i].value);
	else
		ck_assert_ptr_null(value);
	ck_assert_ptr_null(proc_field("", fields[_i].name));
}
