/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "explore.h"

#include "forge.h"
#include "pace.h"
#include "process.h"
#include "puppet.h"
#include "steer.h"
#include "world.h"

#include <errno.h>
#include <grp.h>
#include <lockfile-pid.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define PATH EXPLORE_PATH

/* What takes more steps does not end. */
#define MAX_STEPS 3000
/* Nothing that happens to a waiter costs it more looks than a few, of a second each. */
#define MAX_WAIT_NS INT64_C(10000000000)

#define RANDOM_SCHEDULES 10

/* The systems. */
enum way { WITH_TMPFILE, WITHOUT_TMPFILE, BY_PLACEHOLDER, MIXED, WAYS };
static const char *const way_names[] = { "with", "without", "placeholder", "mixed" };

enum { RUN = 'r', TIME = 't', KILL = 'k' };

struct action {
	char what;
	signed char who;
};

struct step {
	struct action usual, taken;
	signed char current;         /* who made the last one; -1: nobody */
	unsigned char ready, asleep; /* a bit each */
	const char *call;            /* that is made or slept in */
};

/* What happened. */
struct run {
	int count;
	struct step steps[MAX_STEPS];
};

struct deviation {
	int step;
	struct action action;
};

struct schedule {
	const struct scene *scene;
	enum way way;
	int count;
	struct deviation deviations[MAX_STEPS];
	uint64_t random; /* state of the generator; 0: nothing is random */
};

static struct {
	long schedules, steps, kills;
	long last; /* those that can have no more deviations, tried or not */
	int64_t longest_ns;
} counts;

/* The actors. */

static void go_way(enum way way, int who)
{
	if (way == WITH_TMPFILE || (way == MIXED && who == 0))
		return;
	steer_no_tmpfile(EOPNOTSUPP);
	if (way == BY_PLACEHOLDER)
		steer_result("sys_rename_noreplace", EVERY, -EINVAL);
}

static void live(void *argument)
{
	const struct schedule *schedule = argument;
	const struct actor *actor = &schedule->scene->actors[puppet_self()];
	struct lockfile_pid *lock;
	struct owner self;

	go_way(schedule->way, puppet_self());
	REQUIRE(lockfile_pid_new(&lock, PATH) == 0);
	process_self(&self); /* its calls are made now */
	if (actor->begin)
		actor->begin(lock);
	puppet_begin();
	actor->act(lock);
}

struct heir {
	void (*act)(struct lockfile_pid *lock);
	struct lockfile_pid *lock;
};

static void live_as_heir(void *argument)
{
	struct heir *heir = argument;

	puppet_begin();
	heir->act(heir->lock);
}

void explore_start(int who, void (*act)(struct lockfile_pid *), struct lockfile_pid *lock)
{
	struct heir heir = { act, lock };

	puppet_start(who, live_as_heir, &heir);
}

/* One schedule. */

static struct action earliest(unsigned asleep)
{
	struct action action = { TIME, -1 };

	for (int i = 0; i < ACTORS; i++)
		if (asleep & 1U << i &&
		    (action.who < 0 || puppet_deadline_ns(i) < puppet_deadline_ns(action.who)))
			action.who = (signed char)i;
	return action;
}

static struct action usual_action(const struct step *step)
{
	struct action action = { RUN, step->current };

	if (step->ready == 0)
		return earliest(step->asleep);
	while (action.who < 0 || !(step->ready & 1U << action.who))
		action.who = (signed char)((action.who + 1) % ACTORS);
	return action;
}

/* Of actors that are alike the first makes its first step first. */
static bool has_to_wait(const struct schedule *schedule, int who, unsigned moved)
{
	const struct actor *actors = schedule->scene->actors;

	for (int i = schedule->way == MIXED; i < who; i++)
		if (actors[i].act == actors[who].act && actors[i].begin == actors[who].begin &&
		    !(moved & 1U << i))
			return true;
	return false;
}

