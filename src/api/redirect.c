/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Classify handles, writable layer data, redirect handles, redirect records: the doors of the host's redirection (RED;
 * the states and who owns what: src/host/redirect.c).
 *
 *   classifyFn --FwpsAcquireClassifyHandle0--> host_classify_acquire(); the ledger has the handle until it is released
 *              --FwpsPendClassify0--> host_classify_pend(); the ledger has the pend until it is completed
 *
 * What is done too often, too late or with the wrong pointer is reported, and does what host_redirect.h says of it.
 */
#include "fwpsk.h"

#include <stdio.h>

#include "api/api.h"
#include "api/internal.h"
#include "host/host_redirect.h"
#include "ledger/ledger.h"
#include "nt/fault.h"
#include "nt/irql.h"

#define SITE __builtin_return_address(0)

static struct host *host_here(void)
{
    struct api_context *c = api_current();

    return c != NULL ? api_host(c) : NULL;
}

static const struct {
    UINT32 fault;
    const char *words;
} faults[] = {
    {HOST_CLASSIFY_NO_HANDLE, "the classify handle names nothing, or nothing any more"},
    {HOST_CLASSIFY_TWICE, "it was done already"},
    {HOST_CLASSIFY_NOT_PENDED, "the classify was not pended with this handle"},
    {HOST_CLASSIFY_NOT_ACQUIRED, "no writable layer data are acquired, or not any more"},
    {HOST_CLASSIFY_OTHER_POINTER, "another pointer than was acquired: what was acquired is applied"},
    {HOST_CLASSIFY_UNAPPLIED, "writable layer data were acquired and not applied: they are dropped"},
    {HOST_CLASSIFY_READ_ONLY, "read-only members were changed: they stay as they were"},
    {HOST_CLASSIFY_INLINE_FLAG,
     "FWPS_CLASSIFY_FLAG_REAUTHORIZE_IF_MODIFIED_BY_OTHERS without a pend: ignored"},
    {HOST_CLASSIFY_CONTEXT, "localRedirectContext is no pool of that size: it is not taken"},
    {HOST_CLASSIFY_FLAGS, "flags that are reserved: ignored"},
};

static void report(const char *function, UINT32 found, const void *site)
{
    char text[160];

    for (size_t i = 0; i < ARRAYSIZE(faults); i++) {
        if ((found & faults[i].fault) == 0)
            continue;
        snprintf(text, sizeof text, "%s: %s", function, faults[i].words);
        ledger_report(LEDGER_NOTE, site, text);
    }
}

static void reserved(const char *function, UINT32 flags, const void *site)
{
    if (flags != 0)
        report(function, HOST_CLASSIFY_FLAGS, site);
}

/* ---- classify handles ---------------------------------------------------------------------------------------- */

NTSTATUS NTAPI FwpsAcquireClassifyHandle0(void *classifyContext, UINT32 flags, UINT64 *classifyHandle)
{
    NT_FAIL_STATUS(FwpsAcquireClassifyHandle0);
    struct host *h = host_here();
    NTSTATUS status;

    NT_IRQL_MAX(DISPATCH_LEVEL);
    if (classifyHandle != NULL)
        *classifyHandle = 0;
    if (h == NULL)
        return STATUS_FWP_TCPIP_NOT_READY;
    if (flags != 0) /* RED-05 */
        return STATUS_INVALID_PARAMETER;
    status = host_classify_acquire(h, classifyContext, classifyHandle);
    if (status == STATUS_SUCCESS)
        ledger_open(LEDGER_CLASSIFY_HANDLE, *classifyHandle, 0, NULL, SITE);
    return status;
}

void NTAPI FwpsReleaseClassifyHandle0(UINT64 classifyHandle)
{
    struct host *h = host_here();

    NT_IRQL_MAX(DISPATCH_LEVEL);
    if (h == NULL || !ledger_close(LEDGER_CLASSIFY_HANDLE, classifyHandle, SITE))
        return;
    report(__func__, host_classify_release(h, classifyHandle), SITE);
}

NTSTATUS NTAPI FwpsPendClassify0(UINT64 classifyHandle, UINT64 filterId, UINT32 flags,
                                 FWPS_CLASSIFY_OUT0 *classifyOut)
{
    NT_FAIL_STATUS(FwpsPendClassify0);
    struct host *h = host_here();
    NTSTATUS status;

    (void)classifyOut; /* perhaps the driver's copy (RED-12): what classifyFn returns is its own */
    NT_IRQL_MAX(DISPATCH_LEVEL);
    if (h == NULL)
        return STATUS_FWP_TCPIP_NOT_READY;
    reserved(__func__, flags, SITE);
    status = host_classify_pend(h, classifyHandle, filterId);
    if (status == STATUS_SUCCESS)
        ledger_open(LEDGER_PENDED_CLASSIFY, classifyHandle, 0, NULL, SITE);
    return status;
}

