/* SPDX-License-Identifier: Apache-2.0 */
/* pshpack4.h: structures from here on are packed to 4; poppack.h ends it. Included many times. */
#pragma pack(push, 4)
