/* SPDX-License-Identifier: Apache-2.0 */
/* Pools and lookaside lists: what a block is like, whose it is, what is found out about how it is used. */
#include "nt_lab.h"

#define ONE 0x31656e4fu /* "One1" */
#define TWO 0x326f7754u /* "Two2" */

/* What a memory checker would stop for is looked at by this only where there is none. */
void __asan_poison_memory_region(void const volatile *address, size_t size) __attribute__((weak));
int __asan_address_is_poisoned(void const volatile *address) __attribute__((weak));

static bool all(const void *p, size_t n, unsigned char value)
{
    const unsigned char *b = p;

    for (size_t i = 0; i < n; i++) {
        if (b[i] != value)
            return false;
    }
    return true;
}

static void blocks_body(struct nt_lab *lab)
{
    static const size_t sizes[] = {0, 1, 15, 16, 100, 4095, 4096, 4097, 70000};

    (void)lab;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        unsigned char *zero = ExAllocatePool2(POOL_FLAG_NON_PAGED, sizes[i], ONE);
        unsigned char *fresh = ExAllocatePool2(POOL_FLAG_PAGED | POOL_FLAG_UNINITIALIZED, sizes[i], ONE);
        unsigned char *again = ExAllocatePoolWithTag(NonPagedPoolNx, sizes[i], TWO);

        assert_non_null(zero);
        assert_non_null(fresh);
        assert_int_equal((uintptr_t)zero % (sizes[i] >= PAGE_SIZE ? PAGE_SIZE : 16), 0);
        assert_int_equal((uintptr_t)fresh % (sizes[i] >= PAGE_SIZE ? PAGE_SIZE : 16), 0);
        assert_true(all(zero, sizes[i], 0));
        if (sizes[i] > 0) { /* the same in every run, and neither zero nor an address */
            assert_true(fresh[0] != 0);
            assert_true(all(fresh, sizes[i], fresh[0]));
            assert_memory_equal(fresh, again, sizes[i]);
        }
        memset(zero, 0x11, sizes[i]);
        memset(fresh, 0x22, sizes[i]);
        assert_true(all(zero, sizes[i], 0x11));
        if (__asan_address_is_poisoned != NULL) {
            assert_true(__asan_address_is_poisoned(zero - 1));
            assert_true(__asan_address_is_poisoned(zero + (sizes[i] == 0 ? 1 : sizes[i])));
        }
        ExFreePoolWithTag(zero, ONE);
        ExFreePool(fresh);
        ExFreePoolWithTag(again, TWO);
    }
}

static void blocks_are_aligned_filled_and_fenced(void **state)
{
    (void)state;
    nt_lab_both(blocks_body, NULL);
}

static void every_way_body(struct nt_lab *lab)
{
    POOL_EXTENDED_PARAMETER secure = {.Type = PoolExtendedParameterSecurePool};
    void *p[12];

    (void)lab;
    p[0] = ExAllocatePool(NonPagedPool, 8);
    p[1] = ExAllocatePoolWithTagPriority(PagedPool, 8, ONE, NormalPoolPriority);
    p[2] = ExAllocatePoolWithQuota(PagedPool, 8);
    p[3] = ExAllocatePoolWithQuotaTag(PagedPool, 8, ONE);
    p[4] = ExAllocatePoolZero(NonPagedPoolNx, 8, ONE);
    p[5] = ExAllocatePoolQuotaZero(PagedPool, 8, ONE);
    p[6] = ExAllocatePoolPriorityZero(NonPagedPoolNx, 8, ONE, HighPoolPriority);
    p[7] = ExAllocatePoolUninitialized(NonPagedPoolNx, 8, ONE);
    p[8] = ExAllocatePoolQuotaUninitialized(PagedPool, 8, ONE);
    p[9] = ExAllocatePoolPriorityUninitialized(PagedPool, 8, ONE, LowPoolPriority);
    p[10] = ExAllocatePool3(POOL_FLAG_NON_PAGED, 8, ONE, NULL, 0);
    p[11] = ExAllocatePoolWithTag((POOL_TYPE)(PagedPool | POOL_ZERO_ALLOCATION), 8, ONE);
    for (unsigned i = 0; i < 12; i++)
        assert_non_null(p[i]);
    for (unsigned i = 4; i < 7; i++)
        assert_true(all(p[i], 8, 0));
    assert_false(all(p[7], 8, 0));
    assert_true(all(p[10], 8, 0));
    assert_true(all(p[11], 8, 0));
    for (unsigned i = 0; i < 12; i++)
        ExFreePool2(p[i], 0, NULL, 0);
    assert_null(ExAllocatePool2(POOL_FLAG_NON_PAGED, 8, 0)); /* no tag */
    assert_null(ExAllocatePool2(0, 8, ONE));                 /* no pool */
    assert_null(ExAllocatePool2(POOL_FLAG_NON_PAGED | POOL_FLAG_PAGED, 8, ONE));
    assert_null(ExAllocatePool2(POOL_FLAG_NON_PAGED | 0x40000000, 8, ONE));
    assert_null(ExAllocatePool2(POOL_FLAG_NON_PAGED, SIZE_MAX / 2 + 1, ONE));
    assert_null(ExAllocatePool3(POOL_FLAG_NON_PAGED, 8, ONE, &secure, 1));
}

