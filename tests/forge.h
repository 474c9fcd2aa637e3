/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * forge - lock files as others may have left them, and processes to name in them
 *
 * A record is that of an acquisition: who made it, and its random number.
 */
#ifndef FORGE_H
#define FORGE_H

#include "owner.h"
#include "record.h"

/* Of this process, but none of its handles has the number. */
struct record forge_own_record(void);

/* Of a child that lives, one that is a zombie, one that is gone. */
struct record forge_living_record(void);
struct record forge_zombie_record(void);
struct record forge_dead_record(void);

/* Ends the children of the above. */
void forge_end(void);

/* A file of our format, without a kernel lock. */
void forge_file(const char *name, const struct record *record);

/* The same attribute on any content.  The test is skipped where there are no attributes. */
void forge_attribute(const char *name, const struct record *record);

/* One of another program: a valid PID, no attribute. */
void forge_foreign(const char *name, pid_t pid);

/* Locks a file as a holder does, but nothing is known about it; returns its descriptor. */
int forge_lock(const char *name);

/* Its modification time, so many seconds from now. */
void forge_mtime(const char *name, int seconds);

#endif
