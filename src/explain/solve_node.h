/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node of the search of solve.c, as solve.c and solve_node.c share it. A node is a set of domains, one bit
 * a class, in the order of the variables (`words` words), and the filters ruled out on the way to it.
 */
#ifndef WEIR_EXPLAIN_SOLVE_NODE_H
#define WEIR_EXPLAIN_SOLVE_NODE_H

#include "explain/solve.h"

/* The running state of arbitration (ARB-06): what was decided, and whether WRITE is still set. */
enum state { ST_NONE, ST_SOFT_PERMIT, ST_HARD_PERMIT, ST_SOFT_BLOCK, ST_HARD_BLOCK, ST_COUNT };
#define BLOCKED ((1u << ST_SOFT_BLOCK) | (1u << ST_HARD_BLOCK))

/* What a matching filter can say. */
enum said {
    SAID_CONTINUE,
    SAID_PERMIT,
    SAID_HARD_PERMIT,
    SAID_BLOCK,
    SAID_CALLOUT_PERMIT,
    SAID_CALLOUT_HARD_PERMIT,
    SAID_CALLOUT_BLOCK,
    SAID_COUNT
};
#define SAYS_BLOCK  ((1u << SAID_BLOCK) | (1u << SAID_CALLOUT_BLOCK))
#define SAYS_PERMIT (((1u << SAID_COUNT) - 1) & ~SAYS_BLOCK & ~(1u << SAID_CONTINUE))

/* What an answer makes of a state; `ends`: the sublayer asks no further filter. */
struct transition {
    uint8_t next;
    bool ends;
};

enum match { MATCH_NO, MATCH_MAYBE, MATCH_YES };

struct search {
    const struct solve_problem *p;
    struct solve_budget *budget;
    enum solve_goal goal;
    uint32_t step;
    struct transition table[ST_COUNT][SAID_COUNT];
    uint8_t *ruled_out; /* per filter: it is a clause */
    uint32_t *clauses;  /* the filters ruled out, as a stack */
    uint32_t clause_count;
    uint64_t *stack;                        /* domains of the nodes on the path */
    size_t stack_nodes, stack_room, stride; /* words a node */
    uint32_t *classes;                      /* out */
};

enum judgement { JUDGED_IMPOSSIBLE, JUDGED_OPEN, JUDGED_CERTAIN };

void node_tabulate(struct transition table[ST_COUNT][SAID_COUNT]);

/* Does a class of this domain lie in the set: all, some, none? */
enum match node_literal_match(const uint64_t *dom, const uint64_t *set, uint32_t words);
enum match node_filter_match(const struct search *s, const uint64_t *node, uint32_t f);
/* What the filter can say if it matches, as SAID_* bits; SAID_CONTINUE: it lets the sublayer go on. */
unsigned node_filter_answers(const struct search *s, const uint64_t *node, uint32_t f);
/* The states (bits of enum state) that a sublayer can leave behind when entered in one of `states`. */
unsigned node_leave(const struct search *s, const uint64_t *node, const struct solve_sublayer *sub,
                    unsigned states);
/* As far as the goal goes; *open is the first step that is not certain. */
enum judgement node_judge(const struct search *s, const uint64_t *node, uint32_t *open);

/* Narrows a domain to a set (or to what is outside it). False: nothing is left. */
bool node_narrow(const struct search *s, uint64_t *node, uint32_t var, const uint64_t *set, bool inside,
                 bool *changed);
/* All that follows from clauses and constraints. False: the node is impossible. */
bool node_propagate(const struct search *s, uint64_t *node);

#endif
