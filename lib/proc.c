/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "proc.h"

#include "sys.h"

#include <fcntl.h>
#include <string.h>

int proc_read(const char *path, char ret[PROC_TEXT_SIZE])
{
	int fd = sys_openat(AT_FDCWD, path, O_RDONLY, 0), n = fd;

	if (fd >= 0) {
		n = sys_pread(fd, ret, PROC_TEXT_SIZE - 1);
		sys_close(fd);
	}
	ret[n > 0 ? n : 0] = '\0';
	return n < 0 ? n : 0;
}

const char *proc_field(const char *text, const char *name)
{
	size_t length = strlen(name);
	const char *line = text;

	while ((line = strchr(line, '\n')) != NULL) {
		line++;
		if (strncmp(line, name, length) == 0 && strncmp(line + length, ":\t", 2) == 0)
			return line + length + 2;
	}
	return NULL;
}
