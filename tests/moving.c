/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * moving [-k] PATH - runs what doc/moving.md shows: an instance that starts, or says by its
 * status that another runs, and that stops when its standard input ends; -k ends another
 */
#include <stdio.h>
#include <string.h>

int start(const char *path);
void stop(void);
int end_other(const char *path);

int main(int argc, char **argv)
{
#ifdef END_OTHER
	if (argc == 3 && strcmp(argv[1], "-k") == 0)
		return end_other(argv[2]) != 0;
#endif
	if (argc != 2 || start(argv[1]) != 0)
		return 1;
	puts("started");
	fflush(stdout);
	while (getchar() != EOF)
		;
	stop();
	return 0;
}
