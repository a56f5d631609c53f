#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs into an empty prefix and builds and runs the documented example against it, by pkg-config alone.
# usage: install.sh BUILD-DIR SOURCE-DIR SANITIZERS
set -eu
prefix=$(mktemp -d)
trap 'rm -rf "$prefix"' EXIT
DESTDIR=$prefix meson install -C "$1" --no-rebuild >"$prefix/log" 2>&1 || { cat "$prefix/log"; exit 1; }
root=$(dirname "$(dirname "$(find "$prefix" -name weir -type f -perm -u+x | head -n 1)")")
PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name weir.pc)")
PKG_CONFIG_SYSROOT_DIR=$prefix
export PKG_CONFIG_PATH
# Statically: the whole of it in the program.
flags=$(PKG_CONFIG_SYSROOT_DIR='' pkg-config --define-variable=prefix="$root" --cflags --libs --static weir)
sanitize=
[ "$3" = none ] || sanitize="-fsanitize=$3"
# shellcheck disable=SC2086
${CC:-cc} -Wall -Wextra -Werror $sanitize "$2/doc/examples/first_filter.c" $(echo " $flags" | sed 's/ -lweir/ -l:libweir.a/') \
    -o "$prefix/first_filter"
"$prefix/first_filter" | tee "$prefix/out"
grep -q '^filter [0-9]*, effective weight 0x80' "$prefix/out"
# With the shared library; it exports what is documented and nothing else.
flags=$(PKG_CONFIG_SYSROOT_DIR='' pkg-config --define-variable=prefix="$root" --cflags --libs weir)
# shellcheck disable=SC2086
${CC:-cc} -Wall -Wextra -Werror $sanitize "$2/doc/examples/first_filter.c" $flags -o "$prefix/first_filter"
library=$(find "$prefix" -name libweir.so.0)
LD_LIBRARY_PATH=$(dirname "$library") "$prefix/first_filter" | grep -q '^filter [0-9]*, effective weight 0x80'
readelf -d "$prefix/first_filter" | grep -q 'NEEDED.*libweir.so.0'
# It can be loaded late: what it has of thread-local memory fits into what every process keeps for that.
cat >"$prefix/late.c" <<'END'
#include <dlfcn.h>
#include <stdio.h>
int main(int argc, char **argv)
{
    void *library = dlopen(argv[argc - 1], RTLD_NOW);
    const char *(*error)(void) = library != NULL ? (const char *(*)(void))dlsym(library, "weir_error") : NULL;

    if (error == NULL || error()[0] != '\0') {
        puts(library == NULL ? dlerror() : "weir_error()");
        return 1;
    }
    return 0;
}
END
# shellcheck disable=SC2086
${CC:-cc} $sanitize "$prefix/late.c" -ldl -o "$prefix/late"
"$prefix/late" "$library"
nm -D --defined-only "$library" | awk '{print $3}' | sort >"$prefix/names"
grep -qx FwpsPendOperation0 "$prefix/names"
grep -qx KeInitializeSpinLock "$prefix/names"
grep -qx weir_create "$prefix/names"
if grep -E '^(engine|bfe|host|nt|ndis|loader|ledger|wire)_' "$prefix/names"; then exit 1; fi
"$root/bin/weir" --version
# A driver compiled by what is installed.
CC='' "$root/bin/weir" cc "$2/tests/idioms/wide.c" -o "$prefix/wide.so"
"$root/bin/weir" replay -q --driver "$prefix/wide.so" "$2/data/demo/demo.pcap"
