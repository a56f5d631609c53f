/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a program needs to become the proxy: listen, open \\.\Redirect, send IOCTL_REDIRECT_PROXY with a struct
 * redirect_proxy. From then on, until it closes that handle, other programs' TCP connections are redirected to its port;
 * what SIO_QUERY_WFP_CONNECTION_REDIRECT_CONTEXT tells of a connection that it accepted is a struct redirect_context. The
 * connection that it makes for it must carry the accepted one's redirect records
 * (SIO_QUERY_WFP_CONNECTION_REDIRECT_RECORDS, SIO_SET_WFP_CONNECTION_REDIRECT_RECORDS), by which the driver knows it.
 */
#ifndef REDIRECT_H
#define REDIRECT_H

#define IOCTL_REDIRECT_PROXY CTL_CODE(FILE_DEVICE_NETWORK, 0x802, METHOD_BUFFERED, FILE_WRITE_ACCESS)

struct redirect_proxy {
    UINT16 port;
};

struct redirect_context {
    SOCKADDR_STORAGE remote; /* whom the program wanted to talk to */
    UINT64 process;          /* its id */
};

#endif
