/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all kinds of objects check alike before they are added, and how they are then brought in.
 *
 * A kind's add function fills a `struct bfe_adding`, calls the checks it needs in turn (each does nothing
 * once a status is set), and ends with bfe_add(). All with the write lock held.
 */
#ifndef WEIR_BFE_CHECK_H
#define WEIR_BFE_CHECK_H

#include "bfe/core.h"

struct bfe_adding {
    struct bfe_session *session;
    enum bfe_kind kind;
    enum bfe_lifetime lifetime;
    const GUID *provider_key; /* NULL: none */
    struct bfe_object *ref[BFE_REFS];
    NTSTATUS status;
};

/* lifetime from the session and whether a flag asks for persistence (OBJ-12). */
void bfe_adding_begin(struct bfe_adding *a, struct bfe_session *s, enum bfe_kind kind, bool persistent);
void bfe_check_flags(struct bfe_adding *a, UINT32 flags, UINT32 allowed);
void bfe_check_display(struct bfe_adding *a, const FWPM_DISPLAY_DATA0 *d);
void bfe_check_blob(struct bfe_adding *a, const FWP_BYTE_BLOB *b);
void bfe_check_sd(struct bfe_adding *a, const void *sd, size_t size);
void bfe_check_access(struct bfe_adding *a, enum bfe_kind kind, const struct bfe_object *o, UINT32 right);
void bfe_check_layer_link(struct bfe_adding *a, const struct engine_layer *layer);
/* All pointers that the value's type calls for are there, and its parts well formed. */
void bfe_check_value(struct bfe_adding *a, const FWP_VALUE0 *v);
void bfe_check_condition_value(struct bfe_adding *a, const FWP_CONDITION_VALUE0 *v);
/* Finds what the new object refers to; existence, lifetime (OBJ-13), the right to link; sets a->ref[]. */
struct bfe_object *bfe_check_ref(struct bfe_adding *a, enum bfe_ref ref, const GUID *key);
void bfe_check_provider(struct bfe_adding *a, const GUID *key);
/* *key: the one given, or a new one if it is zero; must be free (OBJ-15). */
void bfe_check_key(struct bfe_adding *a, GUID *key);

/* Copies src into a new object, fills the header from `a` and links it. src's own key and id must be final.
 */
NTSTATUS bfe_add(struct bfe_adding *a, const void *src, const GUID *key, UINT64 id, const void *sd,
                 size_t sd_size, struct bfe_object **out);
/* The object's header for what came with src: key, id, provider key, from `a`. NULL: no memory. */
struct bfe_object *bfe_make(const struct bfe_adding *a, const void *src, const GUID *key, UINT64 id);

/* The common bodies of *_delete and *_get: key NULL means by id. */
NTSTATUS bfe_delete(struct bfe_session *s, enum bfe_kind kind, const GUID *key, UINT64 id);
NTSTATUS bfe_get(struct bfe_session *s, enum bfe_kind kind, const GUID *key, UINT64 id, void **out);

bool bfe_guid_is_zero(const GUID *g);

#endif