void NTAPI FwpsCompleteClassify0(UINT64 classifyHandle, UINT32 flags, const FWPS_CLASSIFY_OUT0 *classifyOut)
{
    struct host *h = host_here();

    NT_IRQL_MAX(DISPATCH_LEVEL);
    if (h == NULL || !ledger_close(LEDGER_PENDED_CLASSIFY, classifyHandle, SITE))
        return;
    reserved(__func__, flags, SITE);
    report(__func__, host_classify_complete(h, classifyHandle, classifyOut), SITE);
}

NTSTATUS NTAPI FwpsAcquireWritableLayerDataPointer0(UINT64 classifyHandle, UINT64 filterId, UINT32 flags,
                                                    PVOID *writableLayerData, FWPS_CLASSIFY_OUT0 *classifyOut)
{
    NT_FAIL_STATUS(FwpsAcquireWritableLayerDataPointer0);
    struct host *h = host_here();

    NT_IRQL_MAX(DISPATCH_LEVEL);
    if (writableLayerData != NULL)
        *writableLayerData = NULL;
    if (h == NULL)
        return STATUS_FWP_TCPIP_NOT_READY;
    reserved(__func__, flags, SITE);
    return host_classify_writable(h, classifyHandle, filterId, writableLayerData, classifyOut);
}

void NTAPI FwpsApplyModifiedLayerData0(UINT64 classifyHandle, PVOID modifiedLayerData, UINT32 flags)
{
    struct host *h = host_here();

    NT_IRQL_MAX(DISPATCH_LEVEL);
    if (h != NULL)
        report(__func__, host_classify_apply(h, classifyHandle, modifiedLayerData, flags), SITE);
}

/* ---- redirect handles ---------------------------------------------------------------------------------------- */

NTSTATUS NTAPI FwpsRedirectHandleCreate0(const GUID *providerGuid, UINT32 flags, HANDLE *redirectHandle)
{
    NT_FAIL_STATUS(FwpsRedirectHandleCreate0);
    struct host *h = host_here();
    NTSTATUS status;

    NT_IRQL_MAX(PASSIVE_LEVEL);
    if (redirectHandle != NULL)
        *redirectHandle = NULL;
    if (h == NULL)
        return STATUS_FWP_TCPIP_NOT_READY;
    reserved(__func__, flags, SITE);
    status = host_redirect_handle_create(h, providerGuid, redirectHandle);
    if (status == STATUS_SUCCESS)
        ledger_open(LEDGER_REDIRECT_HANDLE, (uintptr_t)*redirectHandle, 0, NULL, SITE);
    return status;
}

void NTAPI FwpsRedirectHandleDestroy0(HANDLE redirectHandle)
{
    struct host *h = host_here();

    NT_IRQL_MAX(PASSIVE_LEVEL);
    if (h == NULL || !ledger_close(LEDGER_REDIRECT_HANDLE, (uintptr_t)redirectHandle, SITE))
        return;
    if (host_redirect_handle_destroy(h, redirectHandle) != STATUS_SUCCESS)
        ledger_report(LEDGER_NOTE, SITE,
                      "FwpsRedirectHandleDestroy0: the handle names nothing, or nothing any more");
}

/* ---- records ------------------------------------------------------------------------------------------------- */

FWPS_CONNECTION_REDIRECT_STATE NTAPI FwpsQueryConnectionRedirectState0(HANDLE redirectRecords,
                                                                       HANDLE redirectHandle,
                                                                       void **redirectContext)
{
    struct host *h = host_here();

    NT_IRQL_MAX(DISPATCH_LEVEL);
    if (redirectContext != NULL)
        *redirectContext = NULL;
    return h != NULL ? host_redirect_state(h, redirectRecords, redirectHandle, redirectContext)
                     : FWPS_CONNECTION_NOT_REDIRECTED;
}

NTSTATUS NTAPI FwpsQueryConnectionSioFormatRedirectRecords0(HANDLE RedirectRecords, PVOID OutputBuffer,
                                                            SIZE_T OutputBufferLength,
                                                            PSIZE_T BytesTransferred)
{
    struct host *h = host_here();

    NT_IRQL_MAX(DISPATCH_LEVEL);
    if (BytesTransferred != NULL)
        *BytesTransferred = 0;
    return h != NULL
               ? host_redirect_format(h, RedirectRecords, OutputBuffer, OutputBufferLength, BytesTransferred)
               : STATUS_NOT_FOUND;
}
