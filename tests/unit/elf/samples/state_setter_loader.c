// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// A loader shaped as glibc's since 2.41: the state that debuggers see is set by a function. Never run.

struct debug {
  int version;
  void* map;
  unsigned long brk;
  int state;
};

__attribute__((visibility("protected"))) void _dl_debug_state(void) { __asm__ volatile(""); }

__attribute__((noipa)) static void change_state(struct debug* debug, int state) {
  debug->state = state;
  __asm__ volatile("jmp _dl_debug_state@PLT" : : "r"(debug), "r"(state) : "memory");
  __builtin_unreachable();
}

__attribute__((noipa)) static void work(volatile int* turns) {
  while (*turns > 0) --*turns;
}

// As dlopen and dlclose do.
void open_worker(struct debug* debug, int* turns) {
  work(turns);
  change_state(debug, 0);
  work(turns);
}
void close_worker(struct debug* debug, int* turns) {
  change_state(debug, 2);
  work(turns);
  change_state(debug, 0);
  work(turns);
}
void map_object(struct debug* debug, int* turns) {
  change_state(debug, 1);
  work(turns);
}

void dl_main(struct debug* debug, int* turns) {
  work(turns);
  change_state(debug, 1);
  work(turns);
  change_state(debug, 0);
  work(turns);
}
