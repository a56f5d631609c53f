/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What question.c (which field is which thing) and things.c (the things as variables) share.
 */
#ifndef WEIR_EXPLAIN_BUILDER_H
#define WEIR_EXPLAIN_BUILDER_H

#include "explain/question.h"
#include "explain/walks.h"

struct builder {
    struct explain_problem *p;
    const struct explain_question *q;
    unsigned party;
    const struct explain_end *local, *remote; /* seen from this party */
    struct explain_notes *notes;
    const char **error;
    int err;
    /* where the current field stands */
    uint32_t step;
    const struct explain_walk_step *at;
    const struct engine_field *field;
};

/* A line for -v. */
void build_note(struct builder *b, const char *line);
/* Names of the second party's things are marked, so that they are variables of their own. */
const char *build_own_name(const struct builder *b, const char *name);
/* Variables: an index, or UINT32_MAX when there is no memory. One value, known: */
uint32_t build_known_var(struct builder *b, const char *name, const struct explain_value *value,
                         const char *why);
uint32_t build_known_number(struct builder *b, const char *name, UINT64 n, const char *why);
uint32_t build_known_empty(struct builder *b, const char *name, const char *why);
/* Nothing known; preferred may be NULL. */
uint32_t build_unknown_var(struct builder *b, const char *name, unsigned rank, bool may_be_empty,
                           const struct explain_values *preferred);
/* An ordinary number for what is unknown, so that examples look ordinary. */
const struct explain_values *build_ordinary(struct builder *b, UINT64 n);
/* The things. */
uint32_t build_address_var(struct builder *b, bool local);
uint32_t build_port_var(struct builder *b, bool local);
uint32_t build_app_var(struct builder *b);
uint32_t build_subject_var(struct builder *b);
uint32_t build_interface_var(struct builder *b, enum explain_meaning meaning);
uint32_t build_flags_var(struct builder *b);

#endif
