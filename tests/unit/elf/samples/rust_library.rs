// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Starts a thread, so that std's thread start-up is linked in: it looks much like that of a program.

#[no_mangle]
pub extern "C" fn rust_work(n: i32) -> i32 {
    std::thread::spawn(move || n - 1).join().unwrap()
}
