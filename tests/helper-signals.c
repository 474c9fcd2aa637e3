/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * helper-signals - a command that says which signals it is sent
 *
 * It prints "ready", then a line for each signal, "10" or with a value "10 4711", and
 * ends with status 7 at SIGTERM.
 */
#include <config.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int main(void)
{
	/* of a test that failed */
	const struct timespec patience = { .tv_sec = 600 };
	siginfo_t info;
	sigset_t all;
	int sig;

	/* by the bare call: sigprocmask(3) leaves out the signals of the C library */
	memset(&all, 0xff, sizeof(all));
	if (syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, NSIG / 8) < 0)
		return 1;
	setvbuf(stdout, NULL, _IOLBF, 0);
	puts("ready");
	do {
		sig = sigtimedwait(&all, &info, &patience);
		if (sig > 0 && info.si_code == SI_QUEUE)
			printf("%d %d\n", sig, info.si_value.sival_int);
		else if (sig > 0)
			printf("%d\n", sig);
	} while (sig > 0 && sig != SIGTERM);
	return sig > 0 ? 7 : 1;
}
