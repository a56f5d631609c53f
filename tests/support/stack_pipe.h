/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stack_pipe: two stacks and what is between them: a wire that delays, and as told loses, repeats, reorders and corrupts,
 * all by the seed. End 0 is 10.0.0.1 and fd00::1, end 1 10.0.0.2 and fd00::2.
 *
 *   stack 0 --send()--> wire: a queue by time --pipe_step()--> stack_input() of stack 1
 *
 * Time is the lab's; it moves to the next packet or deadline.
 */
#ifndef STACK_PIPE_H
#define STACK_PIPE_H

#include <stdio.h>

#include "stack/stack.h"

#define PIPE_MS 1000000ull
#define PIPE_S  1000000000ull

struct pipe;
struct pipe_packet {
    struct pipe_packet *next;
    uint64_t at, number;
    uint32_t to, size;
    uint8_t bytes[];
};

struct pipe_chaos { /* in 1000 */
    unsigned lose, repeat, reorder, corrupt;
    uint64_t delay, reorder_by; /* 0: 1 ms; 20 ms */
};

struct pipe_end {
    struct pipe *pipe;
    struct stack *stack;
    uint32_t index;
    unsigned events[4];
    enum stack_sent answer;      /* to what begins; others are STACK_SENT */
    struct stack_socket *begins; /* whose the last one was that did */
    unsigned begun;
    /* Further to the lab's own; may be NULL. */
    void (*told)(struct pipe_end *e, struct stack_socket *s, enum stack_event what);
    /* Looks at what leaves; false: it is lost. May be NULL. */
    bool (*passes)(struct pipe_end *e, const struct stack_packet *p);
    void *ctx;
};

struct pipe {
    struct pipe_end end[2];
    struct pipe_chaos chaos;
    struct pipe_packet *queue;
    uint64_t now, random, number;
    unsigned carried, lost;
    bool cut;               /* nothing passes */
    FILE *capture;          /* pcap in nanoseconds, raw IP; NULL: none. What leaves, before the wire has it */
    uint64_t capture_ahead; /* is added to the time there */
};

/* config: NULL: all defaults; seed and what the lab needs are filled in. */
void pipe_open(struct pipe *l, uint64_t seed, const struct stack_config *config0,
               const struct stack_config *config1);
void pipe_close(struct pipe *l);
uint32_t pipe_random(struct pipe *l, uint32_t below);
/* To the next packet or deadline, not past `until`. False: nothing happens by then; it is `until`. */
bool pipe_step(struct pipe *l, uint64_t until);
void pipe_run(struct pipe *l, uint64_t ns);
/* Until it says so, at most so long; whether it did. */
bool pipe_until(struct pipe *l, bool (*reached)(void *ctx), void *ctx, uint64_t ns);
union wire_addr pipe_address(uint8_t version, unsigned end);
struct stack_socket *pipe_socket(struct pipe *l, unsigned end, uint8_t version, uint8_t protocol);
/* Both ends of a new connection to that port of end 1. */
void pipe_connect(struct pipe *l, uint8_t version, uint16_t port, struct stack_socket *out[2]);
bool pipe_has_state(struct pipe *l, struct stack_socket *s, enum stack_state state, uint64_t ns);

#endif
