/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "pace.h"

#include <stdlib.h>

static int number_of(const char *variable)
{
	const char *text = getenv(variable);
	int n = text ? atoi(text) : 1;

	return n < 1 ? 1 : n;
}

int pace(void)
{
	return number_of("TEST_PACE");
}

bool pace_takes(long number)
{
	return number % pace() == 0;
}

static bool asked_for_by_name(void)
{
	return getenv("CK_RUN_CASE") || getenv("CK_RUN_SUITE");
}

/* Of each N one, but not always the same: rows have periods. */
bool pace_runs(int test)
{
	int n = number_of("TEST_EACH");

	return asked_for_by_name() || (test + test / n) % n == 0;
}

bool pace_runs_all(void)
{
	return !asked_for_by_name() && number_of("TEST_EACH") == 1;
}

unsigned int pace_volume(unsigned int rounds, const char *factor_variable)
{
	const char *factor = getenv(factor_variable);
	double scaled = rounds * (factor ? strtod(factor, NULL) : 1) / pace();

	return scaled < 1 ? 1 : (unsigned int)scaled;
}
