#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

# make_many_libraries.sh CC COUNT DIRECTORY PROGRAM: COUNT libraries of one function each and a program
# that calls them all.

set -eu
cc=$1 count=$2 directory=$3 program=$4
mkdir -p "$directory"
main=$directory/main.c
libraries=
: > "$main"
body=
i=0
while [ "$i" -lt "$count" ]; do
  echo "int Function$i(void) { return 0; }" > "$directory/many$i.c"
  "$cc" -O1 -shared -fPIC "$directory/many$i.c" -o "$directory/libmany$i.so"
  echo "int Function$i(void);" >> "$main"
  body="$body + Function$i()"
  libraries="$libraries -lmany$i"
  i=$((i + 1))
done
echo "int main(void) { return 0$body; }" >> "$main"
# shellcheck disable=SC2086
"$cc" -O1 "$main" -L"$directory" $libraries -Wl,-rpath,"$directory" -o "$program"
