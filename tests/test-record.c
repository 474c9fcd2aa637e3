/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "common.h"
#include "record.h"

#include <stdio.h>
#include <string.h>

#define BYTES(text) text, sizeof(text) - 1

static const struct {
	const char *content;
	size_t length;
	pid_t pid;
} contents[] = {
	{ BYTES("1\n"), 1 },
	{ BYTES("4194304\n"), 4194304 },
	{ BYTES("4194305\n"), 0 },
	{ BYTES("4294967297\n"), 0 },
	{ BYTES("18446744073709551617\n"), 0 },
	{ BYTES("111111111111111111111111111111\n"), 0 },
	{ BYTES("0\n"), 0 },
	{ BYTES("000\n"), 0 },
	{ BYTES("-1\n"), 0 },
	{ BYTES("-123\n"), 0 },
	{ BYTES("+123\n"), 0 },
	{ BYTES("0x7b\n"), 0 },
	{ BYTES("7b\n"), 0 },
	{ BYTES("a\n"), 0 },
	{ BYTES("123a\n"), 0 },
	/* more text in one short line, as UUCP programs write it */
	{ BYTES("123 a\n"), 123 },
	{ BYTES("123 456\n"), 123 },
	{ BYTES("123\ta"), 123 },
	{ BYTES("       123 minicom root\n"), 123 },
	{ BYTES("123 a\nb\n"), 0 },
	{ BYTES("123 a\n\n"), 0 },
	{ BYTES("123 a\0\n"), 0 },
	{ BYTES("0 a\n"), 0 },
	{ BYTES("x 123\n"), 0 },
	{ BYTES("123 45678901234567890123456789012345678901234567890123456789012\n"), 123 },
	{ BYTES("123 456789012345678901234567890123456789012345678901234567890123\n"), 0 },
	{ BYTES("1.5\n"), 0 },
	{ BYTES("123\0\n"), 0 },
	{ BYTES("\000123\n"), 0 },
	{ BYTES("12\0003\n"), 0 },
	{ BYTES("123\0"), 0 },
	{ BYTES(""), 0 },
	{ BYTES("\n"), 0 },
	{ BYTES(" \n"), 0 },
	{ BYTES(" \t "), 0 },
	{ BYTES(" 123\n"), 123 },
	{ BYTES("\t 123\n"), 123 },
	{ BYTES("123 \t\n"), 123 },
	{ BYTES("      123\n"), 123 },
	{ BYTES("0000000000000000000000000000000000123\n"), 123 },
	{ BYTES("123"), 123 },
	{ BYTES("123 "), 123 },
	{ BYTES("123\nhost\n"), 123 },
	{ BYTES("123\n456\n"), 123 },
	{ BYTES("123\r\n"), 123 },
	{ BYTES("123\r\nhost\r\n"), 123 },
};

TEST_EACH(content_is_the_pid_in_its_first_line, contents)
{
	ck_assert_int_eq(record_parse_content(contents[_i].content, contents[_i].length),
	                 contents[_i].pid);
}

TEST(content_ends_where_it_is_said_to_end)
{
	ck_assert_int_eq(record_parse_content("1234", 2), 12);
	ck_assert_int_eq(record_parse_content("12x", 2), 12);
	ck_assert_int_eq(record_parse_content("1234", 0), 0);
}

/* Wherever it is cut. */
TEST_EACH(content_in_pieces_is_the_same, contents)
{
	for (size_t cut = 0; cut <= contents[_i].length; cut++) {
		struct record_text text = { .length = 0 };

		record_parse_piece(&text, contents[_i].content, cut);
		record_parse_piece(&text, contents[_i].content + cut, contents[_i].length - cut);
		ck_assert_uint_eq(text.length, contents[_i].length);
		ck_assert_int_eq(record_parsed_pid(&text), contents[_i].pid);
	}
}

TEST(own_content_is_the_pid_and_a_newline)
{
	static const pid_t pids[] = { 1, 10, 99999, RECORD_PID_MAX };
	char content[RECORD_CONTENT_SIZE], expected[32];

	for (size_t i = 0; i < sizeof(pids) / sizeof(pids[0]); i++) {
		size_t length = record_format_content(pids[i], content);

		snprintf(expected, sizeof(expected), "%d\n", (int)pids[i]);
		ck_assert_str_eq(content, expected);
		ck_assert_uint_eq(length, strlen(expected));
		ck_assert_int_eq(record_parse_content(content, length), pids[i]);
	}
}

/* An attribute as it is on the disk. */

