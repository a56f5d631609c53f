/* SPDX-License-Identifier: Apache-2.0 */
/* The words of SDDL (win32 "ACE Strings", MS-DTYP 2.5.1.1), shared by the parser and the formatter. */
#ifndef WEIR_SECURITY_SDDL_H
#define WEIR_SECURITY_SDDL_H

#include <stddef.h>
#include <stdint.h>

struct sddl_word {
    char text[3];
    uint32_t value;
};
extern const struct sddl_word sddl_ace_types[], sddl_ace_flags[], sddl_rights[], sddl_claim_types[];
extern const size_t sddl_ace_type_count, sddl_ace_flag_count, sddl_right_count, sddl_claim_type_count;
/* How many of sddl_rights are single bits (they stand first, lowest first), and how many of those that follow
 * are sets of file and key rights that a mask may be as a whole. */
extern const size_t sddl_right_bits, sddl_right_sets;

#endif
