/* SPDX-License-Identifier: Apache-2.0 */
/*
 * question: what a person asks about - a connection, an accept, a listen, a bind, a packet - turned into the
 * layers that Windows would ask, in the documented order (ORD), and a source for each of their fields.
 *
 * What the operation itself settles is known by construction: addresses given, their types, the direction,
 * the flag bits that follow. What nobody gave stays unknown, and is a variable; a thing that several layers
 * ask about is one variable. What an initial, plain classification ordinarily has (no IPsec, no
 * reauthorization) is taken so and listed in the notes.
 */
#ifndef WEIR_EXPLAIN_QUESTION_H
#define WEIR_EXPLAIN_QUESTION_H

#include "explain/problem.h"

enum explain_op { EXPLAIN_CONNECT, EXPLAIN_ACCEPT, EXPLAIN_LISTEN, EXPLAIN_BIND, EXPLAIN_PACKET };
enum explain_assume {
    EXPLAIN_ASSUME_DEFAULT, /* of Windows' own callouts what data/builtin_callouts.tsv says, else nothing */
    EXPLAIN_ASSUME_NONE,    /* nothing at all */
    EXPLAIN_ASSUME_PLAIN,   /* foreign callouts decide nothing; programs are ordinary users', no AppContainers
                             */
};

/* One end of a connection. */
struct explain_end {
    bool address_known, port_known;
    bool wildcard;       /* bound to no address: 0.0.0.0, ::, * in a bind or listen */
    bool maybe_wildcard; /* the address is known, but perhaps not bound to */
    FWP_VALUE0 address;
    UINT16 port;
};

/* --set FIELD=VALUE, or LAYER/FIELD=VALUE. */
struct explain_setting {
    const struct engine_layer *layer; /* NULL: wherever the field is */
    const char *field;
    const char *text;
    bool soft; /* said of the machine, not of a field: applies only where the field is indicated at all */
    bool used;
};

struct explain_question {
    enum explain_op op;
    char direction; /* packets: 'o', 'i', 'f' */
    UINT8 protocol;
    char family; /* '4' or '6' */
    struct explain_end local, remote;
    bool icmp_type_known, icmp_code_known;
    UINT8 icmp_type, icmp_code;
    const FWP_BYTE_BLOB *app;
    const struct explain_value *token; /* who runs the program; NULL: unknown */
    struct explain_setting *settings;
    uint32_t setting_count;
    enum explain_assume assume;
    struct explain_assumption *callouts; /* --callout */
    uint32_t callout_count;
};

/* A line for -v: what was taken for known though nobody gave it. */
struct explain_notes {
    const char **lines;
    uint32_t count, room;
};

/* line: in the problem's arena, or constant. A line that is there already is not added again. */
void explain_note(struct explain_problem *p, struct explain_notes *n, const char *line);

/*
 * Adds the question's steps and variables to a fresh problem. party: 0; or 1 to ask of the other end of a
 * connection whose first end was added before (addresses and ports are then the first end's, seen from here).
 * 0; -EINVAL: *error says what is wrong with the question; -ENOMEM.
 */
int explain_question_add(struct explain_problem *p, const struct explain_question *q, unsigned party,
                         struct explain_notes *notes, const char **error);

/* One classification at a layer with these values (NULL: unknown); fields are independent of each other. */
int explain_classify_add(struct explain_problem *p, const struct engine_layer *layer,
                         const struct explain_value *const *values);

/* What --assume plain knows of a program by its path. */
enum explain_subject explain_plain_subject(struct explain_arena *a, const FWP_BYTE_BLOB *app,
                                           const char **why);

const char *explain_op_name(enum explain_op op);

#endif