static const struct record known = {
	.owner = {
		.pid = 0x00020304,
		.pid_namespace = 0xf1f2f3f4,
		.time_namespace = 0xe1e2e3e4,
		.start = 0x2122232425262728,
		.pidfd_inode = 0x3132333435363738,
		.image = 0xc1c2c3c4,
		.boot = { '0', '1', '2', '3', '4', '5', '6', '7' },
	},
	.nonce = 0x8192939495969798,
	.inode = 0x4142434445464748,
};

/* clang-format off: a row a line */
static const unsigned char known_packed[] = {
	1,    0,    0,    0,                            /* version */
	0x04, 0x03, 0x02, 0x00,                         /* PID */
	0x98, 0x97, 0x96, 0x95, 0x94, 0x93, 0x92, 0x81, /* random number */
	'0',  '1',  '2',  '3',  '4',  '5',  '6',  '7',  /* boot ID */
	0x48, 0x47, 0x46, 0x45, 0x44, 0x43, 0x42, 0x41, /* inode */
	0xf4, 0xf3, 0xf2, 0xf1,                         /* PID namespace */
	0xe4, 0xe3, 0xe2, 0xe1,                         /* time namespace */
	0x28, 0x27, 0x26, 0x25, 0x24, 0x23, 0x22, 0x21, /* start */
	0x38, 0x37, 0x36, 0x35, 0x34, 0x33, 0x32, 0x31, /* pidfd */
	0xc4, 0xc3, 0xc2, 0xc1,                         /* image */
};
/* clang-format on */

static void assert_known(const struct record *record)
{
	ck_assert_int_eq(record->owner.pid, known.owner.pid);
	ck_assert_uint_eq(record->owner.pid_namespace, known.owner.pid_namespace);
	ck_assert_uint_eq(record->owner.time_namespace, known.owner.time_namespace);
	ck_assert_uint_eq(record->owner.start, known.owner.start);
	ck_assert_uint_eq(record->owner.pidfd_inode, known.owner.pidfd_inode);
	ck_assert_mem_eq(record->owner.boot, known.owner.boot, BOOT_ID_SIZE);
	ck_assert_uint_eq(record->owner.image, known.owner.image);
	ck_assert_uint_eq(record->nonce, known.nonce);
	ck_assert_uint_eq(record->inode, known.inode);
	ck_assert(record->inheritable == known.inheritable && record->let_go == known.let_go);
}

static const struct {
	bool inheritable, let_go, for_owner;
	unsigned char flags;
} flags[] = {
	{ false, false, false, 0 }, { true, false, false, 1 }, { false, true, false, 2 },
	{ true, true, false, 3 },   { false, false, true, 4 }, { true, true, true, 7 },
};

TEST_EACH(flags_of_the_attribute_are_written_and_read, flags)
{
	unsigned char packed[RECORD_SIZE];
	struct record record = known;

	record.inheritable = flags[_i].inheritable;
	record.let_go = flags[_i].let_go;
	record.for_owner = flags[_i].for_owner;
	record_pack(&record, packed);
	ck_assert_uint_eq(packed[2], flags[_i].flags);
	ck_assert_uint_eq(packed[3], 0);
	memset(&record, 0xff, sizeof(record));
	/* others may come */
	packed[2] |= 0xf8;
	packed[3] |= 0xff;
	ck_assert(record_unpack(packed, sizeof(packed), &record));
	ck_assert_int_eq(record.inheritable, flags[_i].inheritable);
	ck_assert_int_eq(record.let_go, flags[_i].let_go);
	ck_assert_int_eq(record.for_owner, flags[_i].for_owner);
	ck_assert_int_eq(record.owner.pid, known.owner.pid);
}

TEST(attribute_has_the_documented_bytes)
{
	unsigned char packed[RECORD_SIZE];

	memset(packed, 0xff, sizeof(packed));
	record_pack(&known, packed);
	ck_assert_uint_eq(sizeof(known_packed), RECORD_SIZE);
	ck_assert_mem_eq(packed, known_packed, RECORD_SIZE);
}

TEST(attribute_is_read_as_it_was_written)
{
	unsigned char packed[RECORD_SIZE];
	struct record record;

	memset(&record, 0xff, sizeof(record));
	record_pack(&known, packed);
	ck_assert(record_unpack(packed, sizeof(packed), &record));
	assert_known(&record);
}

TEST(attribute_fits_into_the_inode_of_ext4)
{
	ck_assert_uint_le(RECORD_SIZE, 60);
}

