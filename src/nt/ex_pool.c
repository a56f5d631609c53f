/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pools. A block is the C library's, so that a sanitizer sees its ends, with a header in front of it:
 *
 *   |head|block ...        smaller than a page; aligned to 16
 *   | ... head|block ...   a page or more; aligned to a page, the header ends the page before
 *
 * Under AddressSanitizer the header is poisoned. Where the ledger is full, it knows each block before its
 * header is looked at: a block that is freed twice or is none of ours is a finding and nothing is freed.
 * Memory that was asked for uninitialised is filled with FRESH, what is freed with STALE, so that who reads
 * it sees the same in every run.
 *
 * A driver without a kernel's ledger may use pools like any other. Blocks smaller than a page may cross a
 * page's end, which on Windows they do not.
 */
#include <stdlib.h>

#include "nt/fault.h"
#include "nt/internal.h"
#include "nt/sanitizers.h"

#define FRESH 0xcb
#define STALE 0xdf
#define MAGIC 0x4c50u
#define GONE  0x4547u

#define UNTAGGED 0x656e6f4eu /* "None" */

enum { PAGED = 1, WHOLE_PAGES = 2 };

struct head {
    size_t size;
    ULONG tag;
    uint16_t magic; /* MAGIC, GONE */
    uint16_t flags;
};
_Static_assert(sizeof(struct head) % MEMORY_ALLOCATION_ALIGNMENT == 0, "blocks stay aligned");

/* A tag as text, for the ledger: made once, kept as long as the kernel. */
struct nt_tag {
    struct nt_tag *next;
    ULONG tag;
    char text[5];
};

static const char *tag_text(ULONG tag)
{
    struct nt *k = nt_current();
    _Atomic(struct nt_tag *) *bucket;
    struct nt_tag *first, *t;

    if (k == NULL || k->config.ledger == NULL || tag == 0)
        return NULL;
    bucket = &k->tags[(tag * 0x9e3779b1u) >> 26];
    first = atomic_load_explicit(bucket, memory_order_acquire);
    for (t = first; t != NULL; t = t->next) {
        if (t->tag == tag)
            return t->text;
    }
    t = calloc(1, sizeof(*t));
    if (t == NULL)
        return NULL;
    t->tag = tag;
    for (unsigned i = 0; i < 4; i++) {
        char c = (char)(tag >> (8 * i) & 0x7f);

        t->text[i] = c >= ' ' && c <= '~' ? c : '.';
    }
    t->next = first;
    while (!atomic_compare_exchange_weak(bucket, &t->next, t))
        ; /* two of one tag do no harm */
    return t->text;
}

void nt_pool_destroy(struct nt *k)
{
    struct nt_tag *t, *next;

    for (unsigned i = 0; i < NT_TAG_BUCKETS; i++) {
        for (t = atomic_load(&k->tags[i]); t != NULL; t = next) {
            next = t->next;
            free(t);
        }
    }
}

static void *block_new(size_t size, unsigned flags, ULONG tag, bool zero)
{
    size_t front = size >= PAGE_SIZE ? PAGE_SIZE : sizeof(struct head);
    struct head *head;
    char *base;

    if (size > SIZE_MAX / 2)
        return NULL;
    base = size >= PAGE_SIZE
               ? aligned_alloc(PAGE_SIZE, front + ((size + PAGE_SIZE - 1) & ~(size_t)(PAGE_SIZE - 1)))
               : malloc(front + (size == 0 ? 1 : size));
    if (base == NULL)
        return NULL;
    head = (struct head *)(base + front) - 1;
    *head = (struct head){.magic = MAGIC, .flags = (uint16_t)flags, .tag = tag, .size = size};
    if (size >= PAGE_SIZE)
        head->flags |= WHOLE_PAGES;
    memset(head + 1, zero ? 0 : FRESH, size);
    nt_asan_poison(head, sizeof(*head));
    if (size >= PAGE_SIZE) /* what the alignment added behind it */
        nt_asan_poison((char *)(head + 1) + size, (0 - size) & (PAGE_SIZE - 1));
    return head + 1;
}

