#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Everything that CI asks of guard; the first thing that fails ends it. Weir is installed (weir, pkg-config weir).
set -eu
flags=$(pkg-config --cflags --libs weir cmocka)
run="-Wl,-rpath,$(pkg-config --variable=libdir weir)"

echo "== tests, with coverage"
weir cc --coverage guard.c -o guard.so
cc -g test_guard.c $flags $run -o test_guard
CMOCKA_MESSAGE_OUTPUT=xml CMOCKA_XML_FILE=results.xml ./test_guard
lcov -q --capture --directory . --include "$PWD/guard.c" --output-file guard.info
lcov --summary guard.info

echo "== the same with AddressSanitizer"
weir cc --sanitize=address guard.c -o guard.so
cc -g -fsanitize=address test_guard.c $flags $run -o test_guard
./test_guard

echo "== ten seconds of libFuzzer"
weir cc --cc=clang --sanitize=address,fuzzer guard.c -o guard_fuzz.so
clang -g -fsanitize=address,fuzzer fuzz_guard.c $flags $run -o fuzz_guard
mkdir -p corpus
./fuzz_guard -max_total_time=10 -max_len=64 -detect_leaks=0 -verbosity=0 corpus
