/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a program needs to ask the driver: open \\.\Watch, send IOCTL_WATCH_READ with room for a struct watch_answer. It
 * answers with the counts and, oldest first, the last places where it found the pattern.
 */
#ifndef WATCH_H
#define WATCH_H

#define IOCTL_WATCH_READ CTL_CODE(FILE_DEVICE_NETWORK, 0x801, METHOD_BUFFERED, FILE_READ_ACCESS)

#define WATCH_PLACES 32

struct watch_place {
    UINT64 flow;
    UINT64 offset; /* in its direction of the stream, of the pattern's first byte */
    UINT8 family;  /* AF_INET, AF_INET6 */
    UINT8 sent;    /* 1: by this host */
    UINT16 local_port, remote_port;
    UINT16 reserved;
    UINT8 local[16], remote[16]; /* IPv4: the first four bytes */
};

struct watch_answer {
    UINT64 connections;    /* that were watched */
    UINT64 open;           /* of them, now */
    UINT64 received, sent; /* bytes that were looked at */
    UINT64 found;          /* times */
    UINT64 dropped;        /* connections, for it */
    UINT64 lost;           /* connections that could not be watched, or to their end: no memory */
    UINT32 places;         /* that follow */
    UINT32 reserved;
    struct watch_place place[WATCH_PLACES];
};

#endif
