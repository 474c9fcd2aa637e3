/* SPDX-License-Identifier: BSD-2-Clause */
/* scenes - what two or three processes do with one lock, see explore.h */
#ifndef SCENES_H
#define SCENES_H

#include "explore.h"

#define SCENES 32

extern const struct scene scenes[SCENES];

/* All schedules of a scene: it does not end. */
#define SCENE_TIMEOUT_S 3600

#endif
