// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Rust without std and without main: the ELF entry point writes a line and exits 0.

#![no_std]
#![no_main]

use core::arch::asm;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}

unsafe fn syscall3(number: usize, a: usize, b: usize, c: usize) -> usize {
    let result;
    asm!("syscall", inlateout("rax") number => result, in("rdi") a, in("rsi") b, in("rdx") c,
         out("rcx") _, out("r11") _);
    result
}

#[no_mangle]
pub unsafe extern "C" fn _start() -> ! {
    let text = b"hello\n";
    syscall3(1, 1, text.as_ptr() as usize, text.len());
    syscall3(231, 0, 0, 0);
    loop {}
}
