// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Needs the library with the slow constructors.

int SlowConstructorAnswer(void);

int main(void) { return SlowConstructorAnswer(); }
