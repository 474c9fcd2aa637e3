/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * user - what two users do who have no power over each other; needs root
 */
#ifndef USER_H
#define USER_H

#include "common.h"

#define ATTACKER 65533
#define VICTIM   65534

/* Does it as that user, in a child that ends; in there REQUIRE() is for assertions (world.h). */
void as_user(uid_t user, void (*f)(const char *), const char *argument);

/*
 * The same in a child that lives until it is killed (kill_child()).  Returns
 * when it has said that it is ready.
 */
pid_t start_as_user(uid_t user, void (*f)(const char *), const char *argument);
void user_is_ready(void);

struct holder holder_of_user(uid_t user, const char *path);

/* Of whatever process of ours. */
int count_descriptors_of(pid_t pid);

#endif
