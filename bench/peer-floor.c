/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "bench.h"
#include "contender.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool publish(struct contender *contender)
{
	char content[16];
	int length = snprintf(content, sizeof(content), "%d\n", (int)getpid());
	int fd = open(contender->path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);

	if (fd < 0 && errno == EEXIST)
		return false;
	if (fd < 0 || write(fd, content, (size_t)length) != length || close(fd) < 0)
		fail(contender->path, "create, write and close", strerror(errno));
	return true;
}

static void withdraw(struct contender *contender)
{
	if (unlink(contender->path) < 0)
		fail(contender->path, "unlink", strerror(errno));
}

const struct peer floor_peer = {
	.name = "floor",
	.open = contender_no_preparation,
	.close = contender_no_preparation,
	.trylock = publish,
	.unlock = withdraw,
};