TEST(attribute_may_be_longer_but_not_shorter)
{
	unsigned char packed[RECORD_SIZE + 40];
	struct record record;

	memset(packed, 0xee, sizeof(packed));
	memcpy(packed, known_packed, RECORD_SIZE);
	ck_assert(record_unpack(packed, sizeof(packed), &record));
	assert_known(&record);
	for (size_t size = 0; size < RECORD_SIZE; size++)
		ck_assert(!record_unpack(packed, size, &record));
}

TEST(attribute_of_another_version_is_none)
{
	unsigned char packed[RECORD_SIZE];
	struct record record;

	memcpy(packed, known_packed, RECORD_SIZE);
	for (int version = 0; version < 256; version++) {
		packed[0] = (unsigned char)version;
		ck_assert_int_eq(record_unpack(packed, sizeof(packed), &record), version == 1);
	}
	packed[0] = packed[1] = 1;
	ck_assert(!record_unpack(packed, sizeof(packed), &record));
}

static const struct {
	unsigned char pid[4];
	bool valid;
} packed_pids[] = {
	{ { 0, 0, 0, 0 }, false },
	{ { 1, 0, 0, 0 }, true },
	{ { 0, 0, 0x40, 0 }, true },
	{ { 1, 0, 0x40, 0 }, false },
	{ { 0, 0, 0, 1 }, false },
	{ { 0xff, 0xff, 0xff, 0x7f }, false },
	{ { 0xff, 0xff, 0xff, 0xff }, false },
};

TEST_EACH(attribute_with_an_impossible_pid_is_none, packed_pids)
{
	unsigned char packed[RECORD_SIZE];
	struct record record;

	memcpy(packed, known_packed, RECORD_SIZE);
	memcpy(packed + 4, packed_pids[_i].pid, 4);
	ck_assert_int_eq(record_unpack(packed, sizeof(packed), &record), packed_pids[_i].valid);
}

/* Fields 3 to 21 of proc_pid_stat(5). */
#define TO_START " S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 "

static const struct {
	const char *stat;
	uint64_t start;
} stats[] = {
	{ "7 (sh)" TO_START "4711 24 25\n", 4711 },
	{ "7 ()" TO_START "4711 24 25\n", 4711 },
	{ "7 (a b c)" TO_START "4711 24 25\n", 4711 },
	{ "7 () R 1 2 ()" TO_START "4711 24 25\n", 4711 },
	{ "7 (x) R 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20)" TO_START "4711 24\n",
	  4711 },
	{ "7 (a\nb)" TO_START "4711 24 25\n", 4711 },
	{ "7 (sh)" TO_START "18446744073709551615 24\n", UINT64_MAX },
	{ "7 (sh)" TO_START "4711", 4711 },
	{ "7 (sh)" TO_START "0 24 25\n", 0 },
	{ "7 (sh)" TO_START "18446744073709551616 24\n", 0 },
	{ "7 (sh)" TO_START "18446744073709551620 24\n", 0 },
	{ "7 (sh)" TO_START "184467440737095516150 24\n", 0 },
	{ "7 (sh)" TO_START "36893488147419103233 24\n", 0 },
	{ "7 (sh)" TO_START "004711 24\n", 4711 },
	{ "7 (sh)" TO_START "4711\n", 4711 },
	{ "7 (sh)" TO_START "-4711 24\n", 0 },
	{ "7 (sh)" TO_START "+4711 24\n", 0 },
	{ "7 (sh)" TO_START "\t4711 24\n", 0 },
	{ "7 (sh)" TO_START "\n4711 24\n", 0 },
	{ "7 (sh)" TO_START " 4711 24\n", 0 },
	{ "7 (sh)" TO_START "4711\t24\n", 0 },
	{ "7 (sh)" TO_START "4711x 24\n", 0 },
	{ "7 (sh)" TO_START "0x4711 24\n", 0 },
	{ "7 (sh)" TO_START "4711/ 24\n", 0 },
	{ "7 (sh)" TO_START "4711: 24\n", 0 },
	{ "7 (sh)" TO_START "x 24\n", 0 },
	{ "7 (sh)" TO_START "/ 24\n", 0 },
	{ "7 (sh)" TO_START "\n", 0 },
	{ "7 (sh)" TO_START, 0 },
	{ "7 (sh) S 1 2 3", 0 },
	{ "7 (sh)", 0 },
	{ "7 (sh", 0 },
	{ "", 0 },
};

TEST_EACH(start_time_is_field_22_after_the_last_parenthesis, stats)
{
	ck_assert_uint_eq(record_parse_start(stats[_i].stat), stats[_i].start);
}
