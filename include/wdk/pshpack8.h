/* SPDX-License-Identifier: Apache-2.0 */
/* pshpack8.h: structures from here on are packed to 8; poppack.h ends it. Included many times. */
#pragma pack(push, 8)
