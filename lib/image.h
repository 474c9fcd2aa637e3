/* SPDX-License-Identifier: BSD-2-Clause */
/* image - which program image this process runs: execve(2) changes it, fork(2) does not */
#ifndef IMAGE_H
#define IMAGE_H

#include <stdint.h>

#define IMAGE_RANDOM_SIZE 16

/*
 * Returns a token of the image, the same for all copies of the library in it; 0:
 * unknown.
 */
uint32_t image_token(void);

/* The token that is made of these random bytes.  All zero, or NULL: 0. */
uint32_t image_hash(const unsigned char random[IMAGE_RANDOM_SIZE]);

#endif