static void every_way_to_allocate(void **state)
{
    (void)state;
    nt_lab_both(every_way_body, NULL);
}

/* ---- misuse ---------------------------------------------------------------------------------------------
 */
static void misuse_body(struct nt_lab *lab)
{
    void *p = ExAllocatePool2(POOL_FLAG_NON_PAGED, 32, ONE);
    KIRQL irql;
    int none;

    ExFreePoolWithTag(p, TWO);
    lab_expect_bug(lab, BAD_POOL_CALLER, "tag 'Two2' of a block that was allocated with 'One1'");
    ExFreePoolWithTag(p, ONE);
    assert_int_equal(lab_found(lab, LEDGER_TWICE), 1);
    ExFreePool(&none);
    assert_int_equal(lab_found(lab, LEDGER_UNKNOWN), 1);
    ExFreePool(NULL);
    lab_expect_bug(lab, BAD_POOL_CALLER, "NULL");
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    p = ExAllocatePool2(POOL_FLAG_PAGED, 32, ONE);
    lab_expect(lab, LEDGER_NOTE, "ExAllocatePool2: paged pool is allocated at IRQL 2");
    ExFreePool(p);
    lab_expect(lab, LEDGER_NOTE, "ExFreePool: paged pool is freed at IRQL 2");
    ExFreePool(ExAllocatePool2(POOL_FLAG_NON_PAGED, 32, ONE));
    KeLowerIrql(irql);
    assert_null(ExAllocatePool2(POOL_FLAG_NON_PAGED | POOL_FLAG_RAISE_ON_FAILURE, 32, 0));
    lab_expect_bug(lab, KMODE_EXCEPTION_NOT_HANDLED, "exception");
}

static void misuse_of_pool_is_reported(void **state)
{
    (void)state;
    nt_lab_both(misuse_body, NULL);
}

static void left_body(struct nt_lab *lab)
{
    void **p = lab->arg;

    lab->keep_left = true;
    *p = ExAllocatePool2(POOL_FLAG_NON_PAGED, 32, ONE);
}

static void a_block_that_is_left_is_owed_with_its_tag(void **state)
{
    static struct nt_lab out;
    void *p;

    (void)state;
    nt_lab_run(&(struct nt_lab_world){.name = "simulated", .simulated = true}, left_body, &p, &out);
    assert_int_equal(out.settled, 1);
    assert_int_equal(out.last_kind, LEDGER_POOL);
    assert_string_equal(out.last, "One1");
    ExFreePool(p); /* a thread without a driver may, too */
}

/* ---- without a kernel -----------------------------------------------------------------------------------
 */
static void pool_needs_no_kernel(void **state)
{
    unsigned char *p = ExAllocatePool2(POOL_FLAG_NON_PAGED, 10, ONE),
                  *big = ExAllocatePoolWithTag(PagedPool, 9000, TWO);

    (void)state;
    assert_non_null(p);
    assert_true(all(p, 10, 0));
    assert_non_null(big);
    assert_int_equal((uintptr_t)big % PAGE_SIZE, 0);
    ExFreePoolWithTag(p, ONE);
    ExFreePoolWithTag(big, TWO);
}

/* ---- lookaside lists ------------------------------------------------------------------------------------
 */
struct counted {
    LOOKASIDE_LIST_EX list;
    unsigned allocated, freed;
    POOL_TYPE type;
};

