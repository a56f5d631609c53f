/* SPDX-License-Identifier: Apache-2.0 */
/* TraceLoggingProvider.h: self-describing events; they go nowhere. */
#ifndef WEIR_WDK_TRACELOGGINGPROVIDER_H
#define WEIR_WDK_TRACELOGGINGPROVIDER_H

#include "evntprov.h"

struct _tlgProvider_t;
typedef const struct _tlgProvider_t *TraceLoggingHProvider;

#define TRACELOGGING_DECLARE_PROVIDER(name)     extern TraceLoggingHProvider name
#define TRACELOGGING_DEFINE_PROVIDER(name, ...) TraceLoggingHProvider name
#define TraceLoggingRegister(...)               (0)
#define TraceLoggingRegisterEx(...)             (0)
#define TraceLoggingUnregister(...)             ((void)0)
#define TraceLoggingProviderEnabled(...)        (0)
#define TraceLoggingWrite(...)                  ((void)0)
#define TraceLoggingWriteActivity(...)          ((void)0)

#endif
