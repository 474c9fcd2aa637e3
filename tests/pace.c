/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "pace.h"

#include <stdlib.h>

int pace(void)
{
	const char *text = getenv("TEST_PACE");
	int n = text ? atoi(text) : 1;

	return n < 1 ? 1 : n;
}

bool pace_takes(long number)
{
	return number % pace() == 0;
}

unsigned int pace_volume(unsigned int rounds, const char *factor_variable)
{
	const char *factor = getenv(factor_variable);
	double scaled = rounds * (factor ? strtod(factor, NULL) : 1) / pace();

	return scaled < 1 ? 1 : (unsigned int)scaled;
}
