/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PATH.queue in the hands of an attacker.  Nobody opens what is not of its own user,
 * so that nothing the attacker does to a FIFO of its own reaches the victims: they
 * wait without a queue, and end in time.
 */
#include <config.h>

#include "hostile.h"
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <lockfile-pid.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

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

static void (*const plants[])(const char *) = {
	make_link_to_file,     make_link_to_fifo,    make_link_to_directory,
	make_link_to_device,   make_link_to_nothing, make_fifo,
	make_closed_fifo,      make_socket,          make_directory,
	make_full_directory,   make_device,          make_file,
	make_closed_file,      make_shut_file,       make_second_name,
	make_second_fifo_name,
};

TEST_EACH_SCENE(what_is_planted_in_the_place_of_the_queue_holds_up_nobody_and_stays, plants)
{
	struct pair pair = begin_pair(_i);

	plant(plants[ROW(_i)], QUEUE);
	expect_timeout(&pair);
	expect_release(&pair);
	expect_takeover(&pair);
	ck_assert_str_eq(list_dir(DIR), NAME ".queue ");
	end_pair(&pair);
}

/* What an attacker does to a FIFO of its own */

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

/* Whoever opens, reads, writes or closes the FIFO meanwhile sleeps until this ends. */
static void keep_pipe(const char *name)
{
	int fd = open(name, O_RDWR | O_CLOEXEC), ends[2];

	REQUIRE(fd >= 0 && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
	user_is_ready();
	splice(ends[0], NULL, fd, NULL, 1, 0);
}

static void (*const attacks[])(const char *) = {
	eat, fill, flood, lock_for_reading, lock_for_writing, keep_pipe,
};

static pid_t start_attack(void (*attack)(const char *), const char *name)
{
	pid_t pid = start_as_user(ATTACKER, attack, name);

	while (attack == keep_pipe && !is_emulated() && system_call_of(pid) != SYS_splice)
		sched_yield();
	return pid;
}

TEST_EACH_SCENE(attack_in_a_queue_of_the_attackers_holds_up_nobody, attacks)
{
	struct pair pair = begin_pair(_i);
	pid_t attacker;

	plant(make_fifo, QUEUE);
	attacker = start_attack(attacks[ROW(_i)], QUEUE);
	expect_timeout(&pair);
	expect_release(&pair);
	expect_takeover(&pair);
	ck_assert_int_eq(holder_do(&pair.victim, "check"), 0);
	kill_child(attacker);
	end_pair(&pair);
}

static void expect_closed(const char *name)
{
	REQUIRE(open(name, O_RDWR | O_NONBLOCK | O_CLOEXEC) < 0 && errno == EACCES);
	REQUIRE(open(name, O_RDONLY | O_NONBLOCK | O_CLOEXEC) < 0 && errno == EACCES);
	REQUIRE(open(name, O_WRONLY | O_NONBLOCK | O_CLOEXEC) < 0 && errno == EACCES);
}

TEST_SCENES(queue_of_the_victims_cannot_be_opened_by_the_attacker)
{
	struct pair pair = begin_pair(_i);

	begin_wait(&pair);
	as_user(ATTACKER, expect_closed, QUEUE);
	ck_assert_int_eq(holder_do(&pair.holder, "unlock"), 0);
	end_wait(&pair);
	ck_assert_str_eq(list_dir(DIR), "");
	end_pair(&pair);
}

/*
 * The name leads to a file at one moment, and to a FIFO whose pipe is kept at the
 * next, as fast as the attacker can.  Where it may, it exchanges a queue of the
 * victims as well.
 */
#define THEIRS DIR "/theirs"
#define SWAPS  150

static void swap(const char *name)
{
	int end[2];
	char byte;

	make_fifo(THEIRS);
	make_file(name);
	REQUIRE(pipe2(end, O_CLOEXEC) == 0);
	if (fork() == 0) {
		int fd = open(THEIRS, O_RDWR | O_CLOEXEC), ends[2];

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		REQUIRE(fd >= 0 && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
		REQUIRE(write(end[1], "", 1) == 1);
		splice(ends[0], NULL, fd, NULL, 1, 0);
		_exit(0);
	}
	REQUIRE(read(end[0], &byte, 1) == 1);
	user_is_ready();
	while (true)
		syscall(SYS_renameat2, AT_FDCWD, THEIRS, AT_FDCWD, name, 2);
}

TEST_SCENES(queue_that_is_swapped_all_the_time_holds_up_nobody)
{
	struct pair pair = begin_pair(_i);
	pid_t attacker = start_as_user(ATTACKER, swap, QUEUE);

	for (int i = 0; i < SWAPS; i++) {
		ck_assert_int_eq(holder_do(&pair.holder, "trylock"), 0);
		ck_assert_int_eq(holder_do(&pair.victim, "timedlock 1"), -ETIMEDOUT);
		ck_assert_int_eq(holder_do(&pair.victim, "check"), BUSY);
		ck_assert_int_eq(holder_do(&pair.holder, "unlock"), 0);
	}
	kill_child(attacker);
	clear(THEIRS);
	clear(QUEUE);
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
