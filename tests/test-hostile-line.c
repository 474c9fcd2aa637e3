/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PATH.queue in the hands of an attacker.  Waiters do without a line, or in one
 * that somebody eats from, floods or locks; and a release writes into none but
 * a line.
 */
#include <config.h>

#include "hostile.h"
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <lockfile-pid.h>
#include <sys/stat.h>

#define BUSY LOCKFILE_PID_ERR_BUSY

/* A holder, one that waits for it, and what is there besides them. */
struct pair {
	const struct scene *scene;
	struct holder holder, victim;
	int descriptors;
};

static struct pair begin_pair(int i)
{
	const struct scene *scene = begin_scene(i);
	struct pair pair = { scene, start_victim(scene), start_victim(scene), 0 };

	pair.descriptors = count_descriptors_of(pair.victim.pid);
	return pair;
}

static void end_pair(struct pair *pair)
{
	end_victim(&pair->holder, pair->descriptors);
	end_victim(&pair->victim, pair->descriptors);
	clear(QUEUE);
	end_scene();
}

static void begin_wait(struct pair *pair)
{
	ck_assert_int_eq(holder_do(&pair->holder, "trylock"), 0);
	holder_ask(&pair->victim, "lock");
	await_blocked(&pair->victim);
}

/* The one who waits has it, and gives it back. */
static void end_wait(struct pair *pair)
{
	ck_assert_int_eq(holder_answer(&pair->victim), 0);
	ck_assert_int_eq(holder_do(&pair->victim, "verify"), 0);
	ck_assert_int_eq(holder_do(&pair->victim, "unlock"), 0);
	ck_assert(!exists(PATH));
	ck_assert(!exists(TAKEOVER));
}

static void expect_timeout(struct pair *pair)
{
	ck_assert_int_eq(holder_do(&pair->holder, "trylock"), 0);
	ck_assert_int_eq(holder_do(&pair->victim, "timedlock 20"), -ETIMEDOUT);
	ck_assert_int_eq(holder_do(&pair->victim, "begin"), BUSY);
	ck_assert_int_eq(holder_do(&pair->victim, "cancel"), 0);
	ck_assert_int_eq(holder_do(&pair->holder, "unlock"), 0);
}

static void expect_release(struct pair *pair)
{
	begin_wait(pair);
	ck_assert_int_eq(holder_do(&pair->holder, "unlock"), 0);
	end_wait(pair);
}

static void expect_takeover(struct pair *pair)
{
	begin_wait(pair);
	holder_kill(&pair->holder);
	end_wait(pair);
	pair->holder = start_victim(pair->scene);
}

/* What is planted beforehand */

static const struct {
	void (*make)(const char *);
	bool is_line; /* and who waits in it removes it if that is allowed */
} plants[] = {
	{ make_link_to_file, false },
	{ make_link_to_fifo, false },
	{ make_link_to_directory, false },
	{ make_link_to_device, false },
	{ make_link_to_nothing, false },
	{ make_fifo, true },
	{ make_closed_fifo, true },
	{ make_socket, false },
	{ make_directory, false },
	{ make_full_directory, false },
	{ make_device, false },
	{ make_file, false },
	{ make_closed_file, false },
	{ make_shut_file, false },
	{ make_second_name, false },
	{ make_second_fifo_name, false },
};

TEST_EACH_SCENE(what_is_planted_in_the_place_of_the_line_holds_up_nobody, plants)
{
	struct pair pair = begin_pair(_i);
	bool is_line = plants[ROW(_i)].is_line;

	plant(plants[ROW(_i)].make, QUEUE);
	expect_timeout(&pair);
	expect_release(&pair);
	expect_takeover(&pair);
	if (!is_line || power_in(pair.scene) == IN_STICKY)
		ck_assert_str_eq(list_dir(DIR), NAME ".queue ");
	end_pair(&pair);
}

/* What an attacker does in a line of its own, or in that of the victim */

static void eat(const char *name)
{
	int fd = open(name, O_RDWR | O_CLOEXEC);
	char byte;

	REQUIRE(fd >= 0);
	user_is_ready();
	while (read(fd, &byte, 1) > 0)
		;
}

static void fill(const char *name)
{
	int fd = open(name, O_RDWR | O_NONBLOCK | O_CLOEXEC);

	REQUIRE(fd >= 0);
	while (write(fd, "", 1) == 1)
		;
	REQUIRE(errno == EAGAIN);
	user_is_ready();
}

static void flood(const char *name)
{
	int fd = open(name, O_RDWR | O_NONBLOCK | O_CLOEXEC);

	REQUIRE(fd >= 0);
	user_is_ready();
	while (write(fd, "", 1) == 1 || errno == EAGAIN)
		;
}

/* Whichever bytes nobody else has locked, one after the other. */
static void lock_bytes(const char *name, short type)
{
	int fd = open(name, O_RDWR | O_NONBLOCK | O_CLOEXEC);

	REQUIRE(fd >= 0);
	for (off_t byte = 0; byte < 8; byte++) {
		struct flock lock = { .l_type = type, .l_start = byte, .l_len = 1 };

		REQUIRE(fcntl(fd, F_OFD_SETLK, &lock) == 0 || errno == EAGAIN);
	}
	user_is_ready();
}

static void lock_for_reading(const char *name)
{
	lock_bytes(name, F_RDLCK);
}

static void lock_for_writing(const char *name)
{
	lock_bytes(name, F_WRLCK);
}

static void (*const attacks[])(const char *) = {
	eat, fill, flood, lock_for_reading, lock_for_writing,
};

TEST_EACH_SCENE(attack_in_a_line_of_the_attackers_holds_up_nobody, attacks)
{
	struct pair pair = begin_pair(_i);
	pid_t attacker;

	plant(make_fifo, QUEUE);
	attacker = start_as_user(ATTACKER, attacks[ROW(_i)], QUEUE);
	expect_timeout(&pair);
	expect_release(&pair);
	expect_takeover(&pair);
	kill_child(attacker);
	end_pair(&pair);
}

/* The attacker comes when they stand in it already. */
TEST_EACH_SCENE(attack_in_a_line_of_the_victims_holds_up_nobody, attacks)
{
	struct pair pair = begin_pair(_i);
	pid_t attacker;

	begin_wait(&pair);
	attacker = start_as_user(ATTACKER, attacks[ROW(_i)], QUEUE);
	ck_assert_int_eq(holder_do(&pair.holder, "unlock"), 0);
	end_wait(&pair);
	expect_timeout(&pair);
	expect_takeover(&pair);
	kill_child(attacker);
	/* whoever comes next clears what the attacker has kept */
	expect_release(&pair);
	ck_assert_str_eq(list_dir(DIR), "");
	end_pair(&pair);
}

/* Where the attacker may remove what is the victim's: these scenes, at any moment. */
static const int unsafe_scenes[] = { 2, 3, 4, 5 };

static void (*const replacements[])(const char *) = { make_link_to_file, make_fifo };

TEST_EACH(line_that_is_replaced_while_they_wait_holds_up_nobody, unsafe_scenes)
{
	struct pair pair = begin_pair(unsafe_scenes[_i]);

	for (int i = 0; i < 2; i++) {
		begin_wait(&pair);
		clear(QUEUE);
		plant(replacements[i], QUEUE);
		ck_assert_int_eq(holder_do(&pair.holder, "unlock"), 0);
		end_wait(&pair);
		expect_timeout(&pair);
		clear(QUEUE);
	}
	end_pair(&pair);
}
