#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

# make_many_libraries.sh CC COUNT DIRECTORY PROGRAM: COUNT libraries of one function each and a program
# that calls them all and then touches as many pages of memory as its argument says.

set -eu
cc=$1 count=$2 directory=$3 program=$4
mkdir -p "$directory"
main=$directory/main.c
libraries=
cat > "$main" <<'EOF'
#include <stdlib.h>
#include <sys/mman.h>
static int TouchPages(long pages) {
  if (pages == 0) return 0;
  char *memory = mmap(0, pages * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return 1;
  madvise(memory, pages * 4096, MADV_NOHUGEPAGE);
  for (long page = 0; page < pages; ++page) memory[page * 4096] = 1;
  return 0;
}
EOF
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
echo "int main(int argc, char **argv) {" >> "$main"
echo "  return TouchPages(argc > 1 ? atol(argv[1]) : 0)$body; }" >> "$main"
# shellcheck disable=SC2086
"$cc" -O1 "$main" -L"$directory" $libraries -Wl,-rpath,"$directory" -o "$program"
