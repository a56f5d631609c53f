/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of the policy room: exports in a line or two, loaded into a fresh bfe; what came of them. */
#ifndef WEIR_TESTS_POLICY_LAB_H
#define WEIR_TESTS_POLICY_LAB_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bfe_lab.h"
#include "policy/policy.h"

#define PL_FILTER_KEY "{00000000-0000-4000-8000-00000000f001}"

/* The parts of a filter, one a line, so that a wrong value stands on a known line. */
#define PL_FILTER_HEAD                                                                                       \
    "<item><filterKey>" PL_FILTER_KEY "</filterKey>"                                                         \
    "<displayData><name>f</name><description/></displayData><flags/><providerKey/><providerData/>"
#define PL_FILTER_TAIL                                                                                       \
    "<action><type>FWP_ACTION_BLOCK</type><filterType/></action><rawContext>0</rawContext><reserved/>"       \
    "<filterId>4711</filterId>"                                                                              \
    "<effectiveWeight><type>FWP_UINT64</type><uint64>77</uint64></effectiveWeight></item>"
#define PL_AT(layer) "<layerKey>" layer "</layerKey><subLayerKey>FWPM_SUBLAYER_UNIVERSAL</subLayerKey>"
#define PL_WEIGHT    "<weight><type>FWP_EMPTY</type></weight>"
#define PL_CONDITION(field, match, value)                                                                    \
    "<item><fieldKey>" field "</fieldKey><matchType>" match "</matchType><conditionValue>" value             \
    "</conditionValue></item>"
/* A whole export of one filter with these conditions (a list of PL_CONDITION). */
#define PL_ONE(layer, conditions)                                                                            \
    "<wfpdiag><filters>" PL_FILTER_HEAD PL_AT(layer) PL_WEIGHT                                               \
        "<filterCondition>" conditions "</filterCondition>" PL_FILTER_TAIL "</filters></wfpdiag>"
#define PL_V4 "FWPM_LAYER_ALE_AUTH_CONNECT_V4"
#define PL_V6 "FWPM_LAYER_ALE_AUTH_CONNECT_V6"

struct policy_lab {
    struct bfe_lab lab;
    struct policy *policy; /* of the last pl_load */
    struct policy_error error;
};

static inline void pl_open(struct policy_lab *l)
{
    memset(l, 0, sizeof(*l));
    bfe_lab_open(&l->lab, NULL);
}

static inline void pl_close(struct policy_lab *l)
{
    policy_free(l->policy);
    bfe_lab_close(&l->lab);
}

/* A new machine, and this export in it. */
static inline int pl_try(struct policy_lab *l, const char *text, size_t size)
{
    if (l->lab.bfe != NULL)
        pl_close(l);
    pl_open(l);
    return policy_load_memory(l->lab.bfe, "x.xml", text, size, &l->policy, &l->error);
}

static inline void pl_load(struct policy_lab *l, const char *text)
{
    int rc = pl_try(l, text, strlen(text));
    if (rc != 0)
        fail_msg("%d: %s", rc, l->error.text);
    assert_non_null(l->policy);
}

/* The number of objects of a kind that the bfe shows. */
static inline UINT32 pl_count(struct policy_lab *l, enum bfe_kind kind)
{
    struct bfe_enum *e;
    void **entries;
    UINT32 n;
    assert_int_equal(bfe_enum_create(l->lab.kernel, kind, NULL, &e), 0);
    assert_int_equal(bfe_enum_next(l->lab.kernel, e, UINT32_MAX, &entries, &n), 0);
    bfe_free(entries);
    assert_int_equal(bfe_enum_destroy(l->lab.kernel, e), 0);
    return n;
}

/* The export is refused with this line, and the bfe is as it was. */
static inline void pl_refused(struct policy_lab *l, const char *text, size_t size, const char *expected)
{
    UINT32 before[BFE_KINDS];
    if (l->lab.bfe != NULL)
        pl_close(l);
    pl_open(l);
    for (int k = BFE_PROVIDER; k <= BFE_FILTER; k++)
        before[k] = pl_count(l, (enum bfe_kind)k);
    assert_int_equal(policy_load_memory(l->lab.bfe, "x.xml", text, size, &l->policy, &l->error), -EINVAL);
    assert_null(l->policy);
    assert_string_equal(l->error.text, expected);
    for (int k = BFE_PROVIDER; k <= BFE_FILTER; k++)
        assert_int_equal(pl_count(l, (enum bfe_kind)k), before[k]);
}

/* The filter of PL_FILTER_HEAD; bfe_free(). */
static inline FWPM_FILTER0 *pl_filter(struct policy_lab *l)
{
    FWPM_FILTER0 *f = NULL;
    GUID key;
    assert_int_equal(engine_guid_parse(PL_FILTER_KEY, &key), 0);
    assert_int_equal(bfe_filter_get(l->lab.kernel, &key, 0, &f), 0);
    return f;
}

/* The first note with this text in it; NULL: none. */
static inline const struct policy_note *pl_note(const struct policy_lab *l, const char *part)
{
    for (UINT32 i = 0; i < l->policy->note_count; i++) {
        if (strstr(l->policy->notes[i].text, part) != NULL)
            return &l->policy->notes[i];
    }
    return NULL;
}

static inline void pl_noted(const struct policy_lab *l, enum policy_note_kind kind, const char *part)
{
    const struct policy_note *n = pl_note(l, part);
    if (n == NULL)
        fail_msg("no note says \"%s\"", part);
    assert_int_equal(n->kind, kind);
}

#endif
