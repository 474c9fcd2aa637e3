/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hostile - a directory that an attacker can write too, what the attacker puts
 * there, and what belongs to the victim and must not change
 *
 * The directory is DIR in the test's own.  Beside it, out of the attacker's
 * reach but for links, are a file and a FIFO of the victim.
 */
#ifndef HOSTILE_H
#define HOSTILE_H

#include "user.h"

#define DIR      "d"
#define NAME     "x.pid"
#define PATH     DIR "/" NAME
#define TAKEOVER PATH ".takeover"
#define QUEUE    PATH ".queue"

/* Directories, and who has to get along in them. */
struct scene {
	mode_t mode;
	uid_t owner;
	uid_t victim;
};

#define SCENES 8

/* As many tests as scenes, or as rows of a table in each scene. */
#define TEST_SCENES(name) TEST_FULL(name, SCENES, DEFAULT_TIMEOUT_S)
#define TEST_EACH_SCENE(name, table) \
	TEST_FULL(name, SCENES *(int)(sizeof(table) / sizeof((table)[0])), DEFAULT_TIMEOUT_S)
#define ROW(i) ((i) / SCENES)

/* The first is to be called at the start of each test, with its _i. */
const struct scene *begin_scene(int i);
void end_scene(void);

/* Whether the victim may touch a file of the attacker's (lib/object.c), and can. */
enum trust {
	STRANGERS,         /* no: the directory is sticky, and its owner another */
	STRANGERS_TO_ROOT, /* nor may root, which can read it */
	SHUT_OUT,          /* yes, in the attacker's own sticky directory, but the kernel refuses */
	TRUSTED,           /* yes */
	TRUSTED_BY_ROOT,   /* and it can read it */
	TRUSTS
};
enum trust trust_in(const struct scene *scene);

/* What is said of the attacker's regular file: not all file systems let it be read (there). */
int said_of_file(const struct scene *scene, int result);

struct holder start_victim(const struct scene *scene);
/* It ends; it has no more descriptors than this, and its precious files are as they were. */
void end_victim(struct holder *victim, int descriptors);

/* A lock file of a victim that is gone. */
void leave_stale(const struct scene *scene);

/*
 * The victim, which holds nothing, does not get the lock: its attempts give this
 * result, its waiting ends, and nothing of anybody's comes or goes.
 */
void expect_refusal(struct holder *victim, int result);
/* It gets the lock, alone in the directory, and gives it back. */
void expect_lock(struct holder *victim);

/* What can be put at a name; by the attacker, or on behalf of one whom
 * proc_sys_fs(5) (protected_hardlinks) or the lack of privilege does not stop. */
void plant(void (*make)(const char *), const char *name);

void make_link_to_file(const char *name);
void make_link_to_fifo(const char *name);
void make_link_to_directory(const char *name);
void make_link_to_device(const char *name);
void make_link_to_nothing(const char *name);
void make_fifo(const char *name);
void make_closed_fifo(const char *name); /* for nobody else */
void make_socket(const char *name);
void make_directory(const char *name);
void make_full_directory(const char *name);
void make_device(const char *name);
void make_file(const char *name);       /* open to all, of no valid PID */
void make_empty_file(const char *name); /* open to all */
void make_closed_file(const char *name);
void make_shut_file(const char *name);   /* mode 0 */
void make_second_name(const char *name); /* of the victim's file */
void make_second_fifo_name(const char *name);

/* Removes what was planted there; nothing: that is no error. */
void clear(const char *name);

#endif
