/* SPDX-License-Identifier: BSD-2-Clause */
/* What the fuzz targets share.  Each is a promise that holds for any bytes. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* A false one ends the target; libFuzzer keeps the input that made it so. */
#define PROPERTY(condition) \
	((condition) ? (void)0 : property_failed(__FILE__, __LINE__, #condition))

void property_failed(const char *file, int line, const char *condition)
	__attribute__((__noreturn__));

/*
 * The bytes as text, in memory that ends where it does, so that the address
 * sanitizer sees the first byte that is read beyond it.  To be freed.
 */
char *fuzz_text(const uint8_t *data, size_t size);

/* The entries that libFuzzer calls. */
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
