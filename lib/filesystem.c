/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "filesystem.h"

#include "sys.h"

#include <stddef.h>

bool filesystem_is_network(int fd)
{
	static const unsigned long types[] = {
		0x65735546, /* FUSE, virtiofs */
		0x6969,     /* NFS */
		0xff534d42, /* CIFS */
		0xfe534d42, /* SMB 2 */
		0x517b,     /* SMB */
		0x01021997, /* 9P */
		0x00c36400, /* Ceph */
		0x5346414f, /* AFS */
		0x6b414653, /* kAFS */
		0x73757245, /* Coda */
		0x01161970, /* GFS2 */
		0x7461636f, /* OCFS2 */
		0x0bd00bd0, /* Lustre */
		0x47504653, /* GPFS */
		0x19830326, /* BeeGFS */
		0x20030528, /* OrangeFS */
		0x786f4256, /* VirtualBox shared folders */
		0xbacbacbc, /* VMware shared folders */
	};
	unsigned long type = 0;

	if (sys_fstatfs_type(fd, &type) < 0)
		return true; /* cannot tell */
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (types[i] == type)
			return true;
	return false;
}

#define OVERLAYFS 0x794c7630UL

bool filesystem_renumbers(int fd)
{
	unsigned long type = 0;

	if (filesystem_is_network(fd))
		return true;
	return sys_fstatfs_type(fd, &type) < 0 || type == OVERLAYFS;
}

bool filesystem_reads_at_once(int fd)
{
	/* those whose reads take no lock of the inode; XFS and NFS do, others are not known */
	static const unsigned long types[] = {
		0xef53,     /* ext2, ext3, ext4 */
		0x9123683e, /* btrfs */
		0x01021994, /* tmpfs */
		0x858458f6, /* ramfs */
	};
	unsigned long type = 0;

	if (sys_fstatfs_type(fd, &type) < 0)
		return false;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (types[i] == type)
			return true;
	return false;
}
