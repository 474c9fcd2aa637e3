/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "scene.h"

#include "rival.h"

#include <lockfile-pid.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#define WORK  "work"
#define STALE "stale"

struct lockfile_pid *lock;

/* Contenders with no faults. */
static struct holder other, third;

/* Shared with children. */
static struct {
	bool other_holds, third_waits, was_left;
} * state;

static bool in_memory;
static struct rival mortal;
static bool mortal_lives; /* never for longer than a trial */

static bool has_attributes(void)
{
	bool has;

	write_file("probe", "");
	has = setxattr("probe", "user.probe", "", 0, 0) == 0;
	ck_assert_int_eq(unlink("probe"), 0);
	return has;
}

/*
 * To make and remove files thousands of times a second costs little in memory,
 * if we may have a file system there.
 */
static void enter_quick_directory(void)
{
	ck_assert_int_eq(mkdir(WORK, 0755), 0);
	if (unshare(CLONE_NEWNS) == 0 && mount("none", "/", "none", MS_REC | MS_PRIVATE, "") == 0)
		in_memory = mount("none", WORK, "tmpfs", 0, "mode=755") == 0;
	ck_assert_int_eq(chdir(WORK), 0);
	if (!in_memory || has_attributes())
		return;
	ck_assert_int_eq(chdir(".."), 0);
	unmount(WORK);
	ck_assert_int_eq(chdir(WORK), 0);
	in_memory = false;
}

static void leave_quick_directory(void)
{
	assert_nothing_left();
	ck_assert_int_eq(chdir(".."), 0);
	if (in_memory)
		unmount(WORK);
	ck_assert_int_eq(rmdir(WORK), 0);
}

void scene_begin(void)
{
	struct holder dying;

	enter_quick_directory();
	ck_assert_int_eq(mkdir("d", 0755), 0);
	state = mmap(NULL, sizeof(*state), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
	             0);
	ck_assert_ptr_ne(state, MAP_FAILED);
	dying = holder_start(SCENE_PATH);
	ck_assert_int_eq(holder_do(&dying, "trylock"), 0);
	holder_kill(&dying);
	ck_assert_int_eq(rename(SCENE_PATH, STALE), 0);
	other = holder_start(SCENE_PATH);
	third = holder_start(SCENE_PATH);
}

void scene_end(void)
{
	holder_end(&third);
	holder_end(&other);
	munmap(state, sizeof(*state));
	ck_assert_int_eq(unlink(STALE), 0);
	ck_assert_int_eq(rmdir("d"), 0);
	leave_quick_directory();
}

void scene_other_holds(void)
{
	ck_assert_int_eq(holder_do(&other, "trylock"), 0);
	state->other_holds = true;
}

void scene_other_closes_all(void)
{
	ck_assert_int_eq(holder_do(&other, "closefrom"), 0);
}

void scene_third_waits(void)
{
	ck_assert_int_eq(holder_do(&third, "begin"), LOCKFILE_PID_ERR_BUSY);
	state->third_waits = true;
}

void scene_holds_and_third_waits(void)
{
	scene_other_holds();
	scene_third_waits();
}

void scene_stale(void)
{
	ck_assert_int_eq(link(STALE, SCENE_PATH), 0);
}

void scene_mortal_holds(void)
{
	mortal = rival_start(SCENE_PATH, 0);
	ck_assert_int_eq(rival_trylock(&mortal, 0), 0);
	mortal_lives = true;
}

void scene_kill_mortal(void *unused)
{
	(void)unused;
	if (mortal_lives)
		rival_kill(&mortal);
	mortal_lives = false;
	state->was_left = true;
}

void scene_remove_file(void *unused)
{
	(void)unused;
	ck_assert_int_eq(unlink(SCENE_PATH), 0);
	state->was_left = true;
}

bool scene_is_held(void)
{
	return state->other_holds || mortal_lives;
}

bool scene_was_left(void)
{
	return state->was_left;
}

static void third_has_its_turn(void)
{
	int r = LOCKFILE_PID_ERR_BUSY;

	/* it lets another go first, once, if it is not the first in line */
	for (int try = 0; try < 3 && r == LOCKFILE_PID_ERR_BUSY; try++)
		r = holder_do(&third, "continue");
	ck_assert_int_eq(r, 0);
	ck_assert_int_eq(holder_do(&third, "unlock"), 0);
	state->third_waits = false;
}

void scene_let_go(void *unused)
{
	(void)unused;
	if (state->other_holds) {
		ck_assert_int_eq(holder_do(&other, "verify"), 0);
		ck_assert_int_eq(holder_do(&other, "unlock"), 0);
		state->other_holds = false;
	}
	if (state->third_waits)
		third_has_its_turn();
	state->was_left = true;
}

void scene_settle(void)
{
	scene_kill_mortal(NULL);
	scene_let_go(NULL);
	state->was_left = false;
}

int scene_rival_tries(void)
{
	return holder_do(&other, "trylock");
}

int scene_rival_releases(void)
{
	return holder_do(&other, "unlock");
}

pid_t scene_holder(void)
{
	return state->other_holds ? other.pid : mortal_lives ? mortal.pid : 0;
}
