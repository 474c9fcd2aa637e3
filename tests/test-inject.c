/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What fails in the other files of this program: is nothing forgotten?  These
 * tests come last, when all of that was done.
 */
#include <config.h>

#include "documented.h"
#include "faults.h"
#include "inject.h"
#include "pace.h"

#include <stdlib.h>
#include <string.h>

static FILE *open_in(const char *variable, const char *name)
{
	const char *dir = getenv(variable);
	char path[512];
	FILE *file;

	ck_assert_msg(dir != NULL, "the environment does not name %s", variable);
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "r");
	ck_assert_msg(file != NULL, "cannot read %s", path);
	return file;
}

/* The list by which the linker puts us in between, which is made of lib/sys.h. */
TEST(every_function_of_the_seam_has_a_row)
{
	FILE *file = open_in("top_builddir", "tests/wrap.opts");
	char name[64];
	int count = 0, rows = 0;

	while (fscanf(file, "--wrap=sys_%63s ", name) == 1) {
		const struct faults *row = faults_of(name);

		ck_assert_msg(row != NULL, "sys_%s has no row in tests/faults.c", name);
		ck_assert_msg(!row->libc, "%s", name);
		count++;
	}
	ck_assert_int_ne(feof(file), 0);
	fclose(file);
	for (int i = 0; i < faults_count; i++)
		rows += !faults[i].libc;
	ck_assert_int_eq(rows, count);
}

TEST(every_row_has_results_or_a_reason_why_not)
{
	for (int i = 0; i < faults_count; i++) {
		const struct faults *row = &faults[i];
		bool fails = row->failures || row->answers || row->shorts;

		ck_assert_msg(row->page && fails == !row->never, "%s", row->call);
		ck_assert_msg(faults_of(row->call) == row, "%s has two rows", row->call);
	}
}

TEST(every_function_of_the_header_has_documented_results)
{
	FILE *file = open_in("top_srcdir", "include/lockfile-pid.h");
	char line[256], name[64];
	int count = 0;

	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "int lockfile_pid_%63[a-z_](", name) == 1) {
			ck_assert_msg(documented_has(name), "%s", name);
			count++;
		}
	}
	fclose(file);
	ck_assert_int_gt(count, 0);
}

TEST(every_result_of_every_row_was_injected)
{
	if (!pace_runs_all())
		SKIP("not all tests of this program were run");
	for (int i = 0; i < faults_count; i++) {
		int missing;

		ck_assert_msg(inject_was_seen(i, &missing), "%s was never %d", faults[i].call,
		              missing);
	}
}
