/* SPDX-License-Identifier: BSD-2-Clause */
/* queue-names - what in queue.pml names a process or a FIFO */
#include "symmetry.h"

#define FIFOS (int)(sizeof(now.bytes) - 1)

static unsigned long place_of(int which)
{
	const P0 *p = process_of(&now, which);
	unsigned long place = p->_p;

	place = place << 1 | p->owes_turn;
	place = place << 1 | p->gives_turn;
	place = place << 1 | p->was_first;
#ifdef SLOW
	place = place << 3 | p->missed;
#endif
	place = place << 1 | now.news[which];
	place = place << 2 | p->why;
	place = place << 2 | p->pause;
	for (int i = 0; i < PROCESSES; i++)
		place = place << 1 | (now.line[i] == which + 1);
	return place;
}

static void rename_process(int i, int was)
{
	rename_mask(&renamed.waiting, now.waiting, i, was);
	rename_mask(&renamed.retired, now.retired, i, was);
	for (int f = 1; f <= FIFOS; f++)
		rename_mask(&renamed.standing[f], now.standing[f], i, was);
	renamed.fifo[i] = now.fifo[was];
	renamed.watched[i] = now.watched[was];
	renamed.exited[i] = now.exited[was];
	renamed.news[i] = now.news[was];
	renamed.asleep[i] = now.asleep[was];
#ifdef TIMELY
	renamed.overtaken[i] = now.overtaken[was];
	renamed.has_slept[i] = now.has_slept[was];
#endif
}

static void rename_globals(const uchar *is)
{
	/* or it is STALE */
	if (now.path <= PROCESSES)
		renamed.path = is[now.path];
	renamed.right = is[now.right];
	for (int i = 0; i < PROCESSES; i++) {
		renamed.line[i] = is[now.line[i]];
		renamed.watched[i] = is[renamed.watched[i]];
	}
	for (int f = 1; f <= FIFOS; f++) {
		renamed.sole[f] = is[now.sole[f]];
		if (now.first[f] <= PROCESSES) /* or it is GHOST */
			renamed.first[f] = is[now.first[f]];
	}
}

static void number_inodes(void)
{
	number_inode(&renamed.queue);
	for (int i = 0; i < PROCESSES; i++)
		number_inode(&renamed.fifo[i]);
	number_rest(FIFOS);
	move_inodes(renamed.bytes, FIFOS);
	move_inodes(renamed.standing, FIFOS);
	move_inodes(renamed.sole, FIFOS);
	move_inodes(renamed.first, FIFOS);
#ifdef LEAKS
	move_inodes(renamed.ghost, FIFOS);
#endif
}
