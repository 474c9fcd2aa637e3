/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Somebody else may write the directory, and puts things where the lock file
 * goes, and where the next one is made.  The results are as documented, they
 * come in time, and nothing happens to a file that such a thing leads to.
 */
#include <config.h>

#include "hostile.h"
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <lockfile-pid.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#define BUSY    LOCKFILE_PID_ERR_BUSY
#define INVALID LOCKFILE_PID_ERR_INVALID_PID
#define DEAD    LOCKFILE_PID_ERR_PROCESS_DEAD
#define ROGUE   LOCKFILE_PID_ERR_ROGUE_DELETION

#define ATTRIBUTE "user.lockfile_pid"

/* At PATH itself */

static pid_t attackers_pid;

static void write_pid(const char *name, pid_t pid)
{
	FILE *file = fopen(name, "wx");

	REQUIRE(file && fprintf(file, "%d\n", (int)pid) > 0 && fclose(file) == 0);
}

static void make_file_of_the_living(const char *name)
{
	write_pid(name, attackers_pid);
}

static void make_file_of_the_dead(const char *name)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	REQUIRE(pid > 0 && waitpid(pid, NULL, 0) == pid);
	write_pid(name, pid);
}

static void make_closed_file_of_the_dead(const char *name)
{
	make_file_of_the_dead(name);
	REQUIRE(chmod(name, 0600) == 0);
}

/* A link of a form that another implementation writes. */
static void make_link_form(const char *name)
{
	REQUIRE(symlink(NAME "-123", name) == 0);
}

static const struct {
	void (*make)(const char *);
	int check[TRUSTS], trylock[TRUSTS];
	bool is_file;
} plants[] = {
#define EVERYWHERE(r)         \
	{                     \
		r, r, r, r, r \
	}
	{ make_link_to_file, EVERYWHERE(INVALID), EVERYWHERE(INVALID), false },
	{ make_link_to_fifo, EVERYWHERE(INVALID), EVERYWHERE(INVALID), false },
	{ make_link_to_directory, EVERYWHERE(INVALID), EVERYWHERE(INVALID), false },
	{ make_link_to_device, EVERYWHERE(INVALID), EVERYWHERE(INVALID), false },
	{ make_link_to_nothing, EVERYWHERE(INVALID), EVERYWHERE(INVALID), false },
	{ make_link_form, EVERYWHERE(INVALID), EVERYWHERE(INVALID), false },
	{ make_fifo, EVERYWHERE(INVALID), EVERYWHERE(INVALID), false },
	{ make_closed_fifo, EVERYWHERE(INVALID), EVERYWHERE(INVALID), false },
	{ make_socket, EVERYWHERE(INVALID), EVERYWHERE(INVALID), false },
	{ make_directory, EVERYWHERE(INVALID), EVERYWHERE(INVALID), false },
	{ make_device, EVERYWHERE(INVALID), EVERYWHERE(INVALID), false },
	{ make_second_fifo_name, EVERYWHERE(INVALID), EVERYWHERE(INVALID), false },
	/* the name is of an inode that is the victim's */
	{ make_second_name, EVERYWHERE(INVALID), EVERYWHERE(0), false },
	{ make_file, EVERYWHERE(INVALID), { -EPERM, -EPERM, -EPERM, 0, 0 }, true },
	{ make_shut_file,
	  { BUSY, INVALID, BUSY, BUSY, INVALID },
	  { BUSY, -EPERM, BUSY, BUSY, 0 },
	  true },
	{ make_file_of_the_living, EVERYWHERE(BUSY), EVERYWHERE(BUSY), true },
	{ make_file_of_the_dead, EVERYWHERE(DEAD), { -EPERM, -EPERM, -EPERM, 0, 0 }, true },
	{ make_closed_file_of_the_dead,
	  { BUSY, DEAD, BUSY, BUSY, DEAD },
	  { BUSY, -EPERM, BUSY, BUSY, 0 },
	  true },
};

TEST_EACH_SCENE(what_is_planted_at_the_path_is_judged_as_documented, plants)
{
	const struct scene *scene = begin_scene(_i);
	int descriptors, check = plants[ROW(_i)].check[trust_in(scene)];
	int result = plants[ROW(_i)].trylock[trust_in(scene)];
	struct holder victim;

	if (plants[ROW(_i)].is_file) {
		check = said_of_file(scene, check);
		result = said_of_file(scene, result);
	}
	attackers_pid = idle_child();
	victim = start_victim(scene);
	descriptors = count_descriptors_of(victim.pid);
	plant(plants[ROW(_i)].make, PATH);
	ck_assert_int_eq(holder_do(&victim, "check"), check);
	if (result == 0)
		expect_lock(&victim);
	else
		expect_refusal(&victim, result);
	end_victim(&victim, descriptors);
	kill_child(attackers_pid);
	clear(PATH);
	end_scene();
}

