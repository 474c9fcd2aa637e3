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

#define TARGET    PATH "-123"
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

/* The form that another implementation writes. */
static void make_link_form(const char *name)
{
	REQUIRE(symlink(NAME "-123", name) == 0);
}

static void make_link_form_of_the_living(const char *name)
{
	make_file_of_the_living(TARGET);
	make_link_form(name);
}

static void make_link_form_of_the_dead(const char *name)
{
	make_file_of_the_dead(TARGET);
	make_link_form(name);
}

static void make_link_form_to_a_fifo(const char *name)
{
	make_fifo(TARGET);
	make_link_form(name);
}

static const struct {
	void (*make)(const char *);
	int check[POWERS], trylock[POWERS];
} plants[] = {
	{ make_link_to_file, { INVALID, INVALID, INVALID }, { INVALID, INVALID, INVALID } },
	{ make_link_to_fifo, { INVALID, INVALID, INVALID }, { INVALID, INVALID, INVALID } },
	{ make_link_to_directory, { INVALID, INVALID, INVALID }, { INVALID, INVALID, INVALID } },
	{ make_link_to_device, { INVALID, INVALID, INVALID }, { INVALID, INVALID, INVALID } },
	{ make_link_to_nothing, { INVALID, INVALID, INVALID }, { INVALID, INVALID, INVALID } },
	{ make_fifo, { INVALID, INVALID, INVALID }, { INVALID, INVALID, INVALID } },
	{ make_closed_fifo, { INVALID, INVALID, INVALID }, { INVALID, INVALID, INVALID } },
	{ make_socket, { INVALID, INVALID, INVALID }, { INVALID, INVALID, INVALID } },
	{ make_directory, { INVALID, INVALID, INVALID }, { INVALID, INVALID, INVALID } },
	{ make_device, { INVALID, INVALID, INVALID }, { INVALID, INVALID, INVALID } },
	{ make_second_fifo_name, { INVALID, INVALID, INVALID }, { INVALID, INVALID, INVALID } },
	{ make_second_name, { INVALID, INVALID, INVALID }, { 0, 0, 0 } },
	{ make_file, { INVALID, INVALID, INVALID }, { -EPERM, 0, 0 } },
	{ make_shut_file, { BUSY, BUSY, INVALID }, { BUSY, BUSY, 0 } },
	{ make_file_of_the_living, { BUSY, BUSY, BUSY }, { BUSY, BUSY, BUSY } },
	{ make_file_of_the_dead, { DEAD, DEAD, DEAD }, { -EPERM, 0, 0 } },
	{ make_closed_file_of_the_dead, { BUSY, BUSY, DEAD }, { BUSY, BUSY, 0 } },
	{ make_link_form, { DEAD, DEAD, DEAD }, { -EPERM, 0, 0 } },
	{ make_link_form_of_the_living, { BUSY, BUSY, BUSY }, { BUSY, BUSY, BUSY } },
	{ make_link_form_of_the_dead, { DEAD, DEAD, DEAD }, { -EPERM, 0, 0 } },
	{ make_link_form_to_a_fifo, { INVALID, INVALID, INVALID }, { INVALID, INVALID, INVALID } },
};

TEST_EACH_SCENE(what_is_planted_at_the_path_is_judged_as_documented, plants)
{
	const struct scene *scene = begin_scene(_i);
	enum power power = power_in(scene);
	int descriptors, result = plants[ROW(_i)].trylock[power];
	struct holder victim;

	attackers_pid = idle_child();
	victim = start_victim(scene);
	descriptors = count_descriptors_of(victim.pid);
	plant(plants[ROW(_i)].make, PATH);
	ck_assert_int_eq(holder_do(&victim, "check"), plants[ROW(_i)].check[power]);
	if (result == 0)
		expect_lock(&victim);
	else
		expect_refusal(&victim, result);
	end_victim(&victim, descriptors);
	kill_child(attackers_pid);
	clear(PATH);
	clear(TARGET);
	end_scene();
}