static PVOID entry_new(POOL_TYPE type, SIZE_T size, ULONG tag, PLOOKASIDE_LIST_EX list)
{
    struct counted *c = CONTAINING_RECORD(list, struct counted, list);

    c->allocated++;
    c->type = type;
    return ExAllocatePoolWithTag(type, size, tag);
}

static VOID entry_free(PVOID buffer, PLOOKASIDE_LIST_EX list)
{
    CONTAINING_RECORD(list, struct counted, list)->freed++;
    ExFreePool(buffer);
}

static void lookaside_body(struct nt_lab *lab)
{
    static NPAGED_LOOKASIDE_LIST nonpaged;
    static PAGED_LOOKASIDE_LIST paged;
    static LOOKASIDE_LIST_EX list;
    static struct counted own;
    void *a, *b;

    memset(&own, 0, sizeof(own));
    assert_int_equal(ExInitializeLookasideListEx(&list, NULL, NULL, NonPagedPoolNx, 0, 64, ONE, 0),
                     STATUS_SUCCESS);
    a = ExAllocateFromLookasideListEx(&list);
    b = ExAllocateFromLookasideListEx(&list);
    assert_non_null(a);
    assert_non_null(b);
    assert_ptr_not_equal(a, b);
    memset(a, 1, 64);
    memset(b, 2, 64);
    ExFreeToLookasideListEx(&list, a);
    a = ExAllocateFromLookasideListEx(&list);
    ExFreeToLookasideListEx(&list, a);
    ExFreeToLookasideListEx(&list, b);
    ExFreeToLookasideListEx(&list, b);
    assert_int_equal(lab_found(lab, LEDGER_TWICE), 1);
    assert_int_equal(list.L.TotalAllocates, 3);
    ExFlushLookasideListEx(&list);
    ExDeleteLookasideListEx(&list);
    assert_null(ExAllocateFromLookasideListEx(&list));
    lab_expect_bug(lab, BAD_POOL_CALLER, "not initialised");
    assert_int_equal(ExInitializeLookasideListEx(&own.list, entry_new, entry_free, PagedPool,
                                                 EX_LOOKASIDE_LIST_EX_FLAGS_RAISE_ON_FAIL, 32, TWO, 0),
                     STATUS_SUCCESS);
    a = ExAllocateFromLookasideListEx(&own.list);
    assert_non_null(a);
    assert_int_equal(own.type, PagedPool | POOL_RAISE_IF_ALLOCATION_FAILURE);
    ExFreeToLookasideListEx(&own.list, a);
    ExDeleteLookasideListEx(&own.list);
    assert_int_equal(own.allocated, own.freed);
    assert_true(own.allocated > 0);
    assert_int_equal(ExInitializeLookasideListEx(&list, NULL, NULL, (POOL_TYPE)99, 0, 64, ONE, 0),
                     STATUS_INVALID_PARAMETER_4);
    assert_int_equal(ExInitializeLookasideListEx(&list, NULL, NULL, PagedPool, 3, 64, ONE, 0),
                     STATUS_INVALID_PARAMETER_5);
    ExInitializeNPagedLookasideList(&nonpaged, NULL, NULL, 0, 48, ONE, 0);
    a = ExAllocateFromNPagedLookasideList(&nonpaged);
    assert_non_null(a);
    ExFreeToNPagedLookasideList(&nonpaged, a);
    ExDeleteNPagedLookasideList(&nonpaged);
    ExInitializePagedLookasideList(&paged, NULL, NULL, 0, 48, ONE, 0);
    a = ExAllocateFromPagedLookasideList(&paged);
    assert_non_null(a);
    ExFreeToPagedLookasideList(&paged, a);
    ExDeletePagedLookasideList(&paged);
}

static void lookaside_lists_give_and_take(void **state)
{
    (void)state;
    nt_lab_both(lookaside_body, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_aligned_filled_and_fenced),
        cmocka_unit_test(every_way_to_allocate),
        cmocka_unit_test(misuse_of_pool_is_reported),
        cmocka_unit_test(a_block_that_is_left_is_owed_with_its_tag),
        cmocka_unit_test(pool_needs_no_kernel),
        cmocka_unit_test(lookaside_lists_give_and_take),
    };

    return cmocka_run_group_tests_name("nt_pool", tests, NULL, NULL);
}
