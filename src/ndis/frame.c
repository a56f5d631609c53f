/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames: the room that they come from, the copies of bytes, the one list that callouts see at all layers.
 *
 *   frame = block (NET_BUFFER_LIST) | NET_BUFFER | MDLs | bytes | the bytes as they came (only if it is kept)
 *
 *   worker: take() <- free list <- everything that was given back (one exchange)
 *   any thread: the last reference of a kept frame -> pushed on `back`
 *
 * A room's references: its owner's, and one a frame that is kept; who brings them to zero frees it with all
 * its frames. Frames that are not kept go straight to the worker's list, without an atomic operation on the
 * room.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ndis/frame.h"
#include "ndis/inside.h"
#include "rt/alone.h"

#define HEADROOM   64u
#define LEAST_ROOM 2048u

struct ndis_frame {
    /* First, and nb behind it: both are cleared each time, by whole cache lines. */
    _Alignas(64) struct ndis_block block;
    NET_BUFFER nb;
    struct ndis_frames *room;
    struct ndis_frame *next; /* of the free ones */
    MDL *mdls;               /* `one`, or an array of mdl_room of them */
    MDL one;
    uint32_t mdl_room;
    uint8_t *memory;
    uint8_t *bytes; /* in it */
    uint32_t size, ip_at;
    uint32_t fits;              /* so many bytes, and as many once more, have room in `memory` */
    const uint8_t *came;        /* the bytes as they came: the caller's, or a copy behind `bytes` */
    struct ndis_origin own;     /* of a root: one reference is the frame's itself */
    uint32_t first, end, split; /* the layout that the MDLs have; first UINT32_MAX: none */
    uint32_t group;             /* so many frames are chained from this one on; 0: it heads no chain */
};

struct ndis_frames {
    void (*gone)(void *ctx, const struct ndis_origin *o);
    void *ctx;
    bool closed;
    struct ndis_frame *free;
    struct ndis_frame *lent; /* done, and its bytes are still read; or NULL */
    struct ndis_frame *back; /* atomic: pushed by anybody, taken whole by the worker */
    uint64_t references, kept, copied;
};

/* ---- the room */

int ndis_frames_create(void (*gone)(void *ctx, const struct ndis_origin *o), void *ctx,
                       struct ndis_frames **out)
{
    struct ndis_frames *r = calloc(1, sizeof(*r));

    if (r == NULL)
        return -ENOMEM;
    r->references = 1;
    r->gone = gone;
    r->ctx = ctx;
    *out = r;
    return 0;
}

static void frame_free(struct ndis_frame *f)
{
    if (f->mdls != &f->one)
        free(f->mdls);
    free(f->memory);
    free(f);
}

static void frames_free(struct ndis_frame *f)
{
    while (f != NULL) {
        struct ndis_frame *next = f->next;

        frame_free(f);
        f = next;
    }
}

