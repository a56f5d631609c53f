/* SPDX-License-Identifier: Apache-2.0 */
/* pshpack1.h: structures from here on are packed to 1; poppack.h ends it. Included many times. */
#pragma pack(push, 1)