static void *allocate(size_t size, unsigned flags, ULONG tag, bool zero, const char *function,
                      const void *site)
{
    void *p;

    if (rt_carried()->irql > ((flags & PAGED) != 0 ? APC_LEVEL : DISPATCH_LEVEL))
        nt_note(site, "%s: %s pool is allocated at IRQL %u", function,
                (flags & PAGED) != 0 ? "paged" : "nonpaged", rt_carried()->irql);
    p = block_new(size, flags, tag, zero);
    if (p != NULL)
        ledger_open(LEDGER_POOL, (uintptr_t)p, size, tag_text(tag), site);
    return p;
}

static void block_free(struct head *head)
{
    bool whole = (head->flags & WHOLE_PAGES) != 0;
    size_t size = head->size;

    head->magic = GONE;
    if (!nt_asan_here())
        memset(head + 1, STALE, size);
    if (whole)
        nt_asan_unpoison(head + 1, (size + PAGE_SIZE - 1) & ~(size_t)(PAGE_SIZE - 1));
    free(whole ? (char *)(head + 1) - PAGE_SIZE : (char *)head);
}

/* What the kernel still has in a block would be looked at when the memory is another's. */
static void check_armed(const void *p, size_t size, const char *function, const void *site)
{
    struct nt *k = nt_current();
    const char *what;

    if (k == NULL || atomic_load_explicit(&k->armed, memory_order_relaxed) == 0)
        return;
    what = nt_timers_in(k, p, size);
    if (what == NULL)
        what = nt_dpcs_in(k, p, size);
    if (what == NULL)
        what = nt_work_in(k, p, size);
    if (what != NULL)
        nt_bug(BAD_POOL_CALLER, NULL, site, "%s: %s lies in the block", function, what);
}

static void release(void *p, ULONG tag, const char *function, const void *site)
{
    struct head *head;

    if (p == NULL) {
        nt_bug(BAD_POOL_CALLER, NULL, site, "%s: NULL is freed", function);
        return;
    }
    if (!ledger_close(LEDGER_POOL, (uintptr_t)p, site))
        return; /* twice, or never allocated: reported */
    head = (struct head *)p - 1;
    nt_asan_unpoison(head, sizeof(*head));
    if (head->magic != MAGIC) {
        nt_bug(BAD_POOL_CALLER, NULL, site, "%s: %s", function,
               head->magic == GONE ? "the block is free already" : "this is no block of pool");
        return;
    }
    if (tag != 0 && head->tag != 0 && tag != head->tag) {
        uint32_t was = head->tag;

        nt_bug(BAD_POOL_CALLER, NULL, site, "%s: tag '%.4s' of a block that was allocated with '%.4s'",
               function, (const char *)&tag, (const char *)&was);
    }
    if (rt_carried()->irql > ((head->flags & PAGED) != 0 ? APC_LEVEL : DISPATCH_LEVEL))
        nt_note(site, "%s: %s pool is freed at IRQL %u", function,
                (head->flags & PAGED) != 0 ? "paged" : "nonpaged", rt_carried()->irql);
    check_armed(p, head->size, function, site);
    block_free(head);
}

void *nt_pool_alloc(size_t size, ULONG tag, const void *site)
{
    void *p = block_new(size, 0, tag, true);

    if (p != NULL)
        ledger_open(LEDGER_POOL, (uintptr_t)p, size, tag_text(tag), site);
    return p;
}

void nt_pool_free(void *p, const void *site)
{
    if (p != NULL)
        release(p, 0, "freeing", site);
}

bool nt_pool_take(void *p, size_t size)
{
    struct head *head;
    bool fits;

    if (!ledger_use(LEDGER_POOL, (uintptr_t)p, NULL))
        return false;
    head = (struct head *)p - 1;
    nt_asan_unpoison(head, sizeof(*head));
    fits = head->magic == MAGIC && size <= head->size;
    nt_asan_poison(head, sizeof(*head));
    return fits && ledger_close(LEDGER_POOL, (uintptr_t)p, NULL);
}

