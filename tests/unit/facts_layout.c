/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layouts that the static assertions of the library (layout_asserts.c) cannot state: bit fields, which have
 * no offset, and the security structures, which structs.tsv does not hold.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "fwpmk.h"
#include "fwpsk.h"
#include "ifdef.h"
#include "ntsecurity.h"

static void assert_only_bits(const void *object, size_t size, unsigned first, unsigned last, const char *what)
{
    const unsigned char *bytes = object;
    for (unsigned bit = 0; bit < size * 8; bit++) {
        bool expected = bit >= first && bit <= last;
        if (((bytes[bit / 8] >> bit % 8) & 1) != expected)
            fail_msg("%s: bit %u is %sset", what, bit, expected ? "not " : "");
    }
}

/* Sets the field to all ones in a zeroed object: the bits of the table, and no others, must be set. */
#define BIT(type, member, byte, lo, hi)                                                                      \
    do {                                                                                                     \
        type object;                                                                                         \
        memset(&object, 0, sizeof(object));                                                                  \
        object.member = ones;                                                                                \
        assert_only_bits(&object, sizeof(object), (byte)*8 + (lo), (byte)*8 + (hi), #type "." #member);      \
        count++;                                                                                             \
    } while (0);

static void bit_fields_lie_where_the_table_says(void **state)
{
    (void)state;
    unsigned long long ones = ~0ull;
    unsigned count = 0;
#include "layout_bits.h"
    assert_true(count > 50);
}

/* As documented for 64-bit Windows (ntifs.h, winnt.h pages). */
static void token_access_information_is_0x58_bytes(void **state)
{
    (void)state;
    assert_int_equal(sizeof(TOKEN_ACCESS_INFORMATION), 0x58);
    assert_int_equal(offsetof(TOKEN_ACCESS_INFORMATION, RestrictedSidHash), 0x08);
    assert_int_equal(offsetof(TOKEN_ACCESS_INFORMATION, Privileges), 0x10);
    assert_int_equal(offsetof(TOKEN_ACCESS_INFORMATION, AuthenticationId), 0x18);
    assert_int_equal(offsetof(TOKEN_ACCESS_INFORMATION, TokenType), 0x20);
    assert_int_equal(offsetof(TOKEN_ACCESS_INFORMATION, ImpersonationLevel), 0x24);
    assert_int_equal(offsetof(TOKEN_ACCESS_INFORMATION, MandatoryPolicy), 0x28);
    assert_int_equal(offsetof(TOKEN_ACCESS_INFORMATION, Flags), 0x2c);
    assert_int_equal(offsetof(TOKEN_ACCESS_INFORMATION, AppContainerNumber), 0x30);
    assert_int_equal(offsetof(TOKEN_ACCESS_INFORMATION, PackageSid), 0x38);
    assert_int_equal(offsetof(TOKEN_ACCESS_INFORMATION, CapabilitiesHash), 0x40);
    assert_int_equal(offsetof(TOKEN_ACCESS_INFORMATION, TrustLevelSid), 0x48);
    assert_int_equal(offsetof(TOKEN_ACCESS_INFORMATION, SecurityAttributes), 0x50);
    assert_int_equal(sizeof(SID_AND_ATTRIBUTES_HASH), 0x110);
    assert_int_equal(offsetof(SID_AND_ATTRIBUTES_HASH, Hash), 0x10);
}

static void binary_descriptors_have_their_wire_form(void **state)
{
    (void)state;
    assert_int_equal(sizeof(SECURITY_DESCRIPTOR_RELATIVE), 20);
    assert_int_equal(offsetof(SECURITY_DESCRIPTOR_RELATIVE, Owner), 4);
    assert_int_equal(offsetof(SECURITY_DESCRIPTOR_RELATIVE, Dacl), 16);
    assert_int_equal(sizeof(ACE_HEADER), 4);
    assert_int_equal(offsetof(ACCESS_ALLOWED_ACE, Mask), 4);
    assert_int_equal(offsetof(ACCESS_ALLOWED_ACE, SidStart), 8);
    assert_int_equal(offsetof(ACCESS_ALLOWED_CALLBACK_ACE, SidStart), 8);
    assert_int_equal(offsetof(ACCESS_ALLOWED_OBJECT_ACE, ObjectType), 12);
    assert_int_equal(offsetof(ACCESS_ALLOWED_OBJECT_ACE, SidStart), 44);
    assert_int_equal(offsetof(CLAIM_SECURITY_ATTRIBUTE_RELATIVE_V1, Values), 16);
}

static void scalars_have_windows_sizes(void **state)
{
    (void)state;
    assert_int_equal(sizeof(WCHAR), 2);
    assert_int_equal(sizeof(LONG), 4);
    assert_int_equal(sizeof(ULONG), 4);
    assert_int_equal(sizeof(DWORD), 4);
    assert_int_equal(sizeof(UINT64), 8);
    assert_int_equal(sizeof(SIZE_T), 8);
    assert_int_equal(sizeof(ULONG_PTR), 8);
    assert_int_equal(sizeof(BOOLEAN), 1);
    assert_int_equal(sizeof(BOOL), 4);
    assert_int_equal(sizeof(FWP_DATA_TYPE), 4);
    assert_true(STATUS_FWP_CALLOUT_NOT_FOUND < 0 && !NT_SUCCESS(STATUS_FWP_CALLOUT_NOT_FOUND));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bit_fields_lie_where_the_table_says),
        cmocka_unit_test(token_access_information_is_0x58_bytes),
        cmocka_unit_test(binary_descriptors_have_their_wire_form),
        cmocka_unit_test(scalars_have_windows_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
