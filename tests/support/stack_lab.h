/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stack_lab: two stacks and what is between them: a wire that delays, and as told loses, repeats, reorders and corrupts,
 * all by the seed. End 0 is 10.0.0.1 and fd00::1, end 1 10.0.0.2 and fd00::2.
 *
 *   stack 0 --send()--> wire: a queue by time --lab_step()--> stack_input() of stack 1
 *
 * Time is the lab's; it moves to the next packet or deadline.
 */
#ifndef STACK_LAB_H
#define STACK_LAB_H

#include <stdio.h>

#include "stack/stack.h"

#define LAB_MS 1000000ull
#define LAB_S  1000000000ull

struct lab;
struct lab_packet {
    struct lab_packet *next;
    uint64_t at, number;
    uint32_t to, size;
    uint8_t bytes[];
};

struct lab_chaos { /* in 1000 */
    unsigned lose, repeat, reorder, corrupt;
    uint64_t delay, reorder_by; /* 0: 1 ms; 20 ms */
};

struct lab_end {
    struct lab *lab;
    struct stack *stack;
    uint32_t index;
    unsigned events[4];
    enum stack_sent answer;      /* to what begins; others are STACK_SENT */
    struct stack_socket *begins; /* whose the last one was that did */
    unsigned begun;
    /* Further to the lab's own; may be NULL. */
    void (*told)(struct lab_end *e, struct stack_socket *s, enum stack_event what);
    /* Looks at what leaves; false: it is lost. May be NULL. */
    bool (*passes)(struct lab_end *e, const struct stack_packet *p);
    void *ctx;
};

struct lab {
    struct lab_end end[2];
    struct lab_chaos chaos;
    struct lab_packet *queue;
    uint64_t now, random, number;
    unsigned carried, lost;
    bool cut; /* nothing passes */
    FILE *capture;
};

/* config: NULL: all defaults; seed and what the lab needs are filled in. */
void lab_open(struct lab *l, uint64_t seed, const struct stack_config *config0,
              const struct stack_config *config1);
void lab_close(struct lab *l);
uint32_t lab_random(struct lab *l, uint32_t below);
/* To the next packet or deadline, not past `until`. False: nothing happens by then; it is `until`. */
bool lab_step(struct lab *l, uint64_t until);
void lab_run(struct lab *l, uint64_t ns);
/* Until it says so, at most so long; whether it did. */
bool lab_until(struct lab *l, bool (*reached)(void *ctx), void *ctx, uint64_t ns);
union wire_addr lab_address(uint8_t version, unsigned end);
struct stack_socket *lab_socket(struct lab *l, unsigned end, uint8_t version, uint8_t protocol);
/* Both ends of a new connection to that port of end 1. */
void lab_connect(struct lab *l, uint8_t version, uint16_t port, struct stack_socket *out[2]);
bool lab_has_state(struct lab *l, struct stack_socket *s, enum stack_state state, uint64_t ns);

#endif
