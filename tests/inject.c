/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "inject.h"

#include "documented.h"
#include "faults.h"
#include "memory.h"
#include "outcome.h"
#include "pace.h"
#include "process.h"
#include "steer.h"
#include "steps.h"

#include <errno.h>
#include <lockfile-pid.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define MAX_ROWS 64
#define TRACE    "trace"

/* Systems. */

static void all_there_is(void)
{
}

static void no_tmpfile(void)
{
	steer_no_tmpfile(EOPNOTSUPP);
}

static void no_noreplace(void)
{
	no_tmpfile();
	steer_result("sys_rename_noreplace", EVERY, -EINVAL);
}

static void old_kernel(void)
{
	steer_result("sys_link_fd", EVERY, -ENOENT);
	steer_result("sys_pidfd_open", EVERY, -ENOSYS);
	steer_no_pidfs();
}

static const struct {
	const char *name;
	void (*rules)(void);
} systems[] = {
	{ "with all there is", all_there_is },
	{ "without O_TMPFILE", no_tmpfile },
	{ "without O_TMPFILE and RENAME_NOREPLACE", no_noreplace },
	{ "with an old kernel", old_kernel },
};
#define SYSTEMS ((int)(sizeof(systems) / sizeof(systems[0])))

/* For the whole program, whose tests are processes. */

static struct {
	long count, answers, known; /* of the last only some are tried where TEST_PACE says so */
	bool seen[MAX_ROWS][3][FAULTS_MAX];
	char last[256];
	bool in_progress;
} * all;
static pid_t program;

static void tell_count(void)
{
	if (getpid() != program)
		return;
	if (all->in_progress)
		printf("# unfinished: %s\n", all->last);
	printf("# injected failures: %ld (%ld of them answers that are not so)\n", all->count,
	       all->answers);
}

