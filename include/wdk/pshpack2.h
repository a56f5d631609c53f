/* SPDX-License-Identifier: Apache-2.0 */
/* pshpack2.h: structures from here on are packed to 2; poppack.h ends it. Included many times. */
#pragma pack(push, 2)
