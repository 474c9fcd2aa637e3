/* SPDX-License-Identifier: BSD-2-Clause */
/* strtod() and strtol() take blanks, signs, hexadecimals, "inf" and the locale's comma. */
#include <config.h>

#include "tool.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <strings.h>

/* More than anybody waits (3 million years), and far from overflow when added to a time. */
#define MANY_SECONDS 100000000000000LL

static int is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* What follows the point, rounded up so that no wait ends early and none but 0 is nothing. */
static const char *parse_fraction(const char *text, long long *ms)
{
	long long unit = 100;
	int rest = 0;

	for (; is_digit(*text); text++) {
		*ms += unit * (*text - '0');
		rest |= unit == 0 && *text != '0';
		unit /= 10;
	}
	*ms += rest;
	return text;
}

int parse_seconds(const char *text, long long *ret_ms)
{
	long long seconds = 0, ms = 0;
	int digits = is_digit(text[0]) || (text[0] == '.' && is_digit(text[1]));

	for (; is_digit(*text); text++)
		if (seconds < MANY_SECONDS)
			seconds = seconds * 10 + (*text - '0');
	if (*text == '.')
		text = parse_fraction(text + 1, &ms);
	if (!digits || *text)
		return -EINVAL;
	*ret_ms = seconds * 1000 + ms;
	return 0;
}

static int parse_digits(const char *text, int base, int max, int *ret)
{
	int value = 0;

	if (!*text)
		return -EINVAL;
	for (; *text; text++) {
		if (*text < '0' || *text >= '0' + base)
			return -EINVAL;
		value = value * base + (*text - '0');
		if (value > max)
			return -EINVAL;
	}
	*ret = value;
	return 0;
}

int parse_exit_code(const char *text, int *ret_code)
{
	return parse_digits(text, 10, 255, ret_code);
}

/* Whether the bits make sense on a lock file is the library's to say. */
int parse_mode(const char *text, unsigned int *ret_mode)
{
	int mode = 0;
	int r = parse_digits(text, 8, 07777, &mode);

	if (r == 0)
		*ret_mode = (unsigned int)mode;
	return r;
}

int parse_pid(const char *text, pid_t *ret_pid)
{
	int pid = 0;

	if (parse_digits(text, 10, 4194304, &pid) < 0 || pid == 0)
		return -EINVAL;
	*ret_pid = (pid_t)pid;
	return 0;
}

/* sigabbrev_np(3) is too new, and not everywhere. */
static const struct {
	const char *name;
	int number;
} names[] = {
	{ "HUP", SIGHUP },       { "INT", SIGINT },   { "QUIT", SIGQUIT },   { "ILL", SIGILL },
	{ "TRAP", SIGTRAP },     { "ABRT", SIGABRT }, { "BUS", SIGBUS },     { "FPE", SIGFPE },
	{ "KILL", SIGKILL },     { "USR1", SIGUSR1 }, { "SEGV", SIGSEGV },   { "USR2", SIGUSR2 },
	{ "PIPE", SIGPIPE },     { "ALRM", SIGALRM }, { "TERM", SIGTERM },   { "CHLD", SIGCHLD },
	{ "CONT", SIGCONT },     { "STOP", SIGSTOP }, { "TSTP", SIGTSTP },   { "TTIN", SIGTTIN },
	{ "TTOU", SIGTTOU },     { "URG", SIGURG },   { "XCPU", SIGXCPU },   { "XFSZ", SIGXFSZ },
	{ "VTALRM", SIGVTALRM }, { "PROF", SIGPROF }, { "WINCH", SIGWINCH }, { "IO", SIGIO },
	{ "POLL", SIGPOLL },     { "PWR", SIGPWR },   { "SYS", SIGSYS },
};

/* What follows RTMIN: nothing or "+2"; or RTMAX: nothing or "-2". */
static int parse_distance(const char *text, char sign, int from, int *ret_signal)
{
	int distance = 0;

	if (*text && *text != sign)
		return -EINVAL;
	if (*text && parse_digits(text + 1, 10, SIGRTMAX - SIGRTMIN, &distance) < 0)
		return -EINVAL;
	*ret_signal = sign == '+' ? from + distance : from - distance;
	return 0;
}

/* A number, or a name as kill(1) has them, with or without "SIG". */
int parse_signal(const char *text, int *ret_signal)
{
	size_t i;

	if (is_digit(*text))
		return parse_digits(text, 10, NSIG - 1, ret_signal);
	if (strncasecmp(text, "SIG", 3) == 0)
		text += 3;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcasecmp(text, names[i].name) == 0) {
			*ret_signal = names[i].number;
			return 0;
		}
	if (strncasecmp(text, "RTMIN", 5) == 0)
		return parse_distance(text + 5, '+', SIGRTMIN, ret_signal);
	if (strncasecmp(text, "RTMAX", 5) == 0)
		return parse_distance(text + 5, '-', SIGRTMAX, ret_signal);
	return -EINVAL;
}
