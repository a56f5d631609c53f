/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The context switch on x86-64, System V ABI: rbx, rbp, r12-r15, the stack pointer, and the control words of
 * SSE and x87. See switch.h.
 *
 * The saved stack, upwards from rt_place.sp:
 *   0 mxcsr (4), x87 control word (2)   8 r15   16 r14   24 r13   32 r12   40 rbx   48 rbp   56 return address
 *
 * No note says that this file keeps a shadow stack, so a linker leaves that off for the whole program.
 */
#include "switch.h"

#if defined(__x86_64__) && defined(RT_SWITCH_OWN)
    .text
    .p2align 4
    .globl rt_place_switch
    .hidden rt_place_switch
    .type rt_place_switch, @function
rt_place_switch: /* (from: rdi, to: rsi) */
    .cfi_startproc
    pushq %rbp
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %rbp, 0
    pushq %rbx
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %rbx, 0
    pushq %r12
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %r12, 0
    pushq %r13
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %r13, 0
    pushq %r14
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %r14, 0
    pushq %r15
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %r15, 0
    subq $8, %rsp
    .cfi_adjust_cfa_offset 8
    stmxcsr (%rsp)
    fnstcw 4(%rsp)
    movq %rsp, (%rdi)
    movq (%rsi), %rsp
    ldmxcsr (%rsp)
    fldcw 4(%rsp)
    addq $8, %rsp
    .cfi_adjust_cfa_offset -8
    popq %r15
    .cfi_adjust_cfa_offset -8
    .cfi_restore %r15
    popq %r14
    .cfi_adjust_cfa_offset -8
    .cfi_restore %r14
    popq %r13
    .cfi_adjust_cfa_offset -8
    .cfi_restore %r13
    popq %r12
    .cfi_adjust_cfa_offset -8
    .cfi_restore %r12
    popq %rbx
    .cfi_adjust_cfa_offset -8
    .cfi_restore %rbx
    popq %rbp
    .cfi_adjust_cfa_offset -8
    .cfi_restore %rbp
    /* A jump, not a return: the processor's own stack of return addresses is the other fiber's. */
    popq %rcx
    .cfi_adjust_cfa_offset -8
    .cfi_register %rip, %rcx
    jmp *%rcx
    .cfi_endproc
    .size rt_place_switch, . - rt_place_switch

    .p2align 4
    .globl rt_place_begin
    .hidden rt_place_begin
    .type rt_place_begin, @function
rt_place_begin: /* where a new fiber's first switch goes: entry in r12, arg in r13. The outermost frame. */
    .cfi_startproc
    .cfi_undefined %rip
    movq %r13, %rdi
    xorl %ebp, %ebp
    callq *%r12
    ud2
    .cfi_endproc
    .size rt_place_begin, . - rt_place_begin
#endif

    .section .note.GNU-stack, "", %progbits
