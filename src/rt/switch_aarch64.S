/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The context switch on aarch64, AAPCS64: x19-x30, d8-d15, the stack pointer, fpcr. See switch.h.
 *
 * The saved stack, upwards from rt_place.sp:
 *   0 x19 x20   16 x21 x22   32 x23 x24   48 x25 x26   64 x27 x28   80 x29 x30
 *   96 d8 d9   112 d10 d11   128 d12 d13   144 d14 d15   160 fpcr, nothing
 */
#include "switch.h"

#if defined(__aarch64__) && defined(RT_SWITCH_OWN)
    .text
    .p2align 4
    .globl rt_place_switch
    .hidden rt_place_switch
    .type rt_place_switch, %function
rt_place_switch: /* (from: x0, to: x1) */
    .cfi_startproc
    sub sp, sp, #176
    .cfi_adjust_cfa_offset 176
    stp x19, x20, [sp, #0]
    stp x21, x22, [sp, #16]
    stp x23, x24, [sp, #32]
    stp x25, x26, [sp, #48]
    stp x27, x28, [sp, #64]
    stp x29, x30, [sp, #80]
    .cfi_rel_offset x29, 80
    .cfi_rel_offset x30, 88
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
    mrs x9, fpcr
    str x9, [sp, #160]
    mov x9, sp
    str x9, [x0]
    ldr x9, [x1]
    mov sp, x9
    ldr x9, [sp, #160]
    msr fpcr, x9
    ldp x19, x20, [sp, #0]
    ldp x21, x22, [sp, #16]
    ldp x23, x24, [sp, #32]
    ldp x25, x26, [sp, #48]
    ldp x27, x28, [sp, #64]
    ldp x29, x30, [sp, #80]
    ldp d8, d9, [sp, #96]
    ldp d10, d11, [sp, #112]
    ldp d12, d13, [sp, #128]
    ldp d14, d15, [sp, #144]
    add sp, sp, #176
    .cfi_adjust_cfa_offset -176
    ret
    .cfi_endproc
    .size rt_place_switch, . - rt_place_switch

    .p2align 4
    .globl rt_place_begin
    .hidden rt_place_begin
    .type rt_place_begin, %function
rt_place_begin: /* where a new fiber's first switch goes: entry in x19, arg in x20. The outermost frame. */
    .cfi_startproc
    .cfi_undefined x30
    mov x0, x20
    mov x29, xzr
    mov x30, xzr
    blr x19
    brk #0
    .cfi_endproc
    .size rt_place_begin, . - rt_place_begin
#endif

    .section .note.GNU-stack, "", %progbits
