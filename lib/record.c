/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The attribute, little-endian on every machine since file systems travel:
 *
 *	offset	size	meaning
 *	0	2	version of this format: 1
 *	2	2	1: inheritable; 2: abandoned; 4: held for its owner
 *	4	4	PID
 *	8	8	random number of the acquisition
 *	16	8	first half of the boot ID
 *	24	8	inode number of this file
 *	32	4	inode number of the PID namespace
 *	36	4	inode number of the time namespace
 *	40	8	start time
 *	48	8	inode number of a pidfd
 *	56	4	token of the program image
 *
 * What is unknown is 0.  Later versions of format 1 may append, and add flags: a
 * reader takes what it knows.
 */
#include <config.h>

#include "record.h"

#include <stdio.h>
#include <string.h>

#define FORMAT_VERSION   1
#define STAT_START_FIELD 22

#define FLAG_INHERITABLE 1U
#define FLAG_LET_GO      2U
#define FLAG_FOR_OWNER   4U

size_t record_format_content(pid_t pid, char ret[RECORD_CONTENT_SIZE])
{
	return (size_t)snprintf(ret, RECORD_CONTENT_SIZE, "%d\n", (int)pid);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static void parse_digit(struct record_text *text, char c)
{
	text->part = RECORD_IN_PID;
	text->pid = text->pid * 10 + (c - '0');
	if (text->pid > RECORD_PID_MAX) {
		text->part = RECORD_DECIDED;
		text->pid = 0;
	}
}

/* What follows the number. */
static void parse_end(struct record_text *text, char c)
{
	if (is_blank(c)) {
		text->part = RECORD_AFTER_PID;
	} else if (c == '\n') {
		text->part = RECORD_DECIDED;
	} else if (text->part == RECORD_AFTER_PID) {
		text->part = RECORD_IN_MORE;
	} else {
		text->part = RECORD_DECIDED;
		text->pid = 0;
	}
}

static void parse_char(struct record_text *text, char c)
{
	switch (text->part) {
	case RECORD_BEFORE_PID:
		if (is_digit(c))
			parse_digit(text, c);
		else if (!is_blank(c))
			text->part = RECORD_DECIDED;
		break;
	case RECORD_IN_PID:
		if (is_digit(c))
			parse_digit(text, c);
		else
			parse_end(text, c);
		break;
	case RECORD_AFTER_PID:
		parse_end(text, c);
		break;
	default: /* decided, or in more: "%10d minicom root\n", as UUCP programs write it */
		break;
	}
}

void record_parse_piece(struct record_text *text, const char *piece, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		parse_char(text, piece[i]);
		if (text->has_newline || piece[i] == '\0')
			text->is_not_line = true;
		if (piece[i] == '\n')
			text->has_newline = true;
	}
	text->length += length;
}

pid_t record_parsed_pid(const struct record_text *text)
{
	if (text->part == RECORD_IN_MORE &&
	    (text->is_not_line || text->length > RECORD_DAMAGED_MAX))
		return 0;
	return text->pid;
}

pid_t record_parse_content(const char *content, size_t length)
{
	struct record_text text = { .length = 0 };

	record_parse_piece(&text, content, length);
	return record_parsed_pid(&text);
}

static void put(unsigned char *p, size_t size, uint64_t value)
{
	for (size_t i = 0; i < size; i++)
		p[i] = (unsigned char)(value >> 8 * i);
}

static uint64_t get(const unsigned char *p, size_t size)
{
	uint64_t value = 0;

	while (size-- > 0)
		value = value << 8 | p[size];
	return value;
}

static unsigned int pack_flags(const struct record *record)
{
	return (record->inheritable ? FLAG_INHERITABLE : 0) | (record->let_go ? FLAG_LET_GO : 0) |
	       (record->for_owner ? FLAG_FOR_OWNER : 0);
}

void record_pack(const struct record *record, unsigned char ret[RECORD_SIZE])
{
	put(ret, 2, FORMAT_VERSION);
	put(ret + 2, 2, pack_flags(record));
	put(ret + 4, 4, (uint64_t)record->owner.pid);
	put(ret + 8, 8, record->nonce);
	memcpy(ret + 16, record->owner.boot, BOOT_ID_SIZE);
	put(ret + 24, 8, record->inode);
	put(ret + 32, 4, record->owner.pid_namespace);
	put(ret + 36, 4, record->owner.time_namespace);
	put(ret + 40, 8, record->owner.start);
	put(ret + 48, 8, record->owner.pidfd_inode);
	put(ret + 56, 4, record->owner.image);
}

bool record_unpack(const unsigned char *packed, size_t size, struct record *ret)
{
	uint64_t pid, flags;

	if (size < RECORD_SIZE || get(packed, 2) != FORMAT_VERSION)
		return false;
	flags = get(packed + 2, 2);
	pid = get(packed + 4, 4);
	if (pid == 0 || pid > RECORD_PID_MAX)
		return false;
	ret->owner.pid = (pid_t)pid;
	ret->nonce = get(packed + 8, 8);
	ret->inheritable = (flags & FLAG_INHERITABLE) != 0;
	ret->let_go = (flags & FLAG_LET_GO) != 0;
	ret->for_owner = (flags & FLAG_FOR_OWNER) != 0;
	memcpy(ret->owner.boot, packed + 16, BOOT_ID_SIZE);
	ret->inode = get(packed + 24, 8);
	ret->owner.pid_namespace = (uint32_t)get(packed + 32, 4);
	ret->owner.time_namespace = (uint32_t)get(packed + 36, 4);
	ret->owner.start = get(packed + 40, 8);
	ret->owner.pidfd_inode = get(packed + 48, 8);
	ret->owner.image = (uint32_t)get(packed + 56, 4);
	return true;
}

/* The kernel writes digits and a space; what has anything else is no number of its. */
static uint64_t parse_digits(const char *p)
{
	uint64_t number = 0;

	for (; *p >= '0' && *p <= '9'; p++) {
		uint64_t digit = (uint64_t)(*p - '0');

		if (number > (UINT64_MAX - digit) / 10)
			return 0;
		number = number * 10 + digit;
	}
	return *p == ' ' || *p == '\n' || *p == '\0' ? number : 0;
}

uint64_t record_parse_start(const char *stat)
{
	const char *p = strrchr(stat, ')');

	/* what follows the last ')' is a space and field 3 */
	for (int field = 2; p && field < STAT_START_FIELD; field++)
		p = strchr(p + 1, ' ');
	return p ? parse_digits(p + 1) : 0;
}
