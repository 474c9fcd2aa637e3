/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "steps.h"

#include <stdlib.h>
#include <string.h>

#define MAX_STEPS 1024

static char *text;
static const char *steps[MAX_STEPS];
static int count;

void steps_read(const char *trace)
{
	free(text);
	text = strdup(trace);
	count = 0;
	for (char *name = strtok(text, " "); name; name = strtok(NULL, " ")) {
		if (count == MAX_STEPS)
			abort();
		steps[count++] = name;
	}
}

int steps_count(void)
{
	return count;
}

const char *steps_call(int step)
{
	return steps[step];
}

static int previous(int step)
{
	int i = step - 1;

	while (i >= 0 && strcmp(steps[i], steps[step]) != 0)
		i--;
	return i;
}

int steps_occurrence(int step)
{
	int nth = 1;

	while ((step = previous(step)) >= 0)
		nth++;
	return nth;
}

bool steps_is_alone(int step)
{
	int calls = 0;

	for (int i = 0; i < count; i++)
		calls += strcmp(steps[i], steps[step]) == 0;
	return calls == 1;
}

static bool are_same(int step, int other, int length)
{
	while (length > 0 && strcmp(steps[step], steps[other]) == 0)
		step--, other--, length--;
	return length == 0;
}

/* Two turns like the one before. */
bool steps_is_repeated(int step)
{
	int a = previous(step), b = a < 0 ? -1 : previous(a), c = b < 0 ? -1 : previous(b);
	int turn = step - a;

	return c >= 0 && a - b == turn && b - c == turn && are_same(step, a, turn) &&
	       are_same(a, b, turn);
}
