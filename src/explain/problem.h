/* SPDX-License-Identifier: Apache-2.0 */
/*
 * problem: a question made finite. Steps (layers with a source for each field) and variables go in; out comes
 * a struct solve_problem over classes of values, and the way back from classes to values that the engine can
 * judge.
 *
 *   question.c / classify  --steps, variables-->  explain_problem_build()  --classes, sets-->  solve()
 *                                                                                              |
 *   engine_classify_naive()  <--  explain_world_judge()  <--  one class a variable  <----------+
 *
 * A variable is one unknown thing of the world: the program, the user, the remote address. Several fields can
 * hang on one thing (the app package follows from the user's token), so a class has a value for each of up to
 * EXPLAIN_SLOTS fields. A known thing is a variable with one class. A callout of another machine is a
 * variable whose classes are its answers. Classes are exact: two values are in one class only if no condition
 * of the filters in question, and no constraint, tells them apart.
 *
 * A problem holds a pin of its state's engine until explain_problem_end(). One thread.
 */
#ifndef WEIR_EXPLAIN_PROBLEM_H
#define WEIR_EXPLAIN_PROBLEM_H

#include "engine/engine.h"

#include "explain/solve.h"
#include "explain/state.h"
#include "explain/value.h"

#define EXPLAIN_SLOTS 5

/* What constraints need to know of a class, beside its values. */
#define TAG_LOOPBACK      0x0001u /* an address of 127/8, or ::1 */
#define TAG_MULTICAST     0x0002u
#define TAG_BROADCAST     0x0004u
#define TAG_SAME          0x0008u /* the address of the other end, which is known */
#define TAG_WILDCARD      0x0010u /* bound to no address */
#define TAG_BIND_LOOPBACK 0x0020u /* bound to a loopback address */
#define TAG_APPCONTAINER  0x0040u
#define TAG_FLAGS_SHIFT   8 /* flags variables: the value itself from this bit on */

struct explain_class {
    struct explain_value v[EXPLAIN_SLOTS];
    uint64_t tag;
};

struct explain_problem;
struct explain_var;

/* Adds candidate values (explain_candidate) for what the conditions can tell apart. 0, -ENOMEM, -E2BIG. */
typedef int explain_generate_fn(struct explain_problem *p, struct explain_var *v);

struct explain_var {
    const char *name; /* unique in the problem: "REMOTE_ADDRESS" */
    unsigned party;   /* 0: the end that the question is about; 1: the other end, in questions about both */
    unsigned rank;    /* what people would rather hear of: lower first */
    const struct engine_field *field[EXPLAIN_SLOTS]; /* NULL: the slot is not used */
    bool may_be_empty;
    bool callout; /* classes are enum solve_callout_class */
    GUID callout_key;
    bool given;                    /* by the person who asks, or known from the operation: one class */
    const char *why;               /* a known thing that nobody gave: why it is known; else NULL */
    explain_generate_fn *generate; /* NULL: the candidates are there already */
    const void *ctx;               /* the generator's */
    const struct explain_value *fixed[EXPLAIN_SLOTS]; /* --set: the slot has this value and no other */
    struct explain_class *classes; /* candidates while they are gathered, classes after build */
    uint32_t count, room;
    bool constrained; /* some constraint looks at its tags */
};

struct explain_source {
    uint32_t var;
    uint32_t slot;
};

struct explain_step {
    const struct engine_layer *layer;
    const char *stage; /* "bind", "connect", "SYN out" ... */
    unsigned party;
    struct explain_source *source; /* one a field of the layer */
    uint32_t filters;              /* in the layer */
};

/* Can these classes be true together? */
typedef bool explain_allowed_fn(const struct explain_class *a, const struct explain_class *b, uint64_t arg);

struct explain_constraint {
    uint32_t a, b;
    explain_allowed_fn *allowed;
    uint64_t arg;
};

/* A condition group of a filter that is still in question, on a variable. */
struct explain_use {
    uint32_t step, filter; /* filter: into the problem's kept filters */
    const struct engine_filter *engine_filter;
    UINT16 field;
    uint32_t var, slot;
    uint64_t *set; /* over the variable's classes, after build */
};

