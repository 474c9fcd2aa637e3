/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two processes and one lock, in every order of their system calls with
 * a few preemptions.  In each: one holder at a time, no result that is not in the
 * contract, an end, and nothing left behind.  See explore.h.
 */
#include <config.h>

#include "common.h"
#include "scenes.h"

TEST_EACH_WITHIN(one_at_a_time_holds_in_every_order, scenes_of_two, SCENE_TIMEOUT_S)
{
	explore_orders(&scenes_of_two[_i]);
}
