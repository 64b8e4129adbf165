// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Something of everything that a linker can be asked for: relocations of every kind, functions
// before main, thread-local storage. As a program and, with LINKED_LIBRARY, as a library.

#include <cstdio>
#include <cstdlib>

extern char** environ;

namespace {

thread_local int counted = 7;
int order = 0;

struct Started {
  Started() { order += counted; }
  ~Started() { order = 0; }
};
Started started;

__attribute__((constructor)) void ConstructInC() { ++order; }
__attribute__((destructor)) void DestructInC() { --order; }

int Plain(int value) { return value + 1; }

}  // namespace

extern "C" {

thread_local long shared_count = 3;

int (*ResolveChosen())(int) { return order > 1000 ? nullptr : Plain; }
__attribute__((ifunc("ResolveChosen"))) int Chosen(int value);

__attribute__((constructor(65000))) void ExportedConstructor() { ++order; }

int* const pointers[] = {&order, &order, &order};
void* (*const functions[])(size_t) = {malloc, malloc};

int Use(int value) {
  ++shared_count;
  if (environ == nullptr || stdout == nullptr) return 0;
  return Chosen(value) + *pointers[value % 3] + (functions[value % 2] == nullptr ? 1 : 0);
}

}  // extern "C"

#ifdef LINKED_TEXT_RELOCATION
__asm__(".text\n.globl PointerInText\nPointerInText: .quad malloc\n");
#endif

#ifndef LINKED_LIBRARY
namespace {
void BeforeAll(int, char**, char**) { ++order; }
}  // namespace
__attribute__((section(".preinit_array"), used)) void (*const before_all)(int, char**,
                                                                          char**) = BeforeAll;

int main(int argc, char**) { return Use(argc) == 0 ? 1 : 0; }
#endif
