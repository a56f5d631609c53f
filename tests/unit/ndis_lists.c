/* SPDX-License-Identifier: Apache-2.0 */
/* Lists, clones, retreats and advances beside a naive model, seeded; pools, contexts, buffers, MDLs by hand.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "nbl_model.h"
#include "ndis/frame.h"

static uint32_t seeded(void *ctx, uint32_t below)
{
    uint64_t *state = ctx;

    *state = *state * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(*state >> 33) % below;
}

static void random_operations_are_those_of_the_model(void **state)
{
    struct model *m = malloc(sizeof(*m));

    (void)state;
    assert_non_null(m);
    for (uint64_t seed = 1; seed <= 60; seed++) {
        uint64_t random = seed;

        memset(m, 0, sizeof(*m));
        m->number = seeded;
        m->ctx = &random;
        model_open(m);
        for (unsigned i = 0; i < 400; i++)
            model_step(m);
        model_close(m);
    }
    free(m);
}

static unsigned handler_frees;

static MDL *NTAPI allocate(ULONG *size)
{
    void *bytes = malloc(*size + 8);
    MDL *mdl = NdisAllocateMdl(NULL, bytes, *size + 8); /* more than was asked for */

    assert_non_null(bytes);
    return mdl;
}

static VOID NTAPI release(MDL *mdl)
{
    void *bytes = MmGetMdlVirtualAddress(mdl);

    handler_frees++;
    NdisFreeMdl(mdl);
    free(bytes);
}

static void handlers_make_and_free_what_a_retreat_needs(void **state)
{
    const NET_BUFFER_POOL_PARAMETERS p = {
        .Header = {NDIS_OBJECT_TYPE_DEFAULT, 1, NDIS_SIZEOF_NET_BUFFER_POOL_PARAMETERS_REVISION_1}};
    NDIS_HANDLE pool = NdisAllocateNetBufferPool(NULL, &p);
    uint8_t bytes[10] = {0};
    MDL *mdl = NdisAllocateMdl(NULL, bytes, sizeof(bytes));
    NET_BUFFER *nb = NdisAllocateNetBuffer(pool, mdl, 4, 6);

    (void)state;
    handler_frees = 0;
    assert_int_equal(NdisRetreatNetBufferDataStart(nb, 3, 0, allocate), NDIS_STATUS_SUCCESS);
    assert_ptr_equal(NET_BUFFER_FIRST_MDL(nb), mdl); /* there was room */
    assert_int_equal(NdisRetreatNetBufferDataStart(nb, 20, 5, allocate), NDIS_STATUS_SUCCESS);
    assert_ptr_equal(NET_BUFFER_FIRST_MDL(nb)->Next, mdl);
    assert_int_equal(NET_BUFFER_DATA_LENGTH(nb), 29);
    assert_int_equal(NET_BUFFER_DATA_OFFSET(nb), 20 + 5 + 8 + 1 - 20);
    NdisAdvanceNetBufferDataStart(nb, 10, TRUE, release); /* it is still in use */
    assert_int_equal(handler_frees, 0);
    NdisAdvanceNetBufferDataStart(nb, 13, FALSE, release); /* is not to be freed */
    assert_int_equal(handler_frees, 0);
    assert_int_equal(NdisRetreatNetBufferDataStart(nb, 13, 0, NULL), NDIS_STATUS_SUCCESS);
    NdisAdvanceNetBufferDataStart(nb, 13, TRUE, release);
    assert_int_equal(handler_frees, 1);
    assert_ptr_equal(NET_BUFFER_FIRST_MDL(nb), mdl);
    assert_int_equal(NET_BUFFER_DATA_OFFSET(nb), 4);
    assert_int_equal(NET_BUFFER_DATA_LENGTH(nb), 6);
    NdisFreeNetBuffer(nb);
    NdisFreeMdl(mdl);
    NdisFreeNetBufferPool(pool);
}

static void pools_are_what_their_parameters_say(void **state)
{
    NET_BUFFER_LIST_POOL_PARAMETERS p = {
        .Header = {NDIS_OBJECT_TYPE_DEFAULT, NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1,
                   NDIS_SIZEOF_NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1},
        .fAllocateNetBuffer = TRUE,
        .ContextSize = 32,
        .DataSize = 128,
    };
    NET_BUFFER_LIST *nbl;
    NDIS_HANDLE pool;

    (void)state;
    p.Header.Size = 1;
    assert_null(NdisAllocateNetBufferListPool(NULL, &p));
    p.Header.Size = NDIS_SIZEOF_NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1;
    p.ContextSize = 7;
    assert_null(NdisAllocateNetBufferListPool(NULL, &p));
    p.ContextSize = 32;
    p.fAllocateNetBuffer = FALSE;
    assert_null(NdisAllocateNetBufferListPool(NULL, &p));
    p.fAllocateNetBuffer = TRUE;
    pool = NdisAllocateNetBufferListPool(NULL, &p);
    assert_non_null(pool);
    assert_null(
        NdisAllocateNetBufferAndNetBufferList(pool, 0, 0, NULL, 0, 0)); /* its data are there already */
    nbl = NdisAllocateNetBufferList(pool, 16, 16);
    assert_non_null(nbl);
    assert_ptr_equal(NdisGetPoolFromNetBufferList(nbl), pool);
    assert_int_equal(MmGetMdlByteCount(NET_BUFFER_FIRST_MDL(NET_BUFFER_LIST_FIRST_NB(nbl))), 128);
    assert_int_equal(nbl->Context->Offset, 48);
    assert_int_equal(NdisAllocateNetBufferListContext(nbl, 48, 0, 0), NDIS_STATUS_SUCCESS); /* fits */
    assert_int_equal(nbl->Context->Offset, 0);
    assert_int_equal(NdisAllocateNetBufferListContext(nbl, 64, 16, 0), NDIS_STATUS_SUCCESS); /* does not */
    assert_int_equal(nbl->Context->Offset, 16);
    memset(NET_BUFFER_LIST_CONTEXT_DATA_START(nbl), 1, 64);
    NdisFreeNetBufferListContext(nbl, 64);
    assert_int_equal(nbl->Context->Size, 64); /* the first one again */
    NdisFreeNetBufferListContext(nbl, 48);
    assert_int_equal(NdisAllocateNetBufferListContext(nbl, 8, 0, 0), NDIS_STATUS_FAILURE);
    NdisFreeNetBufferList(nbl);
    NdisFreeNetBufferListPool(pool);
}

