// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// A C program that has Rust code, with all of its standard library, linked in.

int rust_work(int n);

int main(int argc, char** argv) { return rust_work(argc); }
