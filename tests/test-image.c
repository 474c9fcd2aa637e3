/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "common.h"
#include "image.h"

#include <string.h>
#include <sys/auxv.h>

/* The test vector of the authors for no input: key 00 01 02 ... 0f. */
TEST(hash_is_siphash)
{
	unsigned char random[IMAGE_RANDOM_SIZE];

	for (int i = 0; i < IMAGE_RANDOM_SIZE; i++)
		random[i] = (unsigned char)i;
	ck_assert_uint_eq(image_hash(random), 0x726fdb47dd0e0e31U & UINT32_MAX);
}

TEST(each_random_byte_counts)
{
	unsigned char random[IMAGE_RANDOM_SIZE];
	uint32_t before;

	memset(random, 0x5a, sizeof(random));
	before = image_hash(random);
	for (int i = 0; i < IMAGE_RANDOM_SIZE; i++) {
		random[i] ^= 1;
		ck_assert_uint_ne(image_hash(random), before);
		random[i] ^= 1;
	}
	ck_assert_uint_eq(image_hash(random), before);
}

TEST(image_without_random_bytes_is_unknown)
{
	unsigned char random[IMAGE_RANDOM_SIZE] = { 0 };

	ck_assert_uint_eq(image_hash(NULL), 0);
	ck_assert_uint_eq(image_hash(random), 0);
	random[IMAGE_RANDOM_SIZE - 1] = 1;
	ck_assert_uint_ne(image_hash(random), 0);
}

/* 0 says that the image is unknown.  A search found this key, whose hash ends in 32 bits of 0. */
TEST(hash_of_zero_is_one)
{
	unsigned char random[IMAGE_RANDOM_SIZE] = { 0xb0, 0xc7, 0xe2, 0x55 };

	ck_assert_uint_eq(image_hash(random), 1);
}

TEST(token_is_the_hash_of_the_bytes_of_this_image)
{
	const unsigned char *random = (const unsigned char *)getauxval(AT_RANDOM);

	ck_assert_uint_eq(image_token(), image_hash(random));
}

/* They are the stack canary: no part of them may be told. */
TEST(token_is_no_part_of_the_bytes)
{
	const unsigned char *random = (const unsigned char *)getauxval(AT_RANDOM);
	uint32_t token = image_token();

	if (!random)
		SKIP("there are no random bytes here");
	for (int i = 0; i + (int)sizeof(token) <= IMAGE_RANDOM_SIZE; i++)
		ck_assert(memcmp(random + i, &token, sizeof(token)) != 0);
}
