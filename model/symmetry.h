/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * symmetry - one state for all that differ only in names
 *
 * Which process is which, and which number an inode has, is of no importance to
 * the protocol: rename all of them, and what can happen is the same under the new
 * names.  So the search (pan.c, which spin makes of a model) looks in its store
 * for a representative of the state that it has reached; the states on its way,
 * and the trail of an error, remain those of the model.
 *
 * The representative has the processes in the order of where they are, and
 * numbers the inodes as they are come upon.  Where two processes are at the same
 * place each order is tried, and the least state taken.  Without this the
 * searches that are small enough for it reach the very same representatives.
 *
 * lockfile-names.h and queue-names.h say which variables are names.
 */
#ifndef SYMMETRY_H
#define SYMMETRY_H

#include <string.h>

/* The last is unlike the others. */
#ifdef STRANGER
#define ALIKE (PROCESSES - 1)
#else
#define ALIKE PROCESSES
#endif

static State renamed, least, original;
static uchar number[256], numbered;

static P0 *process_of(State *state, int which)
{
	return (P0 *)((uchar *)state + proc_offset[which]);
}

/* Where now is the process, in what is the same under all names? */
static unsigned long place_of(int which);

/*
 * The process that is i in the renamed state was was[i]; the one whose number was
 * n, from 1 on, has now the number is[n]; is[0] is 0.
 */
static void rename_process(int i, int was);
static void rename_globals(const uchar *is);
static void number_inodes(void);

static void rename_mask(uchar *to, uchar from, int i, int was)
{
	*to = (*to & ~(1 << i)) | (from >> was & 1) << i;
}

static void number_inode(uchar *inode)
{
	if (*inode != 0 && number[*inode] == 0)
		number[*inode] = ++numbered;
	*inode = number[*inode];
}

/* What is told of each inode, from 1 on, moves to its new number. */
static void move_inodes(uchar *told, int inodes)
{
	uchar before[256];

	memcpy(before, told, inodes + 1);
	for (int i = 1; i <= inodes; i++)
		told[number[i]] = before[i];
}

/* All that are left get the numbers that are left. */
static void number_rest(int inodes)
{
	for (int i = 1; i <= inodes; i++) {
		uchar inode = i;

		number_inode(&inode);
	}
}

static void rename_all(const int *was)
{
	uchar is[PROCESSES + 1] = { 0 };

	memcpy(&renamed, &now, vsize);
	for (int i = 0; i < PROCESSES; i++) {
		is[was[i] + 1] = i + 1;
		*process_of(&renamed, i) = *process_of(&now, was[i]);
		process_of(&renamed, i)->_pid = process_of(&now, i)->_pid;
		rename_process(i, was[i]);
	}
	rename_globals(is);
	memset(number, 0, sizeof(number));
	numbered = 0;
	number_inodes();
}

static int in_order(const int *was)
{
	for (int i = 1; i < ALIKE; i++)
		if (place_of(was[i - 1]) > place_of(was[i]))
			return 0;
	return 1;
}

/* Tries each order of those from this one on; found: one has been tried before. */
static int try_orders(int *was, int from, int found)
{
	if (from == ALIKE) {
		if (!in_order(was))
			return found;
		rename_all(was);
		if (!found || memcmp(&renamed, &least, vsize) < 0)
			memcpy(&least, &renamed, vsize);
		return 1;
	}
	for (int i = from; i < ALIKE; i++) {
		int other = was[i];

		was[i] = was[from];
		was[from] = other;
		found = try_orders(was, from + 1, found);
		was[from] = was[i];
		was[i] = other;
	}
	return found;
}

static int store_representative(void)
{
	int was[PROCESSES], r;

	for (int i = 0; i < PROCESSES; i++)
		was[i] = i;
	try_orders(was, 0, 0);
	memcpy(&original, &now, vsize);
	memcpy(&now, &least, vsize);
	r = h_store((char *)&now, vsize);
	memcpy(&now, &original, vsize);
	return r;
}

#endif
