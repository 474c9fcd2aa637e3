/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * record - what a lock file says: its content, and the attribute that makes it
 * ours
 *
 * Pure functions on bytes; what comes from a file is not trusted.
 */
#ifndef RECORD_H
#define RECORD_H

#include "owner.h"

#include <stdbool.h>
#include <stddef.h>

#define RECORD_ATTRIBUTE "user.lockfile_pid"

/* Content that is longer than this is somebody's data, not a lock file. */
#define RECORD_FILE_MAX 4096
/* Without a valid PID it is taken for a damaged lock file up to this length. */
#define RECORD_DAMAGED_MAX 64

#define RECORD_PID_MAX      4194304 /* 2^22, the kernel's limit (proc(5), pid_max) */
#define RECORD_CONTENT_SIZE sizeof("4194304\n")

/*
 * At most 60 bytes, or ext4 puts the attribute into a block of its own, which
 * makes a lock and unlock three times as dear.
 */
#define RECORD_SIZE 60

struct record {
	struct owner owner;
	uint64_t nonce;   /* drawn at random for this acquisition */
	uint64_t inode;   /* number of the file that it was written to */
	bool inheritable; /* a child may keep it and adopt it */
	bool let_go;      /* the process that took it has abandoned it */
	bool for_owner;   /* another process than the owner made it, and has it open */
};

/* Returns the length of "%d\n". */
size_t record_format_content(pid_t pid, char ret[RECORD_CONTENT_SIZE]);

/*
 * Returns the PID in the first line, or 0 if there is no valid one.  More text may
 * follow it in a file of one line that is short enough (RECORD_DAMAGED_MAX).
 */
pid_t record_parse_content(const char *content, size_t length);

/* Content that is read in pieces of at most so many bytes.  All 0: nothing was read yet. */
#define RECORD_PIECE_SIZE 512
struct record_text {
	size_t length; /* up to now */
	pid_t pid;     /* the number, as far as it was read; 0: it is none of a process */
	enum record_part {
		RECORD_BEFORE_PID,
		RECORD_IN_PID,
		RECORD_AFTER_PID, /* blanks */
		RECORD_IN_MORE,   /* text after these */
		RECORD_DECIDED,
	} part;
	bool has_newline;
	bool is_not_line; /* there is a NUL, or something after the newline */
};

void record_parse_piece(struct record_text *text, const char *piece, size_t length);
pid_t record_parsed_pid(const struct record_text *text);

void record_pack(const struct record *record, unsigned char ret[RECORD_SIZE]);

/* Returns whether it is a record of a format that we know. */
bool record_unpack(const unsigned char *packed, size_t size, struct record *ret);

/*
 * The start time in the text of /proc/PID/stat, 0 where there is none.  Field
 * 2 is the program's name in parentheses and may itself hold any of ") 1 2".
 */
uint64_t record_parse_start(const char *stat);

#endif
