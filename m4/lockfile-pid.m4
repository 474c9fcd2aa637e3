dnl SPDX-License-Identifier: BSD-2-Clause

dnl LP_ARG_ENABLE(NAME, HELP)
dnl --enable-NAME, yes or no and nothing else; sets enable_NAME
AC_DEFUN([LP_ARG_ENABLE], [
AC_ARG_ENABLE([$1], [AS_HELP_STRING([--enable-$1], [$2])], [], [enable_$1=no])
AS_CASE([$enable_$1], [yes|no], [],
	[AC_MSG_ERROR([--enable-$1 is yes or no, not "$enable_$1"])])
])

dnl LP_ARG_SANITIZERS
dnl --enable-sanitizers[=LIST]; sets enable_sanitizers to the list, or to no
AC_DEFUN([LP_ARG_SANITIZERS], [
AC_ARG_ENABLE([sanitizers],
	[AS_HELP_STRING([--enable-sanitizers@<:@=LIST@:>@],
		[build with sanitizers: address, undefined or both (default both), or thread])],
	[], [enable_sanitizers=no])
AS_CASE([$enable_sanitizers],
	[yes], [enable_sanitizers=address,undefined],
	[no|address|undefined|address,undefined|undefined,address|thread], [],
	[AC_MSG_ERROR([--enable-sanitizers knows address and undefined, or thread, not "$enable_sanitizers"])])
])

dnl LP_COMPILE_FLAGS(VARIABLE, FLAG FLAG...)
dnl appends to VARIABLE each flag that the compiler takes without a word
AC_DEFUN([LP_COMPILE_FLAGS], [_LP_FLAGS([$1], [CFLAGS], [AC_COMPILE_IFELSE], [$2])])

dnl LP_LINK_FLAGS(VARIABLE, FLAG FLAG...)
dnl the same for the linker
AC_DEFUN([LP_LINK_FLAGS], [_LP_FLAGS([$1], [LDFLAGS], [AC_LINK_IFELSE], [$2])])

dnl LP_WHOLE_LIBRARY
dnl lets the linker compile the library at once, where compiler and linker can, and
dnl their objects are complete without that too: appends to LP_LIB_CFLAGS and
dnl LP_LIB_LDFLAGS, and sets LP_PARTS_LDFLAGS for what is to be linked of the parts
AC_DEFUN([LP_WHOLE_LIBRARY], [
AC_MSG_CHECKING([whether $CC compiles a library as a whole])
lp_saved=$CFLAGS
CFLAGS="$CFLAGS -Werror -flto -ffat-lto-objects -flto-partition=one"
AC_LINK_IFELSE([AC_LANG_SOURCE([[int main(void) { return 0; }]])], [
	AS_VAR_APPEND([LP_LIB_CFLAGS], [" -flto -ffat-lto-objects"])
	AS_VAR_APPEND([LP_LIB_LDFLAGS], [" -flto -flto-partition=one"])
	LP_PARTS_LDFLAGS=-fno-lto
	lp_taken=yes
], [lp_taken=no])
CFLAGS=$lp_saved
AC_MSG_RESULT([$lp_taken])
])

AC_DEFUN([_LP_FLAGS], [
for lp_flag in m4_normalize([$4]); do
	AC_MSG_CHECKING([whether $CC takes $lp_flag])
	lp_saved=$$2
	$2="$$2 -Werror $lp_flag"
	$3([AC_LANG_SOURCE([[int main(void) { return 0; }]])],
		[AS_VAR_APPEND([$1], [" $lp_flag"]); lp_taken=yes], [lp_taken=no])
	$2=$lp_saved
	AC_MSG_RESULT([$lp_taken])
done
])
