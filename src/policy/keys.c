/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of keys, each with a value: what a file lists, by GUID. */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

static UINT64 key_hash(const GUID *key)
{
    UINT64 w[2];
    memcpy(w, key, sizeof(w));
    UINT64 h = (w[0] ^ w[1] * 0x9e3779b97f4a7c15u) * 0xff51afd7ed558ccdu;
    return h ^ h >> 31;
}

static struct key_slot *key_slot(const struct key_set *s, const GUID *key)
{
    size_t at = (size_t)key_hash(key) & s->mask;
    while (s->slots[at].key != NULL && memcmp(s->slots[at].key, key, sizeof(GUID)) != 0)
        at = (at + 1) & s->mask;
    return &s->slots[at];
}

static bool key_room(struct key_set *s)
{
    if (s->slots != NULL && s->used < (s->mask + 1) / 2)
        return true;
    struct key_set grown = {.mask = s->slots == NULL ? 63 : 2 * s->mask + 1};
    grown.slots = calloc(grown.mask + 1, sizeof(struct key_slot));
    if (grown.slots == NULL)
        return false;
    for (size_t i = 0; s->slots != NULL && i <= s->mask; i++) {
        if (s->slots[i].key != NULL) {
            *key_slot(&grown, s->slots[i].key) = s->slots[i];
            grown.used++;
        }
    }
    free(s->slots);
    *s = grown;
    return true;
}

struct key_slot *key_add(struct key_set *s, const GUID *key, bool *fresh)
{
    *fresh = false;
    if (!key_room(s))
        return NULL;
    struct key_slot *slot = key_slot(s, key);
    *fresh = slot->key == NULL;
    if (*fresh) {
        slot->key = key;
        s->used++;
    }
    return slot;
}

bool key_has(const struct key_set *s, const GUID *key)
{
    return s->slots != NULL && key_slot(s, key)->key != NULL;
}

void *key_get(const struct key_set *s, const GUID *key)
{
    return s->slots == NULL ? NULL : key_slot(s, key)->value;
}

void key_free(struct key_set *s)
{
    free(s->slots);
    *s = (struct key_set){0};
}
