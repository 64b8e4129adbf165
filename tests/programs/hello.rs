// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Rust with std.

fn main() {
    println!("hello");
}
