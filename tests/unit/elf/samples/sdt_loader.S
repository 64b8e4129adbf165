# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The startscope authors

# A loader with the static probes that glibc has when it is built with them. Never run. The notes claim
# to be from before the file was moved by 0x1000 (as by prelink): .stapsdt.base tells.

	.text
	.globl	_start
	.type	_start, @function
_start:
	.cfi_startproc
	mov	%rsp, %rdi
	call	dl_main
	hlt
	.cfi_endproc

	.globl	dl_main
	.type	dl_main, @function
dl_main:
	.cfi_startproc
	mov	%rdi, %rax
	.globl	at_init_start
at_init_start:
	nop
	mov	%rax, %rdx
	.globl	at_init_complete
at_init_complete:
	nop
	ret
	.cfi_endproc

	.globl	_dl_debug_state
	.type	_dl_debug_state, @function
_dl_debug_state:
	ret

	.macro	probe name, at
	.section .note.stapsdt, "", "note"
	.balign	4
	.4byte	8, 992f - 991f, 3
	.asciz	"stapsdt"
991:	.8byte	\at - 0x1000
	.8byte	_.stapsdt.base - 0x1000
	.8byte	0
	.asciz	"rtld"
	.asciz	"\name"
	.asciz	""
992:	.balign	4
	.endm

	probe	map_start, dl_main
	probe	init_start, at_init_start
	probe	init_complete, at_init_complete

	.section .stapsdt.base, "aG", "progbits", .stapsdt.base, comdat
	.globl	_.stapsdt.base
_.stapsdt.base:
	.space	1
	.section .note.GNU-stack, "", @progbits
