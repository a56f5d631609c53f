/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a program needs to ask the driver: open \\.\Statistics, send IOCTL_STATISTICS_READ with room for
 * entries. It answers with as many as fit, in order of layer and protocol; those that counted nothing are
 * left out.
 */
#ifndef STATISTICS_H
#define STATISTICS_H

#define IOCTL_STATISTICS_READ CTL_CODE(FILE_DEVICE_NETWORK, 0x800, METHOD_BUFFERED, FILE_READ_ACCESS)

struct statistics_entry {
    UINT16 layer;    /* FWPS_LAYER_* */
    UINT16 protocol; /* of IP; STATISTICS_OTHER where the layer knows none */
    UINT32 reserved;
    UINT64 indications;
    UINT64 bytes; /* of data, from where the layer's begin */
};

#define STATISTICS_OTHER 256

#endif