static void room_unref(struct ndis_frames *r)
{
    if (rt_sub(&r->references, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    frames_free(r->free);
    frames_free(r->lent);
    frames_free(r->back);
    free(r);
}

void ndis_frames_destroy(struct ndis_frames *r)
{
    if (r == NULL)
        return;
    r->closed = true;
    room_unref(r);
}

uint64_t ndis_frames_kept(const struct ndis_frames *r)
{
    return __atomic_load_n(&r->kept, __ATOMIC_RELAXED);
}

uint64_t ndis_frames_copied(const struct ndis_frames *r)
{
    return __atomic_load_n(&r->copied, __ATOMIC_RELAXED);
}

/* ---- a frame's life -------------------------------------------------------------------------------------
 */

static void put_back(struct ndis_frame *f)
{
    struct ndis_frames *r = f->room;
    struct ndis_frame *head = __atomic_load_n(&r->back, __ATOMIC_RELAXED);

    do
        f->next = head;
    while (!__atomic_compare_exchange_n(&r->back, &head, f, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED));
}

static __attribute__((noinline)) void clear_slow(struct ndis_frame *f)
{
    ndis_buffer_end(&f->nb);
    ndis_contexts_end(&f->block.nbl);
    ndis_block_strip(&f->block);
}

/* What hangs on it, besides what it stems from: nothing, hardly ever anything. */
static inline uintptr_t burden(const struct ndis_frame *f)
{
    const struct ndis_block *b = &f->block;

    return (uintptr_t)f->nb.NdisReserved[1] | (uintptr_t)b->nbl.Context | (uintptr_t)b->tags |
           (uintptr_t)b->parent | b->parent_count;
}

static inline void clear(struct ndis_frame *f)
{
    f->block.nbl.NdisReserved[0] = NULL;
    if (__builtin_expect((burden(f) | (uintptr_t)f->block.origin | (uintptr_t)f->block.history) != 0, 0))
        clear_slow(f);
}

/* Nothing holds the frame nor what stems from it. */
static void give_back(struct ndis_frame *f)
{
    struct ndis_frames *r = f->room;

    (void)rt_sub(&r->kept, 1, __ATOMIC_RELAXED);
    put_back(f);
    room_unref(r);
}

void ndis_origin_gone(struct ndis_origin *o)
{
    struct ndis_frame *f = (struct ndis_frame *)((char *)o - offsetof(struct ndis_frame, own));

    if (f->room->gone != NULL && !f->room->closed)
        f->room->gone(f->room->ctx, o);
    give_back(f);
}

/* ndis_block.release: the last reference to a kept frame's list. What stems from it may go on. */
static void released(struct ndis_block *b)
{
    struct ndis_frame *f = (struct ndis_frame *)b;
    const bool root = b->origin == &f->own;

    clear(f); /* a root's reference to itself is let go here */
    if (!root)
        give_back(f);
}

static __attribute__((noinline)) struct ndis_frame *another(struct ndis_frames *r)
{
    struct ndis_frame *f = __atomic_exchange_n(&r->back, NULL, __ATOMIC_ACQUIRE);

    if (f != NULL) {
        r->free = f->next;
        return f;
    }
    f = aligned_alloc(_Alignof(struct ndis_frame), sizeof(*f));
    if (f != NULL) {
        memset(f, 0, sizeof(*f));
        f->room = r;
        f->mdls = &f->one;
        f->mdl_room = 1;
    }
    return f;
}

static inline struct ndis_frame *a_free_one(struct ndis_frames *r)
{
    struct ndis_frame *f = r->free;

    if (f == NULL)
        return another(r);
    r->free = f->next;
    return f;
}

/* Where the bytes begin, so that the IP header is aligned. */
static __attribute__((noinline)) void place(struct ndis_frame *f, uint32_t ip_at)
{
    f->bytes = f->memory + HEADROOM;
    f->bytes += (0u - ((uintptr_t)f->bytes + ip_at)) % MEMORY_ALLOCATION_ALIGNMENT;
    f->ip_at = ip_at;
}

/* Room for the bytes, and for as many once more. */
static __attribute__((noinline)) bool reserve(struct ndis_frame *f, uint32_t size, uint32_t ip_at)
{
    uint64_t want = 2 * ((uint64_t)size + HEADROOM + MEMORY_ALLOCATION_ALIGNMENT);

    if (want < 2 * LEAST_ROOM)
        want = 2 * LEAST_ROOM;
    if (want > UINT32_MAX)
        return false;
    free(f->memory);
    f->memory = malloc(want);
    f->fits = f->memory != NULL ? (uint32_t)(want / 2) - HEADROOM - MEMORY_ALLOCATION_ALIGNMENT : 0;
    if (f->memory != NULL)
        place(f, ip_at);
    return f->memory != NULL;
}

struct ndis_frame *ndis_frame_take(struct ndis_frames *r, const uint8_t *bytes, uint32_t size, uint32_t ip_at)
{
    struct ndis_frame *f = a_free_one(r);

    if (f == NULL)
        return NULL;
    if (__builtin_expect(size > f->fits || f->memory == NULL, 0)) {
        if (!reserve(f, size, ip_at)) {
            f->next = r->free;
            r->free = f;
            return NULL;
        }
    } else if (__builtin_expect(f->ip_at != ip_at, 0)) {
        place(f, ip_at);
    }
    ndis_clear(f, offsetof(struct ndis_frame, room)); /* block and nb */
    ndis_block_begin(&f->block, NDIS_MADE_FRAME, NDIS_BY_NDIS, NULL);
    f->block.release = released;
    f->block.nbl.FirstNetBuffer = &f->nb;
    memcpy(f->bytes, bytes, size);
    f->size = size;
    f->came = bytes;
    f->first = UINT32_MAX;
    f->group = 0;
    __atomic_store_n(&r->copied, r->copied + 1, __ATOMIC_RELAXED); /* the worker's */
    return f;
}

struct ndis_origin *ndis_frame_root(struct ndis_frame *f, uint64_t number)
{
    f->own = (struct ndis_origin){.number = number, .references = 1};
    f->block.origin = &f->own;
    return &f->own;
}

void ndis_frame_stem(struct ndis_frame *f, struct ndis_origin *o, struct ndis_history *h)
{
    if (o != NULL) {
        f->block.origin = o;
        f->block.lent_origin = true;
    }
    f->block.history = h;
    f->block.lent_history = true;
}

bool ndis_frame_held(const struct ndis_frame *f)
{
    return __atomic_load_n(&f->block.references, __ATOMIC_ACQUIRE) > 1 ||
           (f->block.origin == &f->own && __atomic_load_n(&f->own.references, __ATOMIC_ACQUIRE) > 1);
}

static __attribute__((noinline)) void keep(struct ndis_frame *f)
{
    struct ndis_frames *r = f->room;

    memcpy(f->bytes + f->size, f->came, f->size);
    f->came = f->bytes + f->size;
    if (f->block.lent_origin) /* the walk's, which is over */
        ndis_origin_ref(f->block.origin);
    if (f->block.lent_history)
        ndis_history_ref(f->block.history);
    f->block.lent_origin = f->block.lent_history = false;
    (void)rt_add(&r->references, 1, __ATOMIC_RELAXED);
    (void)rt_add(&r->kept, 1, __ATOMIC_RELAXED);
    ndis_block_unref(&f->block);
}

bool ndis_frame_done(struct ndis_frame *f)
{
    struct ndis_frames *r = f->room;

    if (__builtin_expect(ndis_frame_held(f), 0)) {
        keep(f);
        return true;
    }
    if (f->block.origin == &f->own || f->block.lent_origin) /* nobody but us can take a reference now */
        f->block.origin = NULL;
    if (f->block.lent_history)
        f->block.history = NULL;
    clear(f);
    f->next = r->free;
    r->free = f;
    return false;
}

/* ndis_frame_done_plain() up to where the frame goes: what it stems from is its own, or lent. */
static inline bool is_done_plain(struct ndis_frame *f)
{
    const struct ndis_block *b = &f->block;

    if (__builtin_expect((b->origin != &f->own && !b->lent_origin) ||
                             (b->history != NULL && !b->lent_history) || burden(f) != 0 || ndis_frame_held(f),
                         0))
        return false;
    f->block.nbl.NdisReserved[0] = NULL;
    return true;
}

bool ndis_frame_done_plain(struct ndis_frame *f)
{
    struct ndis_frames *r = f->room;

    if (!is_done_plain(f))
        return false;
    f->next = r->free;
    r->free = f;
    return true;
}

bool ndis_frame_lend(struct ndis_frame *f)
{
    struct ndis_frames *r = f->room;

    if (r->lent != NULL || !is_done_plain(f))
        return false;
    f->next = NULL;
    r->lent = f;
    return true;
}

void ndis_frames_take_back(struct ndis_frames *r)
{
    struct ndis_frame *f = r->lent;

    if (f == NULL)
        return;
    r->lent = NULL;
    f->next = r->free;
    r->free = f;
}

const uint8_t *ndis_frame_came(const struct ndis_frame *f, uint32_t *size, uint32_t *ip_at)
{
    *size = f->size;
    *ip_at = f->ip_at;
    return f->came;
}

const struct ndis_frame *ndis_frame_of_origin(const struct ndis_origin *o)
{
    return (const struct ndis_frame *)((const char *)o - offsetof(struct ndis_frame, own));
}

/* ---- what is shown ----------------------------------------------------------------------------------------
 */

/* The n-th MDL's size when packets are split: odd, at most `split`, and not always the same, so that a reader
 * who supposes one size is found out. */
static uint32_t odd_size(uint32_t split, uint32_t n)
{
    const uint32_t odds = (split + 1) / 2; /* odd numbers up to split */

    return 2 * ((odds - 1 + n * 5) % odds) + 1;
}

static uint32_t mdls_for(uint32_t size, uint32_t split)
{
    uint32_t count = 0, at = 0;

    if (split == 0)
        return 1;
    while (at < size)
        at += odd_size(split, count++);
    return count + 1;
}

/* Do its MDLs describe these bytes? */
static inline bool is_laid(const struct ndis_frame *f, uint32_t first, uint32_t end, uint32_t split)
{
    return f->end == end && f->first == first && f->split == split && f->nb.MdlChain == f->mdls;
}

static bool lay(struct ndis_frame *f, uint32_t first, uint32_t end, uint32_t split)
{
    uint32_t count = 0, at = first;

    if (split != 0) {
        const uint32_t want = mdls_for(f->size, split); /* of the whole: it does not grow while it is shown */

        if (want > f->mdl_room) {
            MDL *mdls = malloc(want * sizeof(*mdls));

            if (mdls == NULL)
                return false;
            if (f->mdls != &f->one)
                free(f->mdls);
            f->mdls = mdls;
            f->mdl_room = want;
        }
    }
    ndis_buffer_end(&f->nb); /* what retreats put in front and nobody took away */
    do {
        uint32_t part = split == 0 ? end - at : odd_size(split, count);

        part = part < end - at ? part : end - at;
        ndis_mdl_describe(&f->mdls[count], f->bytes + at, part);
        if (count != 0)
            f->mdls[count - 1].Next = &f->mdls[count];
        count++;
        at += part;
    } while (at < end);
    f->first = first;
    f->end = end;
    f->split = split;
    return true;
}

/* The list as a layer has it: the data begin at `at`, whatever was done to the list at layers before. */
static inline NET_BUFFER_LIST *begin_at(struct ndis_frame *f, uint32_t first, uint32_t at, uint32_t end)
{
    f->nb.MdlChain = f->nb.CurrentMdl = f->mdls;
    f->nb.DataOffset = f->nb.CurrentMdlOffset = at - first;
    f->nb.stDataLength = end - at;
    f->nb.Next = NULL;
    f->block.nbl.FirstNetBuffer = &f->nb;
    f->block.nbl.Next = NULL;
    return &f->block.nbl;
}

static __attribute__((noinline)) NET_BUFFER_LIST *lay_and_show(struct ndis_frame *f, uint32_t first,
                                                               uint32_t at, uint32_t end, uint32_t split)
{
    if (!is_laid(f, first, end, split) && !lay(f, first, end, split))
        return NULL;
    (void)begin_at(f, first, at, end);
    ndis_buffer_seek(&f->nb);
    return &f->block.nbl;
}

NET_BUFFER_LIST *ndis_frame_show(struct ndis_frame *f, uint32_t first, uint32_t at, uint32_t end,
                                 uint32_t split)
{
    if (first > at || at > end || end > f->size)
        return NULL;
    if (__builtin_expect(split != 0 || f->nb.NdisReserved[1] != NULL, 0))
        return lay_and_show(f, first, at, end, split);
    if (!is_laid(f, first, end, 0)) {
        ndis_mdl_describe(f->mdls, f->bytes + first, end - first);
        f->first = first;
        f->end = end;
        f->split = 0;
    }
    return begin_at(f, first, at, end);
}

NET_BUFFER_LIST *ndis_frame_list(struct ndis_frame *f)
{
    return &f->block.nbl;
}

uint8_t *ndis_frame_bytes(struct ndis_frame *f, uint32_t *size)
{
    *size = f->size;
    return f->bytes;
}

/* ---- groups */

void ndis_frame_hold(struct ndis_frame *f)
{
    ndis_block_ref(&f->block);
}

void ndis_frame_let_go(struct ndis_frame *f)
{
    ndis_block_unref(&f->block);
}

NET_BUFFER_LIST *ndis_frames_link(struct ndis_frame *const *frames, size_t count)
{
    for (size_t i = 0; i < count; i++)
        frames[i]->block.nbl.Next = i + 1 < count ? &frames[i + 1]->block.nbl : NULL;
    frames[0]->group = (uint32_t)count;
    return &frames[0]->block.nbl;
}

void ndis_frames_unlink(struct ndis_frame *const *frames, size_t count)
{
    frames[0]->group = 0;
    for (size_t i = 0; i < count; i++)
        frames[i]->block.nbl.Next = NULL;
}

bool ndis_is_group(const NET_BUFFER_LIST *nbl)
{
    const struct ndis_block *b = ndis_block_of(nbl);
    uint32_t count = 0;

    if (b == NULL || b->made != NDIS_MADE_FRAME)
        return false;
    for (const NET_BUFFER_LIST *l = nbl; l != NULL; l = l->Next, count++)
        if (ndis_nbl_made(l) != NDIS_MADE_FRAME)
            return false;
    return count == ((const struct ndis_frame *)b)->group;
}

struct ndis_frame *ndis_frame_of(const NET_BUFFER_LIST *nbl)
{
    struct ndis_block *b = ndis_block_of(nbl);

    while (b != NULL && b->made != NDIS_MADE_FRAME)
        b = b->parent != NULL ? b->parent : b->parent_count != 0 ? b->parents[0] : NULL;
    return (struct ndis_frame *)b;
}
