/* SPDX-License-Identifier: BSD-2-Clause */
/* lockfile-names - what in lockfile.pml names a process or an inode */
#include "symmetry.h"

#define INODES (int)(sizeof(now.record) - 1)

static unsigned long place_of(int which)
{
	const P0 *p = process_of(&now, which);
	unsigned long place = p->_p;

	place = place << 1 | p->has_file;
	place = place << 1 | p->has_lock;
	place = place << 1 | p->is_open;
	place = place << 1 | p->has_right;
	place = place << 1 | p->has_byte_1;
	place = place << 1 | p->by_name;
	place = place << 2 | p->purpose;
#ifdef LIVES
	place = place << 4 | now.lives[which];
#endif
	return place;
}

static void rename_process(int i, int was)
{
	rename_mask(&renamed.alive_mask, now.alive_mask, i, was);
	rename_mask(&renamed.holders, now.holders, i, was);
#ifdef LIVES
	renamed.lives[i] = now.lives[was];
#endif
#ifdef INHERITABLE
	renamed.inherits[i] = now.inherits[was];
#endif
#ifdef CLOSING
	renamed.remembers[i] = now.remembers[was];
#endif
}

static void rename_globals(const uchar *is)
{
	renamed.newcomer = is[now.newcomer];
	for (int i = 1; i <= INODES; i++)
		if (now.record[i] <= PROCESSES)
			renamed.record[i] = is[now.record[i]];
}

static void number_inodes(void)
{
	number_inode(&renamed.path);
	number_inode(&renamed.takeover);
	for (int i = 0; i < PROCESSES; i++) {
		P0 *p = process_of(&renamed, i);

		number_inode(&p->file);
		number_inode(&p->candidate);
		number_inode(&p->other);
#ifdef INHERITABLE
		number_inode(&renamed.inherits[i]);
#endif
#ifdef CLOSING
		number_inode(&renamed.remembers[i]);
#endif
	}
	number_rest(INODES);
	move_inodes(renamed.record, INODES);
	move_inodes(renamed.opened, INODES);
	move_inodes(renamed.locked, INODES);
	move_inodes(renamed.clearing, INODES);
#ifdef LEAKING
	move_inodes(renamed.leaked, INODES);
#endif
}
