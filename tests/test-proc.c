/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "common.h"
#include "proc.h"
#include "steer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define NAME "text"

/* What was there before is not to be taken for text. */
static char text[64];

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
	ck_assert_int_eq(proc_read(NAME, text, sizeof(text)), 0);
	ck_assert_str_eq(text, "some\ntext\n");
	ck_assert_int_eq(count_descriptors(), before);
	unlink(NAME);
}

TEST(text_is_cut_where_there_is_no_more_room)
{
	fill();
	write_file(NAME, "some text");
	ck_assert_int_eq(proc_read(NAME, text, 5), 0);
	ck_assert_str_eq(text, "some");
	unlink(NAME);
}

static const char *const calls[] = { "sys_openat", "sys_pread" };

TEST_EACH(what_cannot_be_read_is_told_and_empty, calls)
{
	int before = count_descriptors();

	fill();
	write_file(NAME, "text");
	steer_result(calls[_i], 1, -EACCES);
	ck_assert_int_eq(proc_read(NAME, text, sizeof(text)), -EACCES);
	ck_assert_str_eq(text, "");
	ck_assert_int_eq(count_descriptors(), before);
	steer_reset();
	unlink(NAME);
}

TEST(what_cannot_be_opened_is_not_read)
{
	fill();
	ck_assert_int_eq(proc_read(NAME, text, sizeof(text)), -ENOENT);
	ck_assert_str_eq(text, "");
	ck_assert_int_eq(steer_count("sys_pread"), 0);
	ck_assert_int_eq(steer_count("sys_close"), 0);
}

/* Lines of a file */

static const struct {
	const char *text, *value; /* of the line "B"; NULL: there is none */
} lines[] = {
	{ "A:\ta\nB:\tb\n", "b" },
	{ "A:\ta\nBC:\tbc\nB:\tb\n", "b" }, /* one whose name only starts so */
	{ "A:\ta\nAB:\tab\nB:\tb\n", "b" }, /* or ends */
	{ "A:\ta\nB: b\nB:\tb\n", "b" },
	{ "A:\tB:\tb\nB:\tc\n", "c" },
	{ "A B:\tb\nB:\tc\n", "c" },
	{ "B:\tb\nB:\tc\n", "b" },
	{ "B:\tb\tc d\n", "b\tc d" },
	{ "B:\t\n", "" },
	/* what is kept of a value */
	{ "B:\t01234567890123456789012345678901234567890\n",
	  "012345678901234567890123456789012345678" },
	{ "A:\ta\nB:\tb", NULL }, /* not a line as yet */
	{ "A:\ta\nB:\n", NULL },
	{ "A:\ta\nBC:\tbc\n", NULL },
	{ "", NULL },
};

TEST_EACH(field_is_that_of_its_whole_name_at_the_start_of_a_line, lines)
{
	struct proc_field field = { .name = "B", .value = "before", .is_found = true };
	int before = count_descriptors();

	steer_reset();
	write_file(NAME, lines[_i].text);
	ck_assert_int_eq(proc_read_fields(NAME, &field, 1), 0);
	ck_assert_int_eq(field.is_found, lines[_i].value != NULL);
	ck_assert_str_eq(field.value, lines[_i].value ? lines[_i].value : "");
	ck_assert_int_eq(count_descriptors(), before);
	unlink(NAME);
}

/* As many as fill a piece that is read, and as many as leave the line in the middle. */
static const int blanks[] = { 0, 400, 502, 505, 507, 509, 511, 512, 513, 1000, 1024, 70000 };

/* A process may have 65536 groups, and the line of them stands before others. */
TEST_EACH(field_after_a_long_line_is_found, blanks)
{
	struct proc_field fields[] = { { .name = "C" }, { .name = "B" } };
	char long_text[70064];

	steer_reset();
	snprintf(long_text, sizeof(long_text), "A:\t%*s\nB:\tb\nC:\tc\n", blanks[_i], "");
	write_file(NAME, long_text);
	ck_assert_int_eq(proc_read_fields(NAME, fields, 2), 0);
	ck_assert_str_eq(fields[0].value, "c");
	ck_assert_str_eq(fields[1].value, "b");
	unlink(NAME);
}

TEST(no_more_is_read_than_to_the_last_field)
{
	struct proc_field field = { .name = "B" };
	char long_text[2048];

	snprintf(long_text, sizeof(long_text), "B:\tb\nA:\t%*s\n", 1500, "");
	write_file(NAME, long_text);
	steer_reset();
	ck_assert_int_eq(proc_read_fields(NAME, &field, 1), 0);
	ck_assert_int_eq(steer_count("sys_pread"), 1);
	unlink(NAME);
}

TEST_EACH(fields_that_cannot_be_read_are_told_and_not_found, calls)
{
	struct proc_field field = { .name = "B", .value = "before", .is_found = true };
	int before = count_descriptors();

	steer_reset();
	write_file(NAME, "B:\tb\n");
	steer_result(calls[_i], 1, -EACCES);
	ck_assert_int_eq(proc_read_fields(NAME, &field, 1), -EACCES);
	ck_assert(!field.is_found);
	ck_assert_str_eq(field.value, "");
	ck_assert_int_eq(count_descriptors(), before);
	steer_reset();
	unlink(NAME);
}
