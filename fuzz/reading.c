/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "reading.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define DIGITS  "0123456789"
#define HELP    '?'
#define UNKNOWN '!'

/* A name that ends in '=' has a value. */
struct name {
	const char *text;
	char option;
};

/* clang-format off: a row a line */
static const struct name run_names[] = {
	{ "nonblock", 'n' },      { "wait=", 'w' },        { "conflict-exit-code=", 'E' },
	{ "no-fork", 'F' },       { "kill", 'k' },         { "mode=", 'm' },
	{ "cluster-locks", 'C' }, { "verbose", 'v' },      { "help", HELP },
	{ "descendants", 'D' },   { "for-ancestor", 'A' }, { "version", HELP },
	{ NULL, UNKNOWN },
};
/* clang-format on */
/* clang-format off: a row a line */
static const struct name check_names[] = {
	{ "quiet", 'q' },    { "cluster-locks", 'C' }, { "help", HELP },
	{ "version", HELP }, { NULL, UNKNOWN },
};
/* clang-format on */

static int all_of(const char *text, const char *set)
{
	return *text && text[strspn(text, set)] == '\0';
}

static int read_number(const char *text, int base, const char *digits, unsigned long max,
                       unsigned long *ret)
{
	if (!all_of(text, digits))
		return 0;
	errno = 0;
	*ret = strtoul(text, NULL, base);
	return errno == 0 && *ret <= max;
}

int read_octal(const char *text, unsigned int *ret)
{
	unsigned long number;
	int is_one = read_number(text, 8, "01234567", 07777, &number);

	if (is_one)
		*ret = (unsigned int)number;
	return is_one;
}

int read_status(const char *text, int *ret)
{
	unsigned long number;
	int is_one = read_number(text, 10, DIGITS, 255, &number);

	if (is_one)
		*ret = (int)number;
	return is_one;
}

/* Three digits of the fraction, and one more for any that follow and are not 0. */
static long long fraction_ms(const char *fraction)
{
	char digits[] = "000";
	size_t length = strlen(fraction);

	memcpy(digits, fraction, length < 3 ? length : 3);
	return strtol(digits, NULL, 10) + (length > 3 && fraction[strspn(fraction + 3, "0") + 3]);
}

/* More than fits is as much as fits. */
int read_seconds(const char *text, long long *ret_ms)
{
	size_t whole = strspn(text, DIGITS);
	const char *fraction = text[whole] == '.' ? text + whole + 1 : text + whole;
	unsigned long long seconds;

	if (fraction[strspn(fraction, DIGITS)] || (whole == 0 && !*fraction))
		return 0;
	seconds = strtoull(whole > 0 ? text : "0", NULL, 10);
	if (seconds >= LLONG_MAX / 1000)
		*ret_ms = LLONG_MAX;
	else
		*ret_ms = (long long)seconds * 1000 + fraction_ms(fraction);
	return 1;
}

/* The only name that begins so, or the one that is just so. */
static const struct name *find_name(const struct name *names, const char *text, size_t length)
{
	const struct name *found = NULL;
	int count = 0;

	for (; names->text; names++) {
		if (strncmp(names->text, text, length) != 0)
			continue;
		if (names->text[length] == '\0' || names->text[length] == '=')
			return names;
		found = names;
		count++;
	}
	return count == 1 ? found : names;
}

/* Steps over --NAME, --NAME=VALUE or --NAME VALUE. */
static char read_long(char ***argv, const struct name *names, const char **ret_value)
{
	const char *text = **argv + 2;
	size_t length = strcspn(text, "=");
	const struct name *name = find_name(names, text, length);
	int wants_value = name->text && strchr(name->text, '=');

	++*argv;
	*ret_value = text[length] ? text + length + 1 : NULL;
	if (!wants_value)
		return *ret_value ? UNKNOWN : name->option;
	if (!*ret_value && **argv)
		*ret_value = *(*argv)++;
	return *ret_value ? name->option : UNKNOWN;
}

/* Steps over the letter at **letters, and over its value. */
static char read_letter(char ***argv, const char **letters, const char *plain, const char *valued,
                        const char **ret_value)
{
	char letter = *(*letters)++;

	if (strchr(plain, letter))
		return letter;
	if (!strchr(valued, letter))
		return UNKNOWN;
	*ret_value = **letters ? *letters : NULL;
	if (!*ret_value && **argv)
		*ret_value = *(*argv)++;
	*letters = "";
	return *ret_value ? letter : UNKNOWN;
}

static int take(struct reading *reading, char option, const char *value)
{
	switch (option) {
	case 'n':
		return reading->nonblock = 1;
	case 'F':
		return reading->no_fork = 1;
	case 'k':
		return reading->kill = 1;
	case 'C':
		return reading->cluster_locks = 1;
	case 'D':
		return reading->descendants = 1;
	case 'A':
		return reading->for_ancestor = 1;
	case 'v':
		return reading->verbose = 1;
	case 'q':
		return reading->quiet = 1;
	case 'w':
		reading->timed = 1;
		return read_seconds(value, &reading->timeout_ms);
	case 'E':
		return read_status(value, &reading->conflict_code);
	case 'm':
		reading->has_mode = 1;
		return read_octal(value, &reading->mode);
	case HELP:
		reading->kind = READING_ANSWER;
		return 0;
	default:
		return 0;
	}
}

/* One argument that holds options; false ends the reading. */
static int read_options(struct reading *reading, char ***argv, const struct name *names,
                        const char *plain, const char *valued)
{
	const char *letters = **argv + 1;
	const char *value = NULL;
	char option;

	if (*letters == '-') {
		option = read_long(argv, names, &value);
		return take(reading, option, value);
	}
	++*argv;
	while (*letters) {
		option = read_letter(argv, &letters, plain, valued, &value);
		if (!take(reading, option, value))
			return 0;
	}
	return 1;
}

static int has_options(const char *text)
{
	return text && text[0] == '-' && text[1];
}

void read_run(char **argv, struct reading *ret)
{
	*ret = (struct reading){ .timeout_ms = -1, .conflict_code = 1 };
	while (has_options(*argv) && strcmp(*argv, "--") != 0)
		if (!read_options(ret, &argv, run_names, "nFkv", "wEm"))
			return;
	if (*argv && strcmp(*argv, "--") == 0)
		argv++;
	if (!*argv)
		return;
	ret->path = argv++;
	if (*argv && strcmp(*argv, "--") == 0)
		argv++;
	if (!*argv || (ret->nonblock && ret->timed) ||
	    (ret->no_fork && (ret->kill || ret->descendants)))
		return;
	ret->command = argv;
	ret->kind = READING_ACTION;
}

/* Here options may follow the path. */
void read_check(char **argv, struct reading *ret)
{
	int operands = 0, options = 1;

	*ret = (struct reading){ .kind = READING_WRONG };
	while (*argv) {
		if (options && strcmp(*argv, "--") == 0) {
			options = 0;
			argv++;
		} else if (options && has_options(*argv)) {
			if (!read_options(ret, &argv, check_names, "q", ""))
				return;
		} else {
			ret->path = argv++;
			operands++;
		}
	}
	if (operands == 1)
		ret->kind = READING_ACTION;
}
