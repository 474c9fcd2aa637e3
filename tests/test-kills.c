/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * As test-orders.c, with one of the processes killed before any step of any; and
 * in random orders, with any number killed.  The others have the lock, one at a
 * time, a newcomer has it after them, and nothing is left.
 */
#include <config.h>

#include "common.h"
#include "scenes.h"

TEST_EACH_WITHIN(whoever_of_two_is_killed_the_other_has_it, scenes_of_two, SCENE_TIMEOUT_S)
{
	explore_kills(&scenes_of_two[_i]);
}

TEST_EACH_WITHIN(whoever_of_three_is_killed_the_others_have_it, scenes_of_three, SCENE_TIMEOUT_S)
{
	explore_kills(&scenes_of_three[_i]);
}

TEST_EACH_WITHIN(two_in_random_orders_with_kills, scenes_of_two, SCENE_TIMEOUT_S)
{
	explore_random(&scenes_of_two[_i]);
}

TEST_EACH_WITHIN(three_in_random_orders_with_kills, scenes_of_three, SCENE_TIMEOUT_S)
{
	explore_random(&scenes_of_three[_i]);
}
