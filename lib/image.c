/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel gives each image that it executes 16 random bytes (getauxval(3),
 * AT_RANDOM).  The C library makes the stack canary of them, so they must not be
 * written to a file that everybody may read.  The token is a keyed hash with these
 * bytes as the key (SipHash-2-4: Aumasson, Bernstein 2012), of a constant, cut to 32
 * bits: it tells nothing of the key.
 *
 * They are read once, when the library is loaded: the Go runtime overwrites them with
 * zeros later.
 */
#include <config.h>

#include "image.h"

#include <stddef.h>
#include <sys/auxv.h>

static uint32_t token;

static uint64_t load(const unsigned char *bytes)
{
	uint64_t value = 0;

	for (int i = 7; i >= 0; i--)
		value = value << 8 | bytes[i];
	return value;
}

static uint64_t rotate(uint64_t value, int bits)
{
	return value << bits | value >> (64 - bits);
}

static void sip_rounds(uint64_t v[4], int rounds)
{
	while (rounds-- > 0) {
		v[0] += v[1];
		v[2] += v[3];
		v[1] = rotate(v[1], 13) ^ v[0];
		v[3] = rotate(v[3], 16) ^ v[2];
		v[0] = rotate(v[0], 32) + v[3];
		v[2] += v[1];
		v[3] = rotate(v[3], 21) ^ v[0];
		v[1] = rotate(v[1], 17) ^ v[2];
		v[2] = rotate(v[2], 32);
	}
}

/* The hash of no bytes at all: its one block is the length, 0. */
static uint64_t hash(uint64_t key0, uint64_t key1)
{
	uint64_t v[4] = {
		key0 ^ 0x736f6d6570736575,
		key1 ^ 0x646f72616e646f6d,
		key0 ^ 0x6c7967656e657261,
		key1 ^ 0x7465646279746573,
	};

	sip_rounds(v, 2);
	v[2] ^= 0xff;
	sip_rounds(v, 4);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint32_t image_hash(const unsigned char random[IMAGE_RANDOM_SIZE])
{
	uint64_t key0, key1;
	uint32_t r;

	if (!random)
		return 0;
	key0 = load(random);
	key1 = load(random + 8);
	if (key0 == 0 && key1 == 0)
		return 0;
	r = (uint32_t)hash(key0, key1);
	return r ? r : 1;
}

__attribute__((constructor)) static void take_token(void)
{
	token = image_hash((const unsigned char *)getauxval(AT_RANDOM));
}

uint32_t image_token(void)
{
	return token;
}