static void mdls_describe_memory(void **state)
{
    static uint8_t bytes[3 * PAGE_SIZE];
    MDL *mdl = IoAllocateMdl(bytes + 100, 2 * PAGE_SIZE, FALSE, FALSE, NULL);
    MDL *part = IoAllocateMdl(bytes + 100, 2 * PAGE_SIZE, FALSE, FALSE, NULL);

    (void)state;
    assert_non_null(mdl);
    assert_int_equal(mdl->Size, MmSizeOfMdl(bytes + 100, 2 * PAGE_SIZE));
    assert_ptr_equal(MmGetMdlVirtualAddress(mdl), bytes + 100);
    MmProbeAndLockPages(mdl, KernelMode, IoModifyAccess);
    assert_true(mdl->MdlFlags & MDL_PAGES_LOCKED);
    assert_ptr_equal(MmGetSystemAddressForMdlSafe(mdl, NormalPagePriority), bytes + 100);
    IoBuildPartialMdl(mdl, part, bytes + 300, 0);
    assert_int_equal(MmGetMdlByteCount(part), 2 * PAGE_SIZE - 200);
    assert_ptr_equal(MmGetSystemAddressForMdlSafe(part, NormalPagePriority), bytes + 300);
    IoBuildPartialMdl(mdl, part, bytes + 300, 10);
    assert_int_equal(MmGetMdlByteCount(part), 10);
    MmUnlockPages(mdl);
    assert_false(mdl->MdlFlags & (MDL_PAGES_LOCKED | MDL_MAPPED_TO_SYSTEM_VA));
    IoFreeMdl(part);
    IoFreeMdl(mdl);
}

static void a_list_by_value_is_none(void **state)
{
    NET_BUFFER_LIST copy, *clone;
    struct model *m = calloc(1, sizeof(*m));
    uint64_t random = 3;

    (void)state;
    assert_non_null(m);
    m->number = seeded;
    m->ctx = &random;
    model_open(m);
    model_own(m);
    copy = *m->lists[0].nbl;
    assert_int_equal(ndis_nbl_made(&copy), NDIS_MADE_NOT);
    assert_int_equal(FwpsAllocateCloneNetBufferList0(&copy, NULL, NULL, 0, &clone), STATUS_INVALID_PARAMETER);
    model_close(m);
    free(m);
}

/* What is lent is done, but nobody gets its memory; one at a time, and none that is held. */
static void a_lent_frame_keeps_its_bytes(void **state)
{
    const uint8_t one[] = "one packet's", other[] = "the other one's";
    struct ndis_frames *room;
    struct ndis_frame *lent, *f;
    uint8_t *bytes;
    uint32_t size;

    (void)state;
    assert_int_equal(ndis_frames_create(NULL, NULL, &room), 0);
    lent = ndis_frame_take(room, one, sizeof(one), 0);
    ndis_frame_root(lent, 1);
    ndis_frame_hold(lent);
    assert_false(ndis_frame_lend(lent));
    ndis_frame_let_go(lent);
    bytes = ndis_frame_bytes(lent, &size);
    assert_true(ndis_frame_lend(lent));
    for (int i = 0; i < 2; i++) {
        f = ndis_frame_take(room, other, sizeof(other), 0);
        assert_ptr_not_equal(f, lent);
        ndis_frame_root(f, 2);
        assert_false(ndis_frame_lend(f));
        assert_true(ndis_frame_done_plain(f));
    }
    assert_memory_equal(bytes, one, sizeof(one));
    ndis_frames_take_back(room);
    ndis_frames_take_back(room); /* nothing is lent: nothing happens */
    f = ndis_frame_take(room, other, sizeof(other), 0);
    assert_ptr_equal(f, lent); /* it is used again */
    ndis_frame_root(f, 3);
    assert_true(ndis_frame_lend(f));
    ndis_frames_destroy(room); /* and what is lent goes with the room */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_operations_are_those_of_the_model),
        cmocka_unit_test(handlers_make_and_free_what_a_retreat_needs),
        cmocka_unit_test(pools_are_what_their_parameters_say),
        cmocka_unit_test(mdls_describe_memory),
        cmocka_unit_test(a_list_by_value_is_none),
        cmocka_unit_test(a_lent_frame_keeps_its_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
