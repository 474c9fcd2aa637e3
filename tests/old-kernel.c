/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * old-kernel - runs a test as if the kernel had less
 *
 *	old-kernel KERNEL COMMAND...	kernel.c has the names
 *
 * Where a process cannot be filtered it says, in TAP, that all is skipped.
 */
#include <config.h>

#include "kernel.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int r;

	r = argc < 3 ? -ENOENT : kernel_enter(argv[1]);
	if (r == -ENOENT) {
		fprintf(stderr, "usage: old-kernel KERNEL COMMAND...\n");
		return 99;
	}
	if (r < 0) {
		printf("1..0 # SKIP %s: %s\n", argv[1], strerror(-r));
		return 0;
	}
	execvp(argv[2], argv + 2);
	perror(argv[2]);
	return 127;
}
