/* SPDX-License-Identifier: BSD-2-Clause */
/* port-plain PIDFILE - a small daemon with a PID file of its own, as many are; it ends by SIGTERM */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *pid_file;

/* The PID of a running instance, or 0. */
static pid_t read_pid(void)
{
	FILE *file = fopen(pid_file, "r");
	long pid = 0;

	if (!file)
		return 0;
	if (fscanf(file, "%ld", &pid) != 1 || pid <= 0 || kill((pid_t)pid, 0) < 0)
		pid = 0;
	fclose(file);
	return (pid_t)pid;
}

static int write_pid(void)
{
	FILE *file = fopen(pid_file, "w");

	if (!file)
		return -1;
	fprintf(file, "%ld\n", (long)getpid());
	return fclose(file);
}

int main(int argc, char **argv)
{
	sigset_t end;
	pid_t other;
	int number;

	if (argc != 2)
		return 2;
	pid_file = argv[1];
	umask(022);
	sigemptyset(&end);
	sigaddset(&end, SIGTERM);
	sigprocmask(SIG_BLOCK, &end, NULL);
	other = read_pid();
	if (other > 0) {
		fprintf(stderr, "already running as process %ld\n", (long)other);
		return 1;
	}
	if (daemon(1, 0) < 0)
		return 1;
	if (write_pid() < 0)
		return 1;
	sigwait(&end, &number); /* the work */
	unlink(pid_file);
	return 0;
}
