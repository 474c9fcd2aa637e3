/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "race.h"

#include "common.h"
#include "no-tmpfile.h"
#include "pace.h"
#include "world.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <lockfile-pid.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LOCKS    "locks"
#define LOCK     LOCKS "/lock.pid"
#define TAKEOVER LOCK ".takeover"
#define MARKS    "marks"
#define MARK     MARKS "/inside"

/* Chance and time */

static uint64_t seed(void)
{
	const char *given = getenv("RACE_SEED");
	static uint64_t value;

	if (value == 0) {
		value = given ? strtoull(given, NULL, 10) : (uint64_t)now_ns();
		printf("# RACE_SEED=%llu\n", (unsigned long long)value);
		fflush(stdout);
	}
	return value;
}

unsigned int volume(unsigned int count)
{
	return pace_volume(count, "RACE_FACTOR");
}

/* splitmix64, by Sebastiano Vigna */
unsigned int below(struct race *race, unsigned int limit)
{
	uint64_t x = race->random += 0x9e3779b97f4a7c15;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
	return (unsigned int)((x >> 32) % limit);
}

void nap(unsigned int ns)
{
	const struct timespec time = { .tv_nsec = (long)ns };

	nanosleep(&time, NULL);
}

/* Racers */

static void note_failure(struct race *race, const char *what, int result)
{
	if (!race->locker->trusted || atomic_exchange(&race->shared->failed, true))
		return;
	snprintf(race->shared->failure, sizeof(race->shared->failure), "process %d: %s: %d (%s)",
	         (int)getpid(), what, result, lockfile_pid_strerror(result));
}

void race_expect(struct race *race, const char *what, int result, int expected)
{
	if (result != expected)
		note_failure(race, what, result);
}

void race_start(struct race *race, struct racer *racer, racer_body *body)
{
	racer->number = ++race->numbers;
	ck_assert_uint_le(racer->number, DETECTOR_RACERS);
	racer->pid = checked_fork();
	if (racer->pid > 0)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	race->random ^= (uint64_t)racer->number << 32;
	if (race->way == WITHOUT_TMPFILE || (race->way == MIXED && racer->number % 2))
		race_expect(race, "refuse O_TMPFILE", refuse_o_tmpfile(LOCKS), 0);
	body(race, racer->number);
	_exit(0);
}

void race_slay(struct race *race, const struct racer *racer)
{
	race->kills++;
	detector_doom(race->detector, racer->number);
	ck_assert_int_eq(kill(racer->pid, SIGKILL), 0);
}

void race_await_zombie(const struct racer *racer)
{
	siginfo_t info;

	ck_assert_int_eq(waitid(P_PID, (id_t)racer->pid, &info, WEXITED | WNOWAIT), 0);
}

void race_reap(struct race *race, struct racer *racer)
{
	int expected, status = -1;

	if (racer->number == 0)
		return;
	ck_assert_int_eq(waitpid(racer->pid, &status, 0), racer->pid);
	expected = detector_is_doomed(race->detector, racer->number) ? SIGKILL : 0;
	race_expect(race, "wait status of a racer", status, expected);
	atomic_store(&race->shared->dead, racer->pid);
	racer->number = 0;
}

void race_run(struct race *race, racer_body *body)
{
	struct racer racer;

	race_start(race, &racer, body);
	race_reap(race, &racer);
}

void *race_open(struct race *race)
{
	void *handle = NULL;

	race_expect(race, "open", race->locker->open(&handle, LOCK), 0);
	if (handle == NULL)
		_exit(1);
	return handle;
}

/* A wait that does not end ends the process, and its exit status tells. */
int race_lock(struct race *race, void *handle)
{
	int r;

	alarm(FOR_EVER_S);
	r = race->locker->lock(handle);
	alarm(0);
	return r;
}

/* Does the lock file hold the PID of its holder? */
static void look_at_label(struct race *race)
{
	char expected[16], content[16] = "";
	int fd = open(LOCK, O_RDONLY | O_CLOEXEC);

	snprintf(expected, sizeof(expected), "%d\n", (int)getpid());
	if (fd < 0 || read(fd, content, sizeof(content) - 1) < 0)
		note_failure(race, "read the lock file", -errno);
	else if (strcmp(content, expected) != 0)
		note_failure(race, "somebody else's PID in the lock file", atoi(content));
	if (fd >= 0)
		close(fd);
}

void race_hold(struct race *race, uint32_t number, uint32_t ns)
{
	struct stay stay;

	detector_enter(race->detector, &stay, number);
	look_at_label(race);
	detector_stay(race->detector, &stay, ns);
	look_at_label(race);
	detector_leave(race->detector, &stay);
}

/*
 * In one step, as seen from the lock's directory.  Where a dead PID does not
 * count as dead, a file with no valid one is as stale.
 */
