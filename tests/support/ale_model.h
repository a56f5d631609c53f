/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A naive reference of authorization: what becomes of each packet of one tuple, written from the semantics
 * alone (ALE-01..06, 23, 26, 27, PEND-11, 17, 24, 36, 37, and what follows from a refusal). It knows no
 * tables, locks, operations or endpoints: a tuple is in one of six conditions, and so many pends are out.
 */
#ifndef WEIR_TESTS_ALE_MODEL_H
#define WEIR_TESTS_ALE_MODEL_H

#include <stdbool.h>
#include <stdint.h>

enum model_says { MODEL_PERMIT, MODEL_BLOCK, MODEL_ABSORB, MODEL_PEND };
enum model_asked { MODEL_NOT_ASKED, MODEL_INITIALLY, MODEL_AGAIN };
enum model_fate { MODEL_PASSED, MODEL_BLOCKED, MODEL_ABSORBED, MODEL_HELD, MODEL_CONSEQUENCE, MODEL_ANY };

struct model {
    bool tcp;
    enum { M_NONE, M_ALLOWED, M_REFUSED, M_WAITING, M_LET_GO, M_TORN } is;
    bool opened_in;
    bool due;          /* allowed, but to be asked again */
    uint32_t sequence; /* of the SYN */
    unsigned pends;    /* that still matter: of this round */
    unsigned round;    /* raised when those that are out no longer do (PEND-11, 41) */
    uint64_t used;     /* ms */
};
struct model_packet {
    bool in, syn;
    uint32_t sequence;
    uint64_t now;
    enum model_says says; /* what will be answered if somebody is asked */
    bool adopt_in;        /* TCP without a SYN: which side was called */
};
struct model_result {
    enum model_asked asked;
    enum model_fate fate;
};

#define MODEL_IDLE 60000

static inline void model_cancel(struct model *m)
{
    m->pends = 0;
    m->round++;
}

static inline void model_time(struct model *m, uint64_t now)
{
    bool counts = m->is != M_NONE && m->is != M_WAITING && !(m->is == M_ALLOWED && m->tcp);

    if (counts && now - m->used >= MODEL_IDLE) {
        m->is = M_NONE;
        model_cancel(m);
    }
}

static inline struct model_result model_initial(struct model *m, const struct model_packet *p)
{
    bool fresh = m->is != M_WAITING;
    struct model_result r = {MODEL_INITIALLY, MODEL_PASSED};

    if (fresh) {
        model_cancel(m);
        m->opened_in = p->in;
        m->sequence = p->sequence;
    }
    switch (p->says) {
    case MODEL_PERMIT:
        m->is = M_ALLOWED;
        m->due = false;
        break;
    case MODEL_PEND:
        m->is = M_WAITING;
        m->pends++;
        r.fate = MODEL_HELD;
        break;
    default:
        if (fresh)
            m->is = M_REFUSED;
        r.fate = p->says == MODEL_ABSORB ? MODEL_ABSORBED : MODEL_BLOCKED;
    }
    return r;
}

static inline struct model_result model_again(struct model *m, const struct model_packet *p)
{
    struct model_result r = {MODEL_AGAIN, MODEL_PASSED};

    if (p->says == MODEL_ABSORB) {
        r.fate = MODEL_ABSORBED;
    } else if (p->says == MODEL_BLOCK) {
        m->is = m->tcp ? M_TORN : M_NONE;
        model_cancel(m);
        r.fate = MODEL_BLOCKED;
    } else { /* it cannot be pended */
        m->due = false;
        r.fate = m->tcp ? MODEL_ANY : MODEL_PASSED;
    }
    return r;
}

static inline struct model_result model_packet(struct model *m, const struct model_packet *p)
{
    const struct model_result never = {MODEL_NOT_ASKED, MODEL_CONSEQUENCE},
                              held = {MODEL_NOT_ASKED, MODEL_HELD};
    bool same = p->in == m->opened_in;
    struct model_result r;

    model_time(m, p->now);
    if (m->is == M_ALLOWED) {
        r = m->due ? model_again(m, p)
                   : (struct model_result){MODEL_NOT_ASKED, m->tcp ? MODEL_ANY : MODEL_PASSED};
        if (r.fate == MODEL_PASSED || m->is == M_TORN)
            m->used = p->now;
        return r;
    }
    if (m->is == M_NONE && m->tcp && !p->syn) { /* its beginning was not seen */
        m->is = M_ALLOWED;
        m->opened_in = p->adopt_in;
        m->due = true;
        m->used = p->now;
        model_cancel(m);
        return model_again(m, p);
    }
    m->used = p->now;
    switch (m->is) {
    case M_NONE:
        return model_initial(m, p);
    case M_TORN:
        return p->syn ? model_initial(m, p) : never;
    case M_LET_GO:
        return m->tcp && !p->syn ? never : model_initial(m, p);
    case M_REFUSED:
        if (!m->tcp)
            return same ? model_initial(m, p) : never;
        if (!p->syn || (same && !p->in && p->sequence == m->sequence))
            return never;
        return model_initial(m, p);
    default: /* M_WAITING */
        if (!same)
            return never;
        if (!m->tcp || (p->in && p->syn))
            return model_initial(m, p);
        return p->in ? never : held;
    }
}

/* A pend of this tuple is completed. Asked again? Then `says` was the answer. */
static inline enum model_asked model_complete(struct model *m, enum model_says says, uint64_t now)
{
    if (m->pends == 0)
        return MODEL_NOT_ASKED;
    m->pends--;
    if (m->opened_in) {
        if (m->is == M_WAITING && m->pends == 0) {
            m->is = M_LET_GO;
            m->used = now;
        }
        return MODEL_NOT_ASKED;
    }
    if (m->is != M_WAITING && m->is != M_ALLOWED)
        return MODEL_NOT_ASKED;
    if (says == MODEL_PERMIT || says == MODEL_PEND) {
        m->is = M_ALLOWED;
        m->due = false;
    } else {
        if (m->is == M_WAITING && !m->tcp && m->pends != 0)
            return MODEL_AGAIN; /* this datagram alone: each of the others is asked about as well (PEND-36) */
        m->is = m->is == M_WAITING ? M_REFUSED : m->tcp ? M_TORN : M_NONE;
        model_cancel(m);
    }
    m->used = now;
    return MODEL_AGAIN;
}

static inline bool model_abort(struct model *m, uint64_t now)
{
    model_time(m, now);
    if (m->is == M_NONE || m->is == M_TORN)
        return false;
    m->is = m->tcp ? M_TORN : M_NONE;
    model_cancel(m);
    m->used = now;
    return true;
}

#endif
