/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stage - what the tool acts on, without consequences
 *
 * In place of the library, and of the parts of the tool that wait, catch
 * signals and execute the command.  It is told what to answer, and takes down
 * what it was asked.
 */
#ifndef STAGE_H
#define STAGE_H

#include "tool.h"

#define STAGE_STATUS 42 /* of the command */

/* What goes wrong. */
enum {
	STAGE_NEW_FAILS = 1,
	STAGE_MODE_FAILS = 2,
	STAGE_HELD = 4,
	STAGE_WAIT_FAILS = 8,
	STAGE_NO_DESCRIPTOR = 16
};

struct stage {
	unsigned int wrong;
	int made, modes, waits, checks, unlocks, commands, became, freed; /* how often */
	const char *path;
	unsigned int mode;
	int cluster_locks;
	struct patience patience;
	char **command;
	int watched, descendants;
};
extern struct stage stage;

/* All handles have been given back. */
int stage_is_empty(void);

#endif
