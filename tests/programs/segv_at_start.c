// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Touches an address that is not mapped, before main.

__attribute__((constructor)) static void Touch(void) { *(volatile int *)8 = 1; }

int main(void) { return 0; }
