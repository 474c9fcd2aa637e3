/* SPDX-License-Identifier: BSD-2-Clause */
/* The attribute of a lock file, which any owner of the file may write. */
#include <config.h>

#include "fuzz.h"
#include "record.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

/* As it is on the disk, field by field. */
struct __attribute__((packed)) layout {
	uint16_t version;
	uint16_t flags;
	uint32_t pid;
	uint64_t nonce;
	unsigned char boot[BOOT_ID_SIZE];
	uint64_t inode;
	uint32_t pid_namespace;
	uint32_t time_namespace;
	uint64_t start;
	uint64_t pidfd_inode;
	uint32_t image;
};
_Static_assert(sizeof(struct layout) == RECORD_SIZE, "the layout has no holes");

static void assert_says(const struct record *record, const struct layout *layout)
{
	PROPERTY(record->owner.pid == (pid_t)le32toh(layout->pid));
	PROPERTY(record->owner.pid_namespace == le32toh(layout->pid_namespace));
	PROPERTY(record->owner.time_namespace == le32toh(layout->time_namespace));
	PROPERTY(record->owner.start == le64toh(layout->start));
	PROPERTY(record->owner.pidfd_inode == le64toh(layout->pidfd_inode));
	PROPERTY(memcmp(record->owner.boot, layout->boot, BOOT_ID_SIZE) == 0);
	PROPERTY(record->inode == le64toh(layout->inode));
	PROPERTY(record->owner.image == le32toh(layout->image));
	PROPERTY(record->nonce == le64toh(layout->nonce));
	PROPERTY(record->inheritable == ((le16toh(layout->flags) & 1) != 0));
	PROPERTY(record->let_go == ((le16toh(layout->flags) & 2) != 0));
	PROPERTY(record->for_owner == ((le16toh(layout->flags) & 4) != 0));
}

/* Unknown flags are dropped; all else is written back as it was read. */
static void assert_packs_into(const struct record *record, struct layout layout)
{
	unsigned char packed[RECORD_SIZE];

	layout.flags &= htole16(7);
	record_pack(record, packed);
	PROPERTY(memcmp(packed, &layout, RECORD_SIZE) == 0);
}

static bool is_valid(const struct layout *layout)
{
	return le16toh(layout->version) == 1 && le32toh(layout->pid) >= 1 &&
	       le32toh(layout->pid) <= RECORD_PID_MAX;
}

/* What is refused leaves no trace. */
static void assert_refused(const uint8_t *data, size_t size)
{
	struct record record, before;

	memset(&record, 0xa5, sizeof(record));
	memset(&before, 0xa5, sizeof(before));
	PROPERTY(!record_unpack(data, size, &record));
	PROPERTY(memcmp(&record, &before, sizeof(record)) == 0);
}

/* From memory that ends where it does. */
static void check_shorter(const uint8_t *data, size_t size)
{
	uint8_t *cut = malloc(size > 0 ? size : 1);

	if (!cut)
		abort();
	if (size > 0)
		memcpy(cut, data, size);
	assert_refused(cut, size);
	free(cut);
}

static void check_any(const uint8_t *data, size_t size, const struct layout *layout)
{
	struct record record;

	if (!is_valid(layout)) {
		assert_refused(data, size);
		return;
	}
	memset(&record, 0xa5, sizeof(record));
	PROPERTY(record_unpack(data, size, &record));
	assert_says(&record, layout);
	assert_packs_into(&record, *layout);
}

/* With any version and any PID but these two it would be refused. */
static void check_valid(struct layout layout)
{
	layout.version = htole16(1);
	layout.pid = htole32(1 + le32toh(layout.pid) % RECORD_PID_MAX);
	check_any((const uint8_t *)&layout, sizeof(layout), &layout);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct layout layout = { .version = 0 };

	if (size > 0)
		memcpy(&layout, data, size < sizeof(layout) ? size : sizeof(layout));
	check_valid(layout);
	layout.version = htole16(1);
	check_shorter((const uint8_t *)&layout, size < RECORD_SIZE ? size : RECORD_SIZE - 1);
	if (size < RECORD_SIZE) {
		check_shorter(data, size);
		return 0;
	}
	memcpy(&layout, data, sizeof(layout));
	check_any(data, size, &layout);
	return 0;
}