void nt_pool_drop(void *p)
{
    struct head *head = (struct head *)p - 1;

    nt_asan_unpoison(head, sizeof(*head));
    block_free(head);
}

/* ---- by type of pool ------------------------------------------------------------------------------------
 */
static unsigned flags_of(POOL_TYPE type)
{
    return ((unsigned)type & PagedPool) != 0 ? PAGED : 0; /* every paged type is odd */
}

static void *by_type(POOL_TYPE type, SIZE_T size, ULONG tag, bool zero, const char *function,
                     const void *site)
{
    void *p = allocate(size, flags_of(type), tag, zero || ((unsigned)type & POOL_ZERO_ALLOCATION) != 0,
                       function, site);

    if (p == NULL && ((unsigned)type & POOL_RAISE_IF_ALLOCATION_FAILURE) != 0)
        nt_bug(KMODE_EXCEPTION_NOT_HANDLED, NULL, site,
               "%s: no memory for %zu bytes, and the caller asked for an exception", function, size);
    return p;
}

void *nt_pool_by_type(POOL_TYPE type, size_t size, ULONG tag, const char *function, const void *site)
{
    return by_type(type, size, tag, false, function, site);
}

void nt_pool_free_tagged(void *p, ULONG tag, const char *function, const void *site)
{
    release(p, tag, function, site);
}

PVOID ExAllocatePool(POOL_TYPE PoolType, SIZE_T NumberOfBytes)
{
    NT_FAIL_NULL(ExAllocatePool);
    return by_type(PoolType, NumberOfBytes, UNTAGGED, false, __func__, NT_SITE);
}

PVOID ExAllocatePoolWithTag(POOL_TYPE PoolType, SIZE_T NumberOfBytes, ULONG Tag)
{
    NT_FAIL_NULL(ExAllocatePoolWithTag);
    return by_type(PoolType, NumberOfBytes, Tag, false, __func__, NT_SITE);
}

PVOID ExAllocatePoolWithTagPriority(POOL_TYPE PoolType, SIZE_T NumberOfBytes, ULONG Tag,
                                    EX_POOL_PRIORITY Priority)
{
    NT_FAIL_NULL(ExAllocatePoolWithTagPriority);
    (void)Priority;
    return by_type(PoolType, NumberOfBytes, Tag, false, __func__, NT_SITE);
}

PVOID ExAllocatePoolWithQuota(POOL_TYPE PoolType, SIZE_T NumberOfBytes)
{
    NT_FAIL_NULL(ExAllocatePoolWithQuota);
    return by_type(PoolType, NumberOfBytes, UNTAGGED, false, __func__, NT_SITE);
}

PVOID ExAllocatePoolWithQuotaTag(POOL_TYPE PoolType, SIZE_T NumberOfBytes, ULONG Tag)
{
    NT_FAIL_NULL(ExAllocatePoolWithQuotaTag);
    return by_type(PoolType, NumberOfBytes, Tag, false, __func__, NT_SITE);
}

PVOID ExAllocatePoolZero(POOL_TYPE PoolType, SIZE_T NumberOfBytes, ULONG Tag)
{
    NT_FAIL_NULL(ExAllocatePoolZero);
    return by_type(PoolType, NumberOfBytes, Tag, true, __func__, NT_SITE);
}

PVOID ExAllocatePoolUninitialized(POOL_TYPE PoolType, SIZE_T NumberOfBytes, ULONG Tag)
{
    NT_FAIL_NULL(ExAllocatePoolUninitialized);
    return by_type(PoolType, NumberOfBytes, Tag, false, __func__, NT_SITE);
}

PVOID ExAllocatePoolQuotaZero(POOL_TYPE PoolType, SIZE_T NumberOfBytes, ULONG Tag)
{
    NT_FAIL_NULL(ExAllocatePoolQuotaZero);
    return by_type(PoolType, NumberOfBytes, Tag, true, __func__, NT_SITE);
}