static void plant_foreign(struct race *race)
{
	int pid = is_shared() ? 0 : atomic_load(&race->shared->dead);
	char name[sizeof(MARKS) + 16];
	FILE *file;

	snprintf(name, sizeof(name), MARKS "/%d", (int)getpid());
	file = fopen(name, "we");
	if (file == NULL || fprintf(file, "%d\n", pid) < 0 || fclose(file) != 0 ||
	    rename(name, LOCK) < 0)
		note_failure(race, "plant a stale file", -errno);
}

void race_unlock(struct race *race, void *handle, bool leave_stale)
{
	if (leave_stale)
		plant_foreign(race);
	race_expect(race, "unlock", race->locker->unlock(handle),
	            leave_stale ? LOCKFILE_PID_ERR_ROGUE_DELETION : 0);
}

void race_lock_once(struct race *race, uint32_t number)
{
	void *handle = race_open(race);
	int r = race_lock(race, handle);

	race_expect(race, "lock", r, 0);
	if (r == 0) {
		race_hold(race, number, 300 * US);
		race_unlock(race, handle, false);
	}
	race->locker->close(handle);
}

static void lock_and_die(struct race *race, uint32_t number)
{
	void *handle = race_open(race);

	race_expect(race, "lock", race_lock(race, handle), 0);
	detector_doom(race->detector, number);
	raise(SIGKILL);
}

void race_plant(struct race *race, enum start start)
{
	if (start == FRESH)
		return;
	atomic_store(&race->shared->dead, dead_pid());
	if (start == STALE_OWN)
		race_run(race, lock_and_die);
	else
		plant_foreign(race);
	if (start == STALE_AND_LEFTOVER)
		write_file(TAKEOVER, "1\n");
}

/* Races */

static struct shared *share(unsigned int size)
{
	struct shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
	                             MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pthread_barrierattr_t attr;

	ck_assert(shared != MAP_FAILED);
	pthread_barrierattr_init(&attr);
	pthread_barrierattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_barrier_init(&shared->barrier, &attr, size);
	pthread_barrierattr_destroy(&attr);
	return shared;
}

void race_begin(struct race *race, const struct locker *locker, enum way way, unsigned int size)
{
	if (way != WITH_TMPFILE && !can_refuse_o_tmpfile("."))
		SKIP("system calls cannot be filtered here");
	ck_assert_int_eq(mkdir(LOCKS, 0777), 0);
	ck_assert_int_eq(mkdir(MARKS, 0777), 0);
	*race = (struct race){ .locker = locker, .way = way, .size = size, .random = seed() };
	race->shared = share(size + 1);
	race->detector = detector_new(MARK);
	ck_assert_ptr_nonnull(race->detector);
	atomic_store(&race->shared->dead, dead_pid());
}

static void expect_no_failure(const struct race *race)
{
	ck_assert_msg(!atomic_load(&race->shared->failed), "%s", race->shared->failure);
}

void race_expect_nothing_left(struct race *race)
{
	ck_assert(!exists(LOCK));
	if (race->kills > 0 && exists(TAKEOVER)) {
		race->leftovers++;
		race_plant(race, STALE_FOREIGN);
		race_run(race, race_lock_once);
	}
	expect_no_failure(race);
	ck_assert_str_eq(list_dir(LOCKS), "");
}

static void clear_away(const char *dir)
{
	DIR *stream = opendir(dir);
	struct dirent *entry;

	ck_assert_ptr_nonnull(stream);
	while ((entry = readdir(stream)) != NULL)
		unlinkat(dirfd(stream), entry->d_name, 0);
	closedir(stream);
	ck_assert_int_eq(rmdir(dir), 0);
}

static void tell(const struct race *race, const struct findings *found)
{
	static const char *const ways[] = { "with O_TMPFILE", "without O_TMPFILE", "mixed" };

	printf("# %s, %s, %u at a time: %u acquisitions by %u processes, %u kills, %u leftovers; "
	       "overlaps: slot %u, marker %u, intervals %u\n",
	       race->locker->name, ways[race->way], race->size, found->stays, race->numbers,
	       race->kills, race->leftovers, found->slot, found->marker, found->intervals);
	fflush(stdout);
}

void race_end(struct race *race, struct findings *ret)
{
	atomic_store(&race->shared->stop, true);
	for (unsigned int i = 0; i < race->size; i++)
		race_reap(race, &race->crew[i]);
	/* the last holder may have left a stale file */
	if (race->kills > 0)
		race_run(race, race_lock_once);
	detector_findings(race->detector, ret);
	tell(race, ret);
	expect_no_failure(race);
	if (race->locker->trusted)
		race_expect_nothing_left(race);
	detector_free(race->detector);
	pthread_barrier_destroy(&race->shared->barrier);
	munmap(race->shared, sizeof(*race->shared));
	clear_away(LOCKS);
	clear_away(MARKS);
}
