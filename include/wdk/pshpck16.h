/* SPDX-License-Identifier: Apache-2.0 */
/* pshpck16.h: structures from here on are packed to 16; poppack.h ends it. Included many times. */
#pragma pack(push, 16)