PVOID ExAllocatePoolQuotaUninitialized(POOL_TYPE PoolType, SIZE_T NumberOfBytes, ULONG Tag)
{
    NT_FAIL_NULL(ExAllocatePoolQuotaUninitialized);
    return by_type(PoolType, NumberOfBytes, Tag, false, __func__, NT_SITE);
}

PVOID ExAllocatePoolPriorityZero(POOL_TYPE PoolType, SIZE_T NumberOfBytes, ULONG Tag,
                                 EX_POOL_PRIORITY Priority)
{
    NT_FAIL_NULL(ExAllocatePoolPriorityZero);
    (void)Priority;
    return by_type(PoolType, NumberOfBytes, Tag, true, __func__, NT_SITE);
}

PVOID ExAllocatePoolPriorityUninitialized(POOL_TYPE PoolType, SIZE_T NumberOfBytes, ULONG Tag,
                                          EX_POOL_PRIORITY Priority)
{
    NT_FAIL_NULL(ExAllocatePoolPriorityUninitialized);
    (void)Priority;
    return by_type(PoolType, NumberOfBytes, Tag, false, __func__, NT_SITE);
}

/* ---- by flags: NULL for a tag of 0, for flags that nobody knows, for none or more than one of the pools
 * ----- */
static void *by_flags(POOL_FLAGS flags, SIZE_T size, ULONG tag, const char *function, const void *site)
{
    POOL_FLAGS pool = flags & (POOL_FLAG_NON_PAGED | POOL_FLAG_NON_PAGED_EXECUTE | POOL_FLAG_PAGED);
    void *p = NULL;

    if (tag != 0 && pool != 0 && (pool & (pool - 1)) == 0 && (flags & POOL_FLAG_UNUSED_REQUIRED_BITS) == 0)
        p = allocate(size, pool == POOL_FLAG_PAGED ? PAGED : 0, tag, (flags & POOL_FLAG_UNINITIALIZED) == 0,
                     function, site);
    if (p == NULL && (flags & POOL_FLAG_RAISE_ON_FAILURE) != 0)
        nt_bug(KMODE_EXCEPTION_NOT_HANDLED, NULL, site, "%s: failed, and the caller asked for an exception",
               function);
    return p;
}

PVOID ExAllocatePool2(POOL_FLAGS Flags, SIZE_T NumberOfBytes, ULONG Tag)
{
    NT_FAIL_NULL(ExAllocatePool2);
    return by_flags(Flags, NumberOfBytes, Tag, __func__, NT_SITE);
}

PVOID ExAllocatePool3(POOL_FLAGS Flags, SIZE_T NumberOfBytes, ULONG Tag,
                      PCPOOL_EXTENDED_PARAMETER ExtendedParameters, ULONG ExtendedParametersCount)
{
    NT_FAIL_NULL(ExAllocatePool3);
    for (ULONG i = 0; i < ExtendedParametersCount; i++) {
        if (ExtendedParameters[i].Type == PoolExtendedParameterSecurePool && !ExtendedParameters[i].Optional)
            return NULL; /* there are no secure pools */
    }
    return by_flags(Flags, NumberOfBytes, Tag, __func__, NT_SITE);
}

VOID ExFreePool(PVOID P)
{
    release(P, 0, __func__, NT_SITE);
}

VOID ExFreePoolWithTag(PVOID P, ULONG Tag)
{
    release(P, Tag, __func__, NT_SITE);
}

VOID ExFreePool2(PVOID P, ULONG Tag, PCPOOL_EXTENDED_PARAMETER ExtendedParameters,
                 ULONG ExtendedParametersCount)
{
    (void)ExtendedParameters;
    (void)ExtendedParametersCount;
    release(P, Tag, __func__, NT_SITE);
}

/* Which pools are executable makes no difference here. */
VOID ExInitializeDriverRuntime(ULONG RuntimeFlags)
{
    (void)RuntimeFlags;
}
