/* SPDX-License-Identifier: Apache-2.0 */
/* poppack.h: ends what pshpackN.h began. Included many times. */
#pragma pack(pop)
