/* SPDX-License-Identifier: Apache-2.0 */
/* WPP: trace functions that a header's comment defines, and .tmh files that nobody made. */
#include <ntddk.h>

#include "check.h"

#define WPP_CONTROL_GUIDS                                                                                    \
    WPP_DEFINE_CONTROL_GUID(Trace, (81b20fea, 73a8, 4b62, 95bc, 354477c97a6f), WPP_DEFINE_BIT(ONE))

/*
 * begin_wpp config
 * FUNC TraceEvents(LEVEL, FLAGS, MSG, ...);
 * FUNC TraceFatal{LEVEL=FATAL}(FLAGS, MSG, ...);
 * end_wpp
 */
#include "tracing.tmh"

DRIVER_INITIALIZE DriverEntry;
DRIVER_UNLOAD Unload;

VOID Unload(_In_ PDRIVER_OBJECT object)
{
    WPP_CLEANUP(object);
}

NTSTATUS DriverEntry(_In_ PDRIVER_OBJECT object, _In_ PUNICODE_STRING path)
{
    WPP_INIT_TRACING(object, path);
    DoTraceMessage(ONE, "%!FUNC! begins");
    if (object == NULL)
        TraceFatal(ONE, "%!STATUS!", STATUS_UNSUCCESSFUL);
    else
        TraceEvents(TRACE_LEVEL_INFORMATION, ONE, "%d", 5);
    object->DriverUnload = Unload;
    return checked;
}
