/* SPDX-License-Identifier: BSD-2-Clause */
/* The lock of another library, which the program is linked with. */
#ifndef INTERPLAY_H
#define INTERPLAY_H

/* Without waiting, where the library can.  Negative: kept out. */
int interplay_take(const char *path);
int interplay_release(const char *path);

#endif /* INTERPLAY_H */