/* Is there anything to do? */
static bool look(const struct schedule *schedule, struct step *step, int current, unsigned moved)
{
	*step = (struct step){ .current = (signed char)current };
	for (int i = 0; i < schedule->scene->count; i++) {
		enum puppet_state state = puppet_state(i);

		if (state == PUPPET_NONE || has_to_wait(schedule, i, moved))
			continue;
		if (state == PUPPET_STOPPED)
			step->ready |= (unsigned char)(1U << i);
		else
			step->asleep |= (unsigned char)(1U << i);
	}
	if ((step->ready | step->asleep) == 0)
		return false;
	step->usual = usual_action(step);
	return true;
}

static bool is_possible(const struct step *step, struct action action)
{
	unsigned who = 1U << action.who;

	switch (action.what) {
	case RUN:
		return (step->ready & who) != 0;
	case TIME:
		return (step->asleep & who) != 0;
	default:
		return ((step->ready | step->asleep) & who) != 0;
	}
}

static bool is_same(struct action a, struct action b)
{
	return a.what == b.what && a.who == b.who;
}

static int preemptions_of(const struct step *step, struct action action)
{
	if (is_same(step->usual, action) || action.what == KILL)
		return 0;
	if (action.what == TIME)
		return step->ready ? 2 : 1;
	return step->current >= 0 && (step->ready & 1U << step->current) != 0;
}

/* xorshift64 (Marsaglia 2003) */
static unsigned draw(uint64_t *state, unsigned limit)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return (unsigned)((*state >> 32) % limit);
}

static struct action draw_action(const struct step *step, uint64_t *random)
{
	unsigned chance = draw(random, 200);
	struct action action = { chance < 1 ? KILL :
		                 chance < 5 ? TIME :
		                              RUN,
		                 (signed char)draw(random, ACTORS) };

	return chance < 60 && is_possible(step, action) ? action : step->usual;
}

static struct action choose(struct schedule *schedule, const struct step *step, int number)
{
	if (schedule->random)
		return draw_action(step, &schedule->random);
	for (int i = 0; i < schedule->count; i++) {
		struct action action = schedule->deviations[i].action;

		if (schedule->deviations[i].step != number)
			continue;
		ck_assert_msg(is_possible(step, action), "%c%d cannot be at step %d", action.what,
		              action.who, number);
		return action;
	}
	return step->usual;
}

static void act(const struct schedule *schedule, struct step *step)
{
	int who = step->taken.who;

	step->call = puppet_call(who);
	switch (step->taken.what) {
	case RUN:
		puppet_go_on(who);
		break;
	case TIME:
		puppet_time_is_up(who);
		break;
	default:
		puppet_kill(who);
		if (schedule->scene->killed)
			schedule->scene->killed(who);
		counts.kills++;
	}
}

static void clear_directory(void)
{
	char names[8192], *save;

	strcpy(names, list_dir("."));
	for (char *name = strtok_r(names, " ", &save); name; name = strtok_r(NULL, " ", &save))
		remove(name);
}

static void start(struct schedule *schedule)
{
	clear_directory();
	stage_clear();
	if (schedule->scene->set)
		schedule->scene->set();
	for (int i = 0; i < schedule->scene->count; i++)
		if (schedule->scene->actors[i].act)
			puppet_start(i, live, schedule);
}

static void play(struct schedule *schedule, struct run *run)
{
	unsigned moved = 0;
	int current = -1;
	struct step *step;

	start(schedule);
	for (run->count = 0; look(schedule, step = &run->steps[run->count], current, moved);
	     run->count++) {
		step->taken = choose(schedule, step, run->count);
		moved |= 1U << step->taken.who;
		if (step->taken.what != KILL)
			current = step->taken.who;
		act(schedule, step);
		if (run->count == MAX_STEPS - 1) {
			puppet_complain("it does not end");
			for (int i = 0; i < ACTORS; i++)
				if (puppet_state(i) != PUPPET_NONE)
					puppet_kill(i);
		}
	}
	while (waitpid(-1, NULL, WNOHANG) > 0)
		; /* whose parents died before them */
	counts.schedules++;
	counts.steps += run->count;
}

