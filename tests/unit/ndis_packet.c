/* SPDX-License-Identifier: Apache-2.0 */
/* Packets as lists of MDLs, against the flat bytes: seeded, many sizes, splits, retreats and advances. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ndis/packet.h"

static uint32_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(*state >> 33);
}

/* What the list says of itself, by its own arithmetic. */
static void check(const NET_BUFFER_LIST *list, const uint8_t *bytes, uint32_t size, uint32_t at)
{
    const NET_BUFFER *nb = NET_BUFFER_LIST_FIRST_NB(list);
    uint8_t out[512];
    uint32_t total = 0, before = 0;
    size_t want = size - at < sizeof(out) ? size - at : sizeof(out);

    assert_null(NET_BUFFER_LIST_NEXT_NBL(list));
    assert_null(NET_BUFFER_NEXT_NB(nb));
    assert_int_equal(NET_BUFFER_DATA_OFFSET(nb), at);
    assert_int_equal(NET_BUFFER_DATA_LENGTH(nb), size - at);
    assert_int_equal(ndis_packet_offset(list), at);
    for (const MDL *m = NET_BUFFER_FIRST_MDL(nb); m != NULL; m = m->Next) {
        assert_ptr_equal(m->MappedSystemVa, bytes + total); /* no byte twice, none left out */
        assert_ptr_equal((uint8_t *)m->StartVa + m->ByteOffset, bytes + total);
        if (m == NET_BUFFER_CURRENT_MDL(nb))
            before = total;
        total += m->ByteCount;
    }
    assert_int_equal(total, size);
    assert_int_equal(before + NET_BUFFER_CURRENT_MDL_OFFSET(nb), at);
    assert_true(NET_BUFFER_CURRENT_MDL_OFFSET(nb) < NET_BUFFER_CURRENT_MDL(nb)->ByteCount || at == size);
    assert_int_equal(ndis_packet_read(list, out, sizeof(out)), want);
    assert_memory_equal(out, bytes + at, want);
}

static void splits_retreats_and_advances_are_those_of_flat_bytes(void **state)
{
    static uint8_t bytes[3000];
    struct ndis_packet *p;
    uint64_t seed = 7;

    (void)state;
    for (uint32_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)next_random(&seed);
    assert_int_equal(ndis_packet_create(&p), 0);
    for (int run = 0; run < 3000; run++) {
        uint32_t size = next_random(&seed) % (run % 3 == 0 ? 40 : 3000);
        uint32_t at = size == 0 ? 0 : next_random(&seed) % (size + 1);
        uint32_t split = run % 4 == 0 ? 0 : 1 + next_random(&seed) % 100;
        NET_BUFFER_LIST *list = ndis_packet_show(p, bytes, size, at, split);

        assert_non_null(list);
        check(list, bytes, size, at);
        for (int step = 0; step < 6; step++) {
            uint32_t by = next_random(&seed) % 60;

            if (next_random(&seed) & 1) {
                assert_int_equal(ndis_packet_retreat(list, by), by <= at ? 0 : -ERANGE);
                at -= by <= at ? by : 0;
            } else {
                assert_int_equal(ndis_packet_advance(list, by), by <= size - at ? 0 : -ERANGE);
                at += by <= size - at ? by : 0;
            }
            check(list, bytes, size, at);
        }
    }
    assert_null(ndis_packet_show(p, bytes, 10, 11, 0));
    ndis_packet_destroy(p);
}

static void split_packets_have_odd_mdls(void **state)
{
    uint8_t bytes[1000] = {0};
    struct ndis_packet *p;

    (void)state;
    assert_int_equal(ndis_packet_create(&p), 0);
    for (uint32_t split = 1; split < 40; split++) {
        NET_BUFFER_LIST *list = ndis_packet_show(p, bytes, sizeof(bytes), 0, split);

        for (const MDL *m = list->FirstNetBuffer->MdlChain; m != NULL; m = m->Next) {
            assert_true(m->ByteCount > 0 && m->ByteCount <= split);
            if (m->Next != NULL)
                assert_int_equal(m->ByteCount % 2, 1);
        }
    }
    ndis_packet_destroy(p);
}

/* What a callout left in the words that are its own is gone with the next packet. */
static void nothing_is_left_of_the_packet_before(void **state)
{
    uint8_t bytes[20] = {0};
    struct ndis_packet *p;
    NET_BUFFER_LIST *list;

    (void)state;
    assert_int_equal(ndis_packet_create(&p), 0);
    list = ndis_packet_show(p, bytes, 20, 0, 3);
    memset(list->ProtocolReserved, 0xee, sizeof(list->ProtocolReserved));
    list->Next = list;
    list->FirstNetBuffer->Next = list->FirstNetBuffer;
    list = ndis_packet_show(p, bytes, 20, 4, 0);
    assert_null(list->ProtocolReserved[0]);
    check(list, bytes, 20, 4);
    ndis_packet_destroy(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(splits_retreats_and_advances_are_those_of_flat_bytes),
        cmocka_unit_test(split_packets_have_odd_mdls),
        cmocka_unit_test(nothing_is_left_of_the_packet_before),
    };
    return cmocka_run_group_tests_name("ndis_packet", tests, NULL, NULL);
}
