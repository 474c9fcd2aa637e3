/* SPDX-License-Identifier: BSD-2-Clause */
/* scenes - what two or three processes do with one lock, see explore.h */
#ifndef SCENES_H
#define SCENES_H

#include "explore.h"

extern const struct scene scenes_of_two[30];
extern const struct scene scenes_of_three[17];

/* All schedules of a scene: it does not end. */
#define SCENE_TIMEOUT_S 3600

#endif
