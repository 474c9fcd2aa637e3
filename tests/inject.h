/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * inject - an operation is done over and over, and each time another of its
 * calls fails in another way (faults.h)
 *
 * Once nothing fails, which tells what calls there are.  Then each fails once
 * at each place where it is made, with each result in turn; and then at all of
 * them.  What is made in a loop is as good as the same after its third turn.
 * All that with O_TMPFILE, without, and so on, where that makes a difference.
 */
#ifndef INJECT_H
#define INJECT_H

#include "scene.h"

#include <stdbool.h>

/* Of so many runs: it does not end. */
#define INJECT_TIMEOUT_S 600

struct operation {
	const char *name;
	const char *function; /* of the public header, whose results they are */
	void (*prepare)(void);
	void (*rules)(void); /* what surrounds it, in the words of steer.h */
	int (*act)(void);
	void (*judge)(int r); /* of failures; must leave nothing behind */
	int result;           /* when nothing fails */
	void (*clean)(void);  /* removes what nobody is to take over */
	int leaked;           /* so many descriptors the scene itself keeps open until then */
	bool on_old_kernel;   /* that makes a difference */
	bool waits;           /* what lies without end may make it wait without end */
	bool in_child;        /* what was begun there ends with that process */
	bool from_scratch;    /* the first thing that a process does */
};

#define INJECT_EACH(name, operations)                        \
	TEST_EACH_WITHIN(name, operations, INJECT_TIMEOUT_S) \
	{                                                    \
		inject_failures(&(operations)[_i]);          \
	}

void inject_failures(const struct operation *operation);

/* What fails at present. */
enum fault_kind { FAILURE, SHORT, ANSWER };
struct fault {
	const char *call; /* NULL: nothing */
	int nth;
	int result;
	enum fault_kind kind;
};
extern struct fault fault;

bool inject_fails(const char *call); /* this one? */
bool inject_persists(void);          /* at each place? */
bool inject_lies(void);              /* says what is not so? */
bool inject_without_noreplace(void);

/* All that there is to say about it. */
const char *inject_describe(void);

#define assert_so(condition) ck_assert_msg(condition, "%s: not " #condition, inject_describe())

int inject_result(void);

/* Names in the directory before the operation. */
const char *inject_names_before(void);

void inject_clean(void);

/* A handle whose memory is counted. */
void inject_make_lock(void);

/* Has this call of faults.h failed with all that stands there?  In all tests up to now. */
bool inject_was_seen(int row, int *ret_missing);

#endif
