/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir cc: compiles and links a driver. All of it is the loader's (loader/cc.h).
 */
#include "cli/cli.h"
#include "loader/cc.h"

int cmd_cc(int argc, char **argv)
{
    return loader_cc(argc, argv);
}