/* What became of it. */

static bool has_kill(const struct run *run)
{
	for (int i = 0; i < run->count; i++)
		if (run->steps[i].taken.what == KILL)
			return true;
	return false;
}

static void lock_and_unlock(const char *who)
{
	struct lockfile_pid *lock = new_lock(PATH);
	int locked = lockfile_pid_trylock(lock);
	int unlocked = locked == 0 ? lockfile_pid_unlock(lock) : 0;

	if (locked != 0 || unlocked != 0)
		puppet_complain("%s has %d for the lock and %d for its unlock", who, locked,
		                unlocked);
	lockfile_pid_free(lock);
}

/* A placeholder that somebody died over counts for a second. */
static void let_placeholder_age(void)
{
	struct stat st;

	if (stat(PATH, &st) == 0 && st.st_size == 0)
		forge_mtime(PATH, -10);
}

/* As that user; if what is there is the other's, nothing is done. */
static void lock_and_unlock_as(uid_t user)
{
	pid_t child = checked_fork();
	int status = -1;

	if (child == 0) {
		struct lockfile_pid *lock;
		int r;

		REQUIRE(setgroups(0, NULL) == 0);
		REQUIRE(setresgid(EXPLORE_GROUP, EXPLORE_GROUP, EXPLORE_GROUP) == 0);
		REQUIRE(setresuid(user, user, user) == 0 && prctl(PR_SET_DUMPABLE, 1) == 0);
		REQUIRE(lockfile_pid_new(&lock, PATH) == 0);
		r = lockfile_pid_trylock(lock);
		REQUIRE(r == 0 || r == -EPERM || r == LOCKFILE_PID_ERR_BUSY);
		REQUIRE(r < 0 || lockfile_pid_unlock(lock) == 0);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	if (status != 0)
		puppet_complain("user %d cannot lock and unlock", (int)user);
}

static void write_stale_of(uid_t user)
{
	write_file(PATH, "?\n");
	ck_assert_int_eq(chown(PATH, user, user), 0);
}

static bool is_of(const char *name, uid_t user)
{
	struct stat st;

	return stat(name, &st) == 0 && st.st_uid == user;
}

/* A stale file of the user's, for which it needs the other names. */
static void take_over_as(uid_t user)
{
	if (is_of(PATH ".takeover", user) && !exists(PATH))
		write_stale_of(user);
	lock_and_unlock_as(user);
}

/*
 * Each user clears what is its own: at once, or when it needs the names.  The file of the
 * second may have been in the way of the first.
 */
static void judge_leftovers_of_users(void)
{
	static const uid_t users[] = { EXPLORE_USER_1, EXPLORE_USER_2, EXPLORE_USER_1 };

	let_placeholder_age();
	for (int i = 0; i < 3; i++)
		take_over_as(users[i]);
	if (strcmp(list_dir("."), "") != 0)
		puppet_complain("%s is left", list_dir("."));
}

/* At most what the next that needs these names clears. */
static void judge_leftovers(void)
{
	char names[8192];

	let_placeholder_age();
	lock_and_unlock("a newcomer");
	strcpy(names, list_dir("."));
	if (strcmp(names, "") != 0 && strcmp(names, PATH ".takeover ") != 0)
		puppet_complain("%s is left", names);
	if (strcmp(names, "") == 0)
		return;
	write_file(PATH, "?\n");
	lock_and_unlock("who takes over");
	if (strcmp(list_dir("."), "") != 0)
		puppet_complain("%s is left after a takeover", list_dir("."));
}

static void judge(const struct scene *scene, const struct run *run)
{
	bool killed = has_kill(run);

	if (stage_now_ns() > counts.longest_ns)
		counts.longest_ns = stage_now_ns();
	if (stage_now_ns() > MAX_WAIT_NS)
		puppet_complain("somebody waits for %lld s",
		                (long long)stage_now_ns() / 1000000000);
	if (!killed && stage_wins() < scene->wins)
		puppet_complain("only %d had the lock", stage_wins());
	if (!killed && !scene->may_leave && strcmp(list_dir("."), "") != 0)
		puppet_complain("%s is left", list_dir("."));
	if (stage_complaint())
		return;
	if (scene->is_of_users)
		judge_leftovers_of_users();
	else
		judge_leftovers();
}

static void print_steps(const struct run *run)
{
	for (int i = 0; i < run->count; i++) {
		const struct step *step = &run->steps[i];
		bool usual = is_same(step->taken, step->usual);

		printf("# %4d %c %c%d %s\n", i, usual ? ' ' : '*', step->taken.what,
		       step->taken.who, step->call);
	}
}

static const char *in_words(const struct schedule *schedule, const struct run *run)
{
	static char words[16 * MAX_STEPS];
	char *p = words + sprintf(words, "%s %s", schedule->scene->name, way_names[schedule->way]);

	for (int i = 0; i < run->count; i++) {
		struct action taken = run->steps[i].taken;

		if (!is_same(taken, run->steps[i].usual))
			p += sprintf(p, " %d:%c%d", i, taken.what, taken.who);
	}
	return words;
}

static void play_and_judge(struct schedule *schedule, struct run *run, const char *more)
{
	play(schedule, run);
	judge(schedule->scene, run);
	if (!stage_complaint())
		return;
	print_steps(run);
	ck_abort_msg("%s%s; once more by EXPLORE='%s' tests/test-orders%s", stage_complaint(), more,
	             in_words(schedule, run), schedule->scene->count == ACTORS ? "-of-three" : "");
}

/* Many schedules. */

static void search(struct schedule *schedule, int preemptions, int kills);

static void deviate(struct schedule *schedule, int number, const struct step *step,
                    struct action action, int preemptions, int kills)
{
	preemptions -= preemptions_of(step, action);
	kills -= action.what == KILL;
	if (!is_possible(step, action) || is_same(action, step->usual) || preemptions < 0 ||
	    kills < 0)
		return;
	schedule->deviations[schedule->count++] = (struct deviation){ number, action };
	search(schedule, preemptions, kills);
	schedule->count--;
}

/* All with these deviations, and later ones; of those that can have no more, every Nth. */
static void search(struct schedule *schedule, int preemptions, int kills)
{
	int first = schedule->count > 0 ? schedule->deviations[schedule->count - 1].step + 1 : 0;
	bool is_last = preemptions == 0 && kills == 0 && schedule->count > 0;
	struct run *run;

	if (is_last && !pace_takes(counts.last++))
		return;
	run = malloc(sizeof(*run));
	play_and_judge(schedule, run, "");
	for (int i = first; i < run->count; i++) {
		for (const char *what = (char[]){ RUN, TIME, KILL, '\0' }; *what; what++)
			for (signed char who = 0; who < ACTORS; who++)
				deviate(schedule, i, &run->steps[i], (struct action){ *what, who },
				        preemptions, kills);
	}
	free(run);
}

static int number_from(const char *name, int otherwise)
{
	const char *value = getenv(name);

	return value && *value ? atoi(value) : otherwise;
}

static void replay(struct schedule *schedule, const char *words)
{
	struct run *run;
	char scene[64], way[32];
	int n = 0;

	ck_assert_int_eq(sscanf(words, "%63s %31s%n", scene, way, &n), 2);
	if (strcmp(scene, schedule->scene->name) != 0 || strcmp(way, way_names[schedule->way]) != 0)
		return;
	run = malloc(sizeof(*run));
	for (words += n; *words; words += n) {
		struct deviation *deviation = &schedule->deviations[schedule->count++];

		ck_assert_int_eq(sscanf(words, "%d:%c%hhd%n", &deviation->step,
		                        &deviation->action.what, &deviation->action.who, &n),
		                 3);
	}
	play(schedule, run);
	judge(schedule->scene, run);
	print_steps(run);
	ck_assert_msg(!stage_complaint(), "%s", stage_complaint());
	free(run);
}

/* Who stops and goes on in turn is at home on one processor. */
static void share_processor(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)sched_getcpu(), &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static void begin(struct schedule *schedule)
{
	steer_reset();
	memset(&counts, 0, sizeof(counts));
	schedule->count = 0;
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	share_processor();
	stage_open();
}

static void end(const struct schedule *schedule)
{
	clear_directory();
	stage_close();
	printf("# explored %s, %s: %ld schedules, %ld steps, %ld kills; longest wait %ld ms\n",
	       schedule->scene->name, way_names[schedule->way], counts.schedules, counts.steps,
	       counts.kills, (long)(counts.longest_ns / 1000000));
}

/* Whether the environment asks for something else than everything; and does it. */
static bool is_asked_for_less(struct schedule *schedule)
{
	const char *one = getenv("EXPLORE"), *scene = getenv("EXPLORE_SCENE");

	if (one) {
		begin(schedule);
		replay(schedule, one);
		clear_directory();
		stage_close();
	}
	return one || (scene && strcmp(scene, schedule->scene->name) != 0);
}

/* Three processes have so many orders that one way has to do for most of them. */
static int preemptions_for(const struct scene *scene, enum way way)
{
	int preemptions = number_from("EXPLORE_PREEMPTIONS", 1);

	return scene->count == ACTORS && way != WITH_TMPFILE ? preemptions - 1 : preemptions;
}

/* A plain run of the tests is to last some seconds. */
static bool is_left_out(const struct scene *scene, enum way way)
{
	return !getenv("EXPLORE_PREEMPTIONS") && scene->count == ACTORS && way != WITH_TMPFILE;
}

static void explore(const struct scene *scene, enum way way, int preemptions, int kills)
{
	struct schedule schedule = { .scene = scene, .way = way };

	if (is_asked_for_less(&schedule))
		return;
	begin(&schedule);
	search(&schedule, preemptions, kills);
	end(&schedule);
}

void explore_orders(const struct scene *scene)
{
	for (enum way way = 0; way < WAYS; way++)
		explore(scene, way, preemptions_for(scene, way), 0);
}

void explore_kills(const struct scene *scene)
{
	for (enum way way = 0; way < WAYS; way++) {
		int preemptions = preemptions_for(scene, way) - (scene->count < ACTORS ? 2 : 3);

		if (!is_left_out(scene, way))
			explore(scene, way, preemptions < 0 ? 0 : preemptions, 1);
	}
}

static void explore_way_at_random(const struct scene *scene, enum way way)
{
	int seed = number_from("EXPLORE_SEED", (int)(now_ms() & 0xffffff));
	struct schedule schedule = { .scene = scene, .way = way };
	struct run *run;
	char more[32];

	if (is_asked_for_less(&schedule))
		return;
	run = malloc(sizeof(*run));
	begin(&schedule);
	for (int i = number_from("EXPLORE_RANDOM", RANDOM_SCHEDULES); i > 0; i -= pace(), seed++) {
		schedule.random = UINT64_C(0x9e3779b97f4a7c15) * (uint64_t)(seed + 1);
		snprintf(more, sizeof(more), " (seed %d)", seed);
		play_and_judge(&schedule, run, more);
	}
	end(&schedule);
	free(run);
}

void explore_random(const struct scene *scene)
{
	for (enum way way = 0; way < WAYS; way++)
		explore_way_at_random(scene, way);
}
