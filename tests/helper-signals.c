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
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(void)
{
	siginfo_t info;
	sigset_t all;
	int sig;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* by the bare call: sigprocmask(3) leaves out the signals of the C library */
	memset(&all, 0xff, sizeof(all));
	if (syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, NSIG / 8) < 0)
		return 1;
	setvbuf(stdout, NULL, _IOLBF, 0);
	puts("ready");
	do {
		sig = sigwaitinfo(&all, &info);
		if (sig > 0 && info.si_code == SI_QUEUE)
			printf("%d %d\n", sig, info.si_value.sival_int);
		else if (sig > 0)
			printf("%d\n", sig);
	} while (sig != SIGTERM);
	return 7;
}
