/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir cc: a compiler driver for drivers. Part of the loader room's door.
 *
 *   a.c --scan includes (overlay)--> cc -E --> rewrite (a.i) --> cc -c --> a.o --+--> link against the
 * imports: who lacks what
 *                                                                                +--> link: driver.so
 *
 * Everything temporary stands in one folder, which goes at the end in any case.
 */
#ifndef WEIR_LOADER_CC_H
#define WEIR_LOADER_CC_H

/* argv[0] is "cc". The exit status: 0; 1: the compiler or the linker refused (their own text); 64 wrong
 * usage; 66 a file is missing; 70, 71. */
int loader_cc(int argc, char **argv);

#endif
