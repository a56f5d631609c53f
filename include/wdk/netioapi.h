/* SPDX-License-Identifier: Apache-2.0 */
/* netioapi.h: what the IP helper says of interfaces and addresses is not here; its types are. */
#ifndef WEIR_WDK_NETIOAPI_H
#define WEIR_WDK_NETIOAPI_H

#include "ifdef.h"
#include "ws2def.h"
#include "ws2ipdef.h"

typedef NTSTATUS NETIO_STATUS;
#define NETIO_SUCCESS(status) NT_SUCCESS(status)
#define NETIOAPI_API          NETIO_STATUS
#define NETIOAPI_API_

#endif
