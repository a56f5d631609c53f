/* SPDX-License-Identifier: Apache-2.0 */
/* The words of SDDL. Where two words mean the same mask (KR and KX), the first is the one that is written. */
#include "security/sddl.h"

#include "ntsecurity.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

const struct sddl_word sddl_ace_types[] = {
    {"A", ACCESS_ALLOWED_ACE_TYPE},
    {"D", ACCESS_DENIED_ACE_TYPE},
    {"OA", ACCESS_ALLOWED_OBJECT_ACE_TYPE},
    {"OD", ACCESS_DENIED_OBJECT_ACE_TYPE},
    {"AU", SYSTEM_AUDIT_ACE_TYPE},
    {"AL", SYSTEM_ALARM_ACE_TYPE},
    {"OU", SYSTEM_AUDIT_OBJECT_ACE_TYPE},
    {"OL", SYSTEM_ALARM_OBJECT_ACE_TYPE},
    {"ML", SYSTEM_MANDATORY_LABEL_ACE_TYPE},
    {"XA", ACCESS_ALLOWED_CALLBACK_ACE_TYPE},
    {"XD", ACCESS_DENIED_CALLBACK_ACE_TYPE},
    {"RA", SYSTEM_RESOURCE_ATTRIBUTE_ACE_TYPE},
    {"SP", SYSTEM_SCOPED_POLICY_ID_ACE_TYPE},
    {"XU", SYSTEM_AUDIT_CALLBACK_ACE_TYPE},
    {"ZA", ACCESS_ALLOWED_CALLBACK_OBJECT_ACE_TYPE},
};
const size_t sddl_ace_type_count = COUNT(sddl_ace_types);

/* In the order in which Windows writes them. */
const struct sddl_word sddl_ace_flags[] = {
    {"OI", OBJECT_INHERIT_ACE},     {"CI", CONTAINER_INHERIT_ACE}, {"NP", NO_PROPAGATE_INHERIT_ACE},
    {"IO", INHERIT_ONLY_ACE},       {"ID", INHERITED_ACE},         {"SA", SUCCESSFUL_ACCESS_ACE_FLAG},
    {"FA", FAILED_ACCESS_ACE_FLAG},
};
const size_t sddl_ace_flag_count = COUNT(sddl_ace_flags);

/* The rights of directory objects (ADS_RIGHT_* of iads.h) are the lowest nine bits of any object's; those of
 * files and keys are FILE_ALL_ACCESS, FILE_GENERIC_*, KEY_* of winnt.h. */
const struct sddl_word sddl_rights[] = {
    {"CC", 0x1},
    {"DC", 0x2},
    {"LC", 0x4},
    {"SW", 0x8},
    {"RP", 0x10},
    {"WP", 0x20},
    {"DT", 0x40},
    {"LO", 0x80},
    {"CR", 0x100},
    {"SD", DELETE},
    {"RC", READ_CONTROL},
    {"WD", WRITE_DAC},
    {"WO", WRITE_OWNER},
    {"GA", GENERIC_ALL},
    {"GX", GENERIC_EXECUTE},
    {"GW", GENERIC_WRITE},
    {"GR", GENERIC_READ},
    /* sets */
    {"FA", 0x1f01ff},
    {"FR", 0x120089},
    {"FW", 0x120116},
    {"FX", 0x1200a0},
    {"KA", 0xf003f},
    {"KR", 0x20019},
    {"KW", 0x20006},
    {"KX", 0x20019},
    /* of mandatory labels */
    {"NW", 0x1},
    {"NR", 0x2},
    {"NX", 0x4},
};
const size_t sddl_right_count = COUNT(sddl_rights);
const size_t sddl_right_bits = 17;
const size_t sddl_right_sets = 8;

const struct sddl_word sddl_claim_types[] = {
    {"TI", CLAIM_SECURITY_ATTRIBUTE_TYPE_INT64},        {"TU", CLAIM_SECURITY_ATTRIBUTE_TYPE_UINT64},
    {"TS", CLAIM_SECURITY_ATTRIBUTE_TYPE_STRING},       {"TD", CLAIM_SECURITY_ATTRIBUTE_TYPE_SID},
    {"TX", CLAIM_SECURITY_ATTRIBUTE_TYPE_OCTET_STRING}, {"TB", CLAIM_SECURITY_ATTRIBUTE_TYPE_BOOLEAN},
};
const size_t sddl_claim_type_count = COUNT(sddl_claim_types);