struct explain_kept {
    const struct engine_filter *filter;
    uint32_t step, sublayer, first_use, use_count;
    uint32_t callout; /* UINT32_MAX, or the variable */
};

struct explain_assumption {
    GUID callout;
    enum solve_callout_class answer;
    const char *why;
};

struct explain_problem {
    const struct explain_state *state;
    struct explain_arena arena;
    bool pinned;
    struct explain_var *vars;
    uint32_t var_count, var_room;
    struct explain_step *steps;
    uint32_t step_count, step_room;
    struct explain_constraint *constraints;
    uint32_t constraint_count, constraint_room;
    /* What foreign callouts answer: explicit ones first, then `others`, then Windows' own by
     * data/builtin_callouts.tsv (use_builtin); the rest is unknown. */
    struct explain_assumption *assumptions;
    uint32_t assumption_count;
    bool others_continue, use_builtin;
    /* made by build */
    struct explain_kept *kept;
    uint32_t kept_count, kept_room;
    struct explain_use *uses;
    uint32_t use_count, use_room;
    struct solve_problem solve;
};

int explain_problem_begin(const struct explain_state *state, struct explain_problem *p);
void explain_problem_end(struct explain_problem *p);

/* Each returns the index, or UINT32_MAX when there is no memory (p->arena.failed). */
uint32_t explain_add_var(struct explain_problem *p, const struct explain_var *v);
uint32_t explain_find_var(const struct explain_problem *p, const char *name); /* UINT32_MAX: none */
uint32_t explain_add_step(struct explain_problem *p, const struct engine_layer *layer, const char *stage,
                          unsigned party);
void explain_add_constraint(struct explain_problem *p, uint32_t a, uint32_t b, explain_allowed_fn *allowed,
                            uint64_t arg);

/* What the callout is taken to answer, and why. False: nothing is known of it; *why then says why not, if it is one of
 * Windows' own, and is left alone otherwise. */
bool explain_assumed_answer(const struct explain_problem *p, const GUID *key,
                            enum solve_callout_class *answer, const char **why);

/* For generators: a candidate for the variable; equal ones are merged by build, the first one is kept. */
struct explain_class *explain_candidate(struct explain_problem *p, struct explain_var *v);

/* Makes classes and sets of everything added. 0; -ENOMEM; -E2BIG (too many classes: say which with *what). */
int explain_problem_build(struct explain_problem *p, const char **what);

/* ---- generators (classes.c, tokens.c) -------------------------------------------------------- */

/* By the data type of slot 0. ctx: NULL, or the struct explain_values of preferred values. */
explain_generate_fn explain_generate_values;
/* Slot 0: tokens. For remote users and machines, and for classify. */
explain_generate_fn explain_generate_tokens;
/* Slots: 0 user token, 1 app package, 2 package family; one token decides all three. ctx: struct
 * explain_subject_ctx. */
explain_generate_fn explain_generate_subject;

enum explain_subject {
    SUBJECT_ANY,
    SUBJECT_ORDINARY, /* an ordinary user's program, no AppContainer */
    SUBJECT_SYSTEM,   /* the kernel */
    SUBJECT_PROGRAM,  /* anybody's, but no AppContainer */
};

struct explain_subject_ctx {
    enum explain_subject kind;
    const SID *package; /* not NULL: an AppContainer of this package */
};

struct explain_values {
    const FWP_VALUE0 *first; /* tried before any other, so that they stand for their classes */
    uint32_t count;
    const UINT8 *cuts; /* of 16 bytes each, big-endian: further borders between classes */
    uint32_t cut_count;
};

/* The distinct values that conditions on these slots (a bit set; all of one data type) can tell apart. *out
 * in the arena. 0, -ENOMEM, -E2BIG. */
int explain_slot_values(struct explain_problem *p, const struct explain_var *v, unsigned slots,
                        const struct explain_values *preferred, const struct explain_value **out,
                        uint32_t *count);
/* Does any filter in question test this slot? */
bool explain_slot_tested(const struct explain_problem *p, const struct explain_var *v, uint32_t slot);

#endif
