/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * helper-filesystem - what the checks on file systems cannot do in shell
 *
 *	features		prints a word for each that the file system of the
 *				current directory has: tmpfile, attributes,
 *				noreplace (renaming without replacing)
 *	no-tmpfile COMMAND...	runs it where O_TMPFILE is refused
 */
#include <config.h>

#include "no-tmpfile.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#define PROBE ".probe"
#define MOVED ".probe.moved"

static void tell(const char *feature, int has)
{
	if (has)
		printf("%s ", feature);
}

/* Some C libraries have no renameat2(2). */
static int rename_noreplace(const char *from, const char *to)
{
	return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE);
}

static int tell_features(void)
{
	int unnamed = open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	int named = open(PROBE, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);

	if (named < 0) {
		perror(PROBE);
		return 1;
	}
	tell("tmpfile", unnamed >= 0);
	tell("attributes", fsetxattr(named, "user.probe", "", 0, 0) == 0);
	tell("noreplace", rename_noreplace(PROBE, MOVED) == 0);
	putchar('\n');
	close(unnamed);
	close(named);
	unlink(PROBE);
	unlink(MOVED);
	return 0;
}

static int run_without_tmpfile(char **command)
{
	if (refuse_o_tmpfile(".") < 0) {
		fprintf(stderr, "system calls cannot be filtered here\n");
		return 77;
	}
	execvp(command[0], command);
	perror(command[0]);
	return 127;
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "features") == 0)
		return tell_features();
	if (argc > 2 && strcmp(argv[1], "no-tmpfile") == 0)
		return run_without_tmpfile(argv + 2);
	fprintf(stderr, "usage: helper-filesystem features | no-tmpfile COMMAND...\n");
	return 2;
}
