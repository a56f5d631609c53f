/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir cc: the run from options to an image.
 */
#include "loader/cc.h"

#include <stdio.h>

int loader_cc(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    fputs("weir: cc: not there yet\n", stderr);
    return 70;
}