/* Forgery: content and attribute of a lock file of the victim's, which all can read. */

static void copy_lock_file(const char *from)
{
	char content[32], attribute[512];
	int in = open(from, O_RDONLY | O_CLOEXEC), out;
	ssize_t length, size;

	REQUIRE(in >= 0);
	length = read(in, content, sizeof(content));
	size = fgetxattr(in, ATTRIBUTE, attribute, sizeof(attribute));
	out = open(PATH, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	REQUIRE(out >= 0 && fchmod(out, 0644) == 0 && length > 0);
	REQUIRE(write(out, content, (size_t)length) == length);
	if (size > 0)
		REQUIRE(fsetxattr(out, ATTRIBUTE, attribute, (size_t)size, 0) == 0);
}

TEST_SCENES(copy_of_a_lock_file_is_nobodys_lock)
{
	const struct scene *scene = begin_scene(_i);
	struct holder other = holder_of_user(scene->victim, DIR "/other.pid");
	struct holder victim = start_victim(scene);
	int descriptors = count_descriptors_of(victim.pid);

	ck_assert_int_eq(holder_do(&other, "trylock"), 0);
	as_user(ATTACKER, copy_lock_file, DIR "/other.pid");
	ck_assert_int_eq(holder_do(&victim, "check"), DEAD);
	if (trust_in(scene) <= SHUT_OUT)
		expect_refusal(&victim, -EPERM);
	else
		ck_assert_int_eq(holder_do(&victim, "trylock"), 0);
	ck_assert_int_eq(holder_do(&other, "verify"), 0);
	ck_assert_int_eq(holder_do(&other, "unlock"), 0);
	holder_end(&other);
	if (trust_in(scene) > SHUT_OUT)
		ck_assert_int_eq(holder_do(&victim, "unlock"), 0);
	end_victim(&victim, descriptors);
	clear(PATH);
	end_scene();
}

/* At PATH.takeover, where a stale file is to be replaced */

static const struct {
	void (*make)(const char *);
	int results[TRUSTS];
} in_the_way[] = {
	{ make_link_to_file, EVERYWHERE(-EEXIST) },
	{ make_link_to_fifo, EVERYWHERE(-EEXIST) },
	{ make_link_to_directory, EVERYWHERE(-EEXIST) },
	{ make_link_to_device, EVERYWHERE(-EEXIST) },
	{ make_link_to_nothing, EVERYWHERE(-EEXIST) },
	{ make_fifo, EVERYWHERE(-EEXIST) },
	{ make_closed_fifo, EVERYWHERE(-EEXIST) },
	{ make_socket, EVERYWHERE(-EEXIST) },
	{ make_directory, EVERYWHERE(-EEXIST) },
	{ make_full_directory, EVERYWHERE(-EEXIST) },
	{ make_device, EVERYWHERE(-EEXIST) },
	{ make_empty_file, { -EPERM, -EPERM, -EPERM, 0, 0 } },
	{ make_file, { -EPERM, -EPERM, -EEXIST, -EEXIST, -EEXIST } },
	{ make_closed_file, { BUSY, -EPERM, BUSY, BUSY, -EEXIST } },
	{ make_shut_file, { BUSY, -EPERM, BUSY, BUSY, -EEXIST } },
	/* the name is of an inode that is the victim's, and that is somebody's data */
	{ make_second_name, EVERYWHERE(-EEXIST) },
	{ make_second_fifo_name, EVERYWHERE(-EEXIST) },
};

TEST_EACH_SCENE(what_is_planted_at_the_takeover_name_is_cleared_or_told, in_the_way)
{
	const struct scene *scene = begin_scene(_i);
	int result = in_the_way[ROW(_i)].results[trust_in(scene)], descriptors;
	struct holder victim;

	leave_stale(scene);
	plant(in_the_way[ROW(_i)].make, TAKEOVER);
	victim = start_victim(scene);
	descriptors = count_descriptors_of(victim.pid);
	if (result == 0)
		expect_lock(&victim);
	else
		expect_refusal(&victim, result);
	end_victim(&victim, descriptors);
	clear(TAKEOVER);
	clear(PATH);
	end_scene();
}

TEST_EACH_SCENE(what_is_planted_at_the_takeover_name_disturbs_nobody_where_nothing_is_stale,
                in_the_way)
{
	const struct scene *scene = begin_scene(_i);
	struct holder victim = start_victim(scene);
	int descriptors = count_descriptors_of(victim.pid);

	plant(in_the_way[ROW(_i)].make, TAKEOVER);
	ck_assert_int_eq(holder_do(&victim, "lock"), 0);
	ck_assert_str_eq(list_dir(DIR), NAME " " NAME ".takeover ");
	ck_assert_int_eq(holder_do(&victim, "unlock"), 0);
	ck_assert_str_eq(list_dir(DIR), NAME ".takeover ");
	end_victim(&victim, descriptors);
	clear(TAKEOVER);
	end_scene();
}

/* A release without a descriptor needs the right to replace, and waits a second for it. */

static const struct {
	void (*make)(const char *);
	int results[TRUSTS];
} at_release[] = {
	{ make_link_to_file, EVERYWHERE(-EEXIST) },
	{ make_full_directory, EVERYWHERE(-EEXIST) },
	{ make_empty_file, { -EPERM, -EPERM, -EPERM, 0, 0 } },
	{ make_closed_file, { -EAGAIN, -EPERM, -EAGAIN, -EAGAIN, -EEXIST } },
	{ make_second_name, EVERYWHERE(-EEXIST) },
};

TEST_EACH_SCENE(release_without_descriptors_ends_whatever_is_at_the_takeover_name, at_release)
{
	const struct scene *scene = begin_scene(_i);
	int result = at_release[ROW(_i)].results[trust_in(scene)];
	struct holder victim = start_victim(scene);

	ck_assert_int_eq(holder_do(&victim, "trylock"), 0);
	ck_assert_int_eq(holder_do(&victim, "closefrom"), 0);
	plant(at_release[ROW(_i)].make, TAKEOVER);
	ck_assert_int_eq(holder_do(&victim, "unlock"), result);
	if (result != 0) {
		ck_assert_int_eq(holder_do(&victim, "verify"), 0);
		clear(TAKEOVER);
		ck_assert_int_eq(holder_do(&victim, "unlock"), 0);
	}
	ck_assert_str_eq(list_dir(DIR), "");
	end_victim(&victim, 3);
	end_scene();
}

/* All the time something else */

static void flip(const char *name)
{
	static void (*const kinds[])(const char *) = {
		make_link_to_file, make_fifo,        make_file,      make_link_to_fifo,
		make_socket,       make_closed_file, make_link_form, make_empty_file,
	};

	user_is_ready();
	for (unsigned int i = 0; true; i++) {
		kinds[i % 8](DIR "/next");
		if (rename(DIR "/next", name) < 0)
			unlink(DIR "/next");
		if (i % 3 == 0)
			unlink(name);
	}
}

static const char *const names[] = { PATH, TAKEOVER, QUEUE };

static void assert_is_told(int r)
{
	ck_assert_msg(r == 0 || r == BUSY || r == INVALID || r == -EPERM || r == -EEXIST ||
	                      r == -ETIMEDOUT,
	              "result %d", r);
}

static void play_a_round(struct holder *victim, int round)
{
	int r = holder_do(victim, round % 4 ? "trylock" : "timedlock 2");

	assert_is_told(r);
	if (r < 0)
		return;
	do
		r = holder_do(victim, "unlock");
	while (r == -EPERM ||
	       r == -EEXIST); /* it was replaced after it was looked at; not for long */
	ck_assert_msg(r == 0 || r == ROGUE, "result %d", r);
}

TEST_EACH_SCENE(name_that_keeps_changing_does_no_harm, names)
{
	const struct scene *scene = begin_scene(_i);
	const char *name = names[ROW(_i)];
	pid_t attacker = start_as_user(ATTACKER, flip, name);
	struct holder victim = start_victim(scene);
	int descriptors = count_descriptors_of(victim.pid);

	for (int i = 0; i < 40; i++) {
		if (ROW(_i) > 0 && !exists(PATH))
			leave_stale(scene);
		play_a_round(&victim, i);
	}
	kill_child(attacker);
	end_victim(&victim, descriptors);
	for (int i = 0; i < 3; i++)
		clear(names[i]);
	clear(DIR "/next");
	end_scene();
}
