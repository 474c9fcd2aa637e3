/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "no-tmpfile.h"

#include "filter.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

static int is_refused(const char *dir)
{
	int fd = open(dir, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);

	if (fd >= 0)
		close(fd);
	return fd < 0 && errno == EOPNOTSUPP;
}

int refuse_o_tmpfile(const char *dir)
{
	int r = refuse_tmpfile(EOPNOTSUPP);

	if (r < 0)
		return r;
	return is_refused(dir) ? 0 : -ENOTSUP;
}

bool can_refuse_o_tmpfile(const char *dir)
{
	int status = -1;
	pid_t child = fork();

	if (child == 0)
		_exit(refuse_o_tmpfile(dir) == 0 ? 0 : 1);
	return waitpid(child, &status, 0) == child && status == 0;
}
