/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "memory.h"

#include "steer.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#define MAX_LIVE 64

static bool steered;
static const void *live[MAX_LIVE];

void memory_steer(bool on)
{
	steered = on;
}

int memory_count(void)
{
	int count = 0;

	for (int i = 0; i < MAX_LIVE; i++)
		count += live[i] != NULL;
	return count;
}

static void forget(const void *p)
{
	for (int i = 0; p && i < MAX_LIVE; i++)
		if (live[i] == p)
			live[i] = NULL;
}

static void *remember(void *p)
{
	int i = 0;

	if (!p || !steered)
		return p;
	while (live[i])
		if (++i == MAX_LIVE)
			abort();
	live[i] = p;
	return p;
}

/* Does it fail?  Then errno says why. */
static bool fails(const char *call)
{
	long long result;

	if (!steered || !steer_enter(call, &result))
		return false;
	errno = (int)-result;
	return true;
}

#define WRAP(name, parameters, arguments)                                       \
	void *__real_##name parameters;                                         \
	void *__wrap_##name parameters;                                         \
	void *__wrap_##name parameters                                          \
	{                                                                       \
		return fails(#name) ? NULL : remember(__real_##name arguments); \
	}

WRAP(malloc, (size_t size), (size))
WRAP(calloc, (size_t count, size_t size), (count, size))
WRAP(strdup, (const char *text), (text))
WRAP(strndup, (const char *text, size_t size), (text, size))
WRAP(getcwd, (char *buf, size_t size), (buf, size))

void *__real_realloc(void *p, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__wrap_realloc(void *p, size_t size)
{
	if (fails("realloc"))
		return NULL;
	forget(p);
	return remember(__real_realloc(p, size));
}

void __real_free(void *p);
void __wrap_free(void *p);
void __wrap_free(void *p)
{
	forget(p);
	__real_free(p);
}
