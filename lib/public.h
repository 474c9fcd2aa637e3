/* SPDX-License-Identifier: BSD-2-Clause */
/* public - the public header, its functions visible in an otherwise hidden library */
#ifndef PUBLIC_H
#define PUBLIC_H

#pragma GCC visibility push(default)
#include <lockfile-pid.h>
#pragma GCC visibility pop

#endif
