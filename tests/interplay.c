/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * interplay-LIBRARY PATH - hold PATH by another library, as a daemon does
 *
 * Says "held" when it has the lock and gives it back at the end of its input.  Where
 * it is kept out it says nothing and fails.
 */
#include <config.h>

#include "interplay.h"

#include <stdio.h>

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	if (interplay_take(argv[1]) < 0)
		return 1;
	puts("held");
	fflush(stdout);
	while (getchar() != EOF)
		;
	return interplay_release(argv[1]) < 0;
}