__attribute__((constructor)) static void share(void)
{
	all = mmap(NULL, sizeof(*all), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (all == MAP_FAILED)
		abort();
	program = getpid();
	atexit(tell_count);
}

/* The present trial. */

struct fault fault;
static const struct operation *operation;
static int row_of_system, result, descriptors;
static char *before;

bool inject_fails(const char *call)
{
	return fault.call && strcmp(fault.call, call) == 0;
}

bool inject_persists(void)
{
	return fault.call && fault.nth == EVERY;
}

bool inject_lies(void)
{
	return fault.call && (fault.kind == ANSWER ||
	                      (fault.kind == SHORT && faults_of(fault.call)->shorts_answer));
}

bool inject_without_noreplace(void)
{
	return systems[row_of_system].rules == no_noreplace || inject_fails("rename_noreplace");
}

int inject_result(void)
{
	return result;
}

const char *inject_names_before(void)
{
	return before;
}

void inject_clean(void)
{
	if (operation->clean)
		operation->clean();
}

static void describe_fault(char *text, size_t size)
{
	static const char *const kinds[] = { "fails", "is short", "lies" };

	if (!fault.call)
		snprintf(text, size, "nothing fails");
	else
		snprintf(text, size, "%s number %d %s: %d (%s)", fault.call, fault.nth,
		         kinds[fault.kind], fault.result,
		         fault.result < 0 ? strerror(-fault.result) : "");
}

const char *inject_describe(void)
{
	static char text[400];
	char what[200];

	describe_fault(what, sizeof(what));
	snprintf(text, sizeof(text), "%s, %s, %s: result %d", operation->name,
	         systems[row_of_system].name, what, result);
	return text;
}

/* What is left of a PID that is cut short is another's, and nobody holds the lock if that is dead. */
static bool leaves_a_dead_pid(void)
{
	pid_t pid = scene_holder();

	while (pid >= 10)
		pid /= 10;
	return inject_fails("pread") && fault.result == 1 && pid > 0 && kill(pid, 0) < 0 &&
	       errno == ESRCH;
}

static void arm(void)
{
	const struct faults *row = fault.call ? faults_of(fault.call) : NULL;
	static char call[64];

	steer_reset();
	steer_no_pauses();
	steer_quick_waits();
	systems[row_of_system].rules();
	if (operation->rules)
		operation->rules();
	if (!row)
		return;
	snprintf(call, sizeof(call), "%s%s", row->libc ? "" : "sys_", row->call);
	if (fault.kind == SHORT && leaves_a_dead_pid())
		return;
	if (fault.kind == SHORT)
		steer_short(call, fault.nth, (size_t)fault.result);
	else if (row->made)
		steer_made(call, fault.nth, fault.result);
	else
		steer_result(call, fault.nth, fault.result);
}

static void act(void)
{
	arm();
	memory_steer(true);
	result = operation->act();
	memory_steer(false);
	if (!fault.call)
		write_file(TRACE, steer_trace());
	steer_reset();
	if (!fault.call)
		assert_so(result == operation->result);
	assert_so(documented(operation->function, result));
}

static void run(void *unused)
{
	struct owner self;

	(void)unused;
	if (!operation->from_scratch)
		process_self(&self);
	if (operation->prepare)
		operation->prepare();
	before = strdup(list_dir("d"));
	act();
	if (inject_lies())
		outcome_of_lie(result);
	else
		operation->judge(result);
	free(before);
}

void inject_make_lock(void)
{
	memory_steer(true);
	lock = new_lock(SCENE_PATH);
	memory_steer(false);
}

static void free_lock(void)
{
	lockfile_pid_free(lock);
	lock = NULL;
	assert_so(memory_count() == 0);
}

/* With all that it had at its end. */
static void run_and_exit(void *unused)
{
	run(unused);
	scene_kill_mortal(NULL);
	free_lock();
	/* what the library takes for another's stays open */
	assert_so(count_descriptors() <= descriptors + operation->leaked || inject_fails("lseek"));
}

static void try(void)
{
	int memory = memory_count();

	describe_fault(all->last, sizeof(all->last));
	all->in_progress = true;
	result = 0;
	if (operation->in_child || inject_lies()) {
		assert_so(in_child(run_and_exit, NULL) == 0);
		outcome_settled();
	} else {
		run(NULL);
	}
	assert_so(count_descriptors() == descriptors);
	assert_so(memory_count() == memory);
	all->in_progress = false;
}

/* The calls when nothing fails. */

static char *traces[SYSTEMS];

/* Are they others than those on the systems before? */
static bool record(void)
{
	char *trace;

	fault = (struct fault){ 0 };
	try();
	ck_assert_int_gt(asprintf(&trace, " %s", read_file(TRACE)), 0);
	traces[row_of_system] = trace;
	ck_assert_int_eq(unlink(TRACE), 0);
	for (int i = 0; i < row_of_system; i++)
		if (traces[i] && strcmp(traces[i], trace) == 0)
			return false;
	steps_read(trace);
	return true;
}

static void inject_list(const char *call, int nth, enum fault_kind kind, const int *list)
{
	int row = (int)(faults_of(call) - faults);

	for (int i = 0; list && list[i] != FAULTS_END; i++) {
		bool *seen = &all->seen[row][kind][i];

		if (*seen && !pace_takes(all->known++))
			continue;
		fault = (struct fault){ call, nth, list[i], kind };
		all->count++;
		all->answers += inject_lies();
		*seen = true;
		try();
	}
}

static bool was_called_before(const char *call)
{
	char word[64];

	snprintf(word, sizeof(word), " %s ", call);
	for (int i = 0; i < row_of_system; i++)
		if (traces[i] && strstr(traces[i], word))
			return true;
	return false;
}

static void inject(const char *call, int nth)
{
	const struct faults *row = faults_of(call);
	bool lies;

	ck_assert_msg(row != NULL, "there is no row for %s", call);
	inject_list(call, nth, FAILURE, row->failures);
	/* a lie is one on every system */
	lies = !was_called_before(call) && !(operation->waits && nth == EVERY);
	if (lies || !row->shorts_answer)
		inject_list(call, nth, SHORT, row->shorts);
	if (lies)
		inject_list(call, nth, ANSWER, row->answers);
}

/*
 * Without RENAME_NOREPLACE nothing is otherwise than without O_TMPFILE alone,
 * until that call is made: so many steps were done there.
 */
static int steps_done_before(void)
{
	const char *here = traces[row_of_system], *there;
	int count = 0;

	if (systems[row_of_system].rules != no_noreplace)
		return 0;
	there = traces[row_of_system - 1];
	for (int i = 1; here[i] && here[i] == there[i]; i++)
		count += here[i] == ' ';
	return count;
}

static void inject_everywhere(void)
{
	int done = steps_done_before();

	for (int step = 0; step < steps_count(); step++) {
		int nth = steps_occurrence(step);

		/* on the first system also what is there once: it may be made again then */
		if (nth == 1 && !(row_of_system > 0 && steps_is_alone(step)))
			inject(steps_call(step), EVERY);
		if (step >= done && !steps_is_repeated(step))
			inject(steps_call(step), nth);
	}
}

static bool applies(void)
{
	return systems[row_of_system].rules != old_kernel || operation->on_old_kernel;
}

void inject_failures(const struct operation *what)
{
	operation = what;
	scene_begin();
	if (!operation->from_scratch)
		inject_make_lock();
	descriptors = count_descriptors();
	for (row_of_system = 0; row_of_system < SYSTEMS; row_of_system++)
		if (applies() && record())
			inject_everywhere();
	if (lock)
		free_lock();
	for (int i = 0; i < SYSTEMS; i++)
		free(traces[i]);
	steps_read("");
	scene_end();
}

static bool list_was_seen(const int *list, const bool *seen, int *ret_missing)
{
	for (int i = 0; list && list[i] != FAULTS_END; i++) {
		if (!seen[i]) {
			*ret_missing = list[i];
			return false;
		}
	}
	return true;
}

bool inject_was_seen(int row, int *ret_missing)
{
	const struct faults *f = &faults[row];

	return list_was_seen(f->failures, all->seen[row][FAILURE], ret_missing) &&
	       list_was_seen(f->shorts, all->seen[row][SHORT], ret_missing) &&
	       list_was_seen(f->answers, all->seen[row][ANSWER], ret_missing);
}
