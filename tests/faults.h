/* SPDX-License-Identifier: BSD-2-Clause */
/* faults - what each call of the seam (lib/sys.h) can say when it fails */
#ifndef FAULTS_H
#define FAULTS_H

#include <limits.h>

#define FAULTS_END INT_MAX
#define FAULTS_MAX 24

struct faults {
	const char *call;  /* as in lib/sys.h, without "sys_" */
	const char *page;  /* the manual page that has them */
	const char *never; /* it cannot fail, for this reason */

	/* Results; these lists end with FAULTS_END, or are empty. */
	const int *failures; /* it was not done, and that is so */
	const int *answers;  /* it was not, for that is how things are */
	const int *shorts;   /* so many bytes, of those that were asked for; */
	int shorts_answer;   /* that is an answer: there are no more */
	int made;            /* it was done all the same */
	int libc;            /* not of lib/sys.h, see memory.h */
};

extern const struct faults faults[];
extern const int faults_count;

/* NULL: there is no such row. */
const struct faults *faults_of(const char *call);

#endif