/* The link is the attacker's, what it leads to is not. */
static void (*const targets[])(const char *) = { make_second_name, make_second_fifo_name };

TEST_EACH_SCENE(link_of_one_user_to_the_file_of_another_is_no_lock, targets)
{
	const struct scene *scene = begin_scene(_i);
	struct holder victim = start_victim(scene);
	int descriptors = count_descriptors_of(victim.pid);

	plant(targets[ROW(_i)], TARGET);
	plant(make_link_form, PATH);
	ck_assert_int_eq(holder_do(&victim, "check"), INVALID);
	expect_refusal(&victim, INVALID);
	end_victim(&victim, descriptors);
	clear(PATH);
	clear(TARGET);
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

TEST_SCENES(copy_of_a_lock_file_is_busy_until_its_maker_is_gone)
{
	const struct scene *scene = begin_scene(_i);
	struct holder other = holder_of_user(scene->victim, DIR "/other.pid");
	struct holder victim = start_victim(scene);
	int descriptors = count_descriptors_of(victim.pid);

	ck_assert_int_eq(holder_do(&other, "trylock"), 0);
	as_user(ATTACKER, copy_lock_file, DIR "/other.pid");
	expect_refusal(&victim, BUSY);
	ck_assert_int_eq(holder_do(&other, "verify"), 0);
	holder_end(&other);
	ck_assert_int_eq(holder_do(&victim, "check"), DEAD);
	if (power_in(scene) == IN_STICKY)
		expect_refusal(&victim, -EPERM);
	else
		expect_lock(&victim);
	end_victim(&victim, descriptors);
	clear(PATH);
	end_scene();
}

/* At PATH.takeover, where a stale file is to be replaced */

static const struct {
	void (*make)(const char *);
	int results[POWERS];
} in_the_way[] = {
	{ make_link_to_file, { -EPERM, 0, 0 } },
	{ make_link_to_fifo, { -EPERM, 0, 0 } },
	{ make_link_to_directory, { -EPERM, 0, 0 } },
	{ make_link_to_device, { -EPERM, 0, 0 } },
	{ make_link_to_nothing, { -EPERM, 0, 0 } },
	{ make_fifo, { -EPERM, 0, 0 } },
	{ make_closed_fifo, { -EPERM, 0, 0 } },
	{ make_socket, { -EPERM, 0, 0 } },
	{ make_directory, { -EPERM, 0, 0 } },
	{ make_full_directory, { -EPERM, -ENOTEMPTY, -ENOTEMPTY } },
	{ make_device, { -EPERM, 0, 0 } },
	{ make_file, { -EPERM, 0, 0 } },
	{ make_closed_file, { BUSY, BUSY, 0 } },
	{ make_shut_file, { BUSY, BUSY, 0 } },
	/* the name is of an inode that is the victim's */
	{ make_second_name, { 0, 0, 0 } },
	{ make_second_fifo_name, { 0, 0, 0 } },
};

TEST_EACH_SCENE(what_is_planted_at_the_takeover_name_is_cleared_or_told, in_the_way)
{
	const struct scene *scene = begin_scene(_i);
	int result = in_the_way[ROW(_i)].results[power_in(scene)], descriptors;
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
	int results[POWERS];
} at_release[] = {
	{ make_link_to_file, { -EPERM, 0, 0 } },
	{ make_full_directory, { -EPERM, -ENOTEMPTY, -ENOTEMPTY } },
	{ make_closed_file, { -EAGAIN, -EAGAIN, 0 } },
	{ make_second_name, { 0, 0, 0 } },
};

TEST_EACH_SCENE(release_without_descriptors_ends_whatever_is_at_the_takeover_name, at_release)
{
	const struct scene *scene = begin_scene(_i);
	int result = at_release[ROW(_i)].results[power_in(scene)];
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
		make_socket,       make_closed_file, make_link_form, make_link_to_nothing,
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
	ck_assert_msg(r == 0 || r == BUSY || r == INVALID || r == -EPERM || r == -ETIMEDOUT,
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
	while (r == -EPERM); /* it was replaced after it was looked at; not for long */
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
