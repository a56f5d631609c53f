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
flags=$(PKG_CONFIG_SYSROOT_DIR='' pkg-config --define-variable=prefix="$root" --cflags --libs --static weir)
sanitize=
[ "$3" = none ] || sanitize="-fsanitize=$3"
# shellcheck disable=SC2086
${CC:-cc} -Wall -Wextra -Werror $sanitize "$2/doc/examples/first_filter.c" $flags -o "$prefix/first_filter"
"$prefix/first_filter" | tee "$prefix/out"
grep -q '^filter [0-9]*, effective weight 0x80' "$prefix/out"
"$root/bin/weir" --version
