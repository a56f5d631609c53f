/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FwpmGetAppIdFromFileName0: the app id of a program by its file name (MATCH-16). On this host: the path with
 * all links resolved, through the engine's normalisation, so that it equals what the host indicates for the
 * process. A name that is already Windows' ("\device\harddiskvolume1\...", "System") or of another machine
 * ("C:\...") is not a file here and is only normalised.
 */
#include "fwpmk.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "api/internal.h"
#include "engine/engine.h"

/* UTF-16 to UTF-8, malloc'd; NULL: no memory or a lone surrogate (errno says which). */
static char *narrow(const WCHAR *text)
{
    size_t n = 0, at = 0;
    char *out;

    while (text[n])
        n++;
    out = malloc(3 * n + 1);
    if (!out)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        UINT32 c = text[i];
        if (c >= 0xd800 && c < 0xe000) {
            if (c >= 0xdc00 || text[i + 1] < 0xdc00 || text[i + 1] >= 0xe000) {
                free(out);
                errno = EILSEQ;
                return NULL;
            }
            c = 0x10000 + ((c - 0xd800) << 10) + (text[++i] - 0xdc00u);
        }
        if (c < 0x80) {
            out[at++] = (char)c;
        } else if (c < 0x800) {
            out[at++] = (char)(0xc0 | c >> 6);
            out[at++] = (char)(0x80 | (c & 0x3f));
        } else if (c < 0x10000) {
            out[at++] = (char)(0xe0 | c >> 12);
            out[at++] = (char)(0x80 | (c >> 6 & 0x3f));
            out[at++] = (char)(0x80 | (c & 0x3f));
        } else {
            out[at++] = (char)(0xf0 | c >> 18);
            out[at++] = (char)(0x80 | (c >> 12 & 0x3f));
            out[at++] = (char)(0x80 | (c >> 6 & 0x3f));
            out[at++] = (char)(0x80 | (c & 0x3f));
        }
    }
    out[at] = 0;
    return out;
}

NTSTATUS api_FwpmGetAppIdFromFileName0(enum api_flavour flavour, PCWSTR fileName, FWP_BYTE_BLOB **appId)
{
    char *name, *resolved = NULL;
    NTSTATUS status = STATUS_SUCCESS;
    int rc;

    (void)flavour;
    if (!fileName || !appId)
        return STATUS_FWP_NULL_POINTER;
    *appId = NULL;
    name = narrow(fileName);
    if (!name)
        return errno == EILSEQ ? STATUS_FWP_INVALID_PARAMETER : STATUS_NO_MEMORY;
    if (name[0] == '/') {
        resolved = realpath(name, NULL);
        if (!resolved)
            status = errno == ENOMEM    ? STATUS_NO_MEMORY
                     : errno == ENOTDIR ? STATUS_OBJECT_PATH_NOT_FOUND
                                        : STATUS_OBJECT_NAME_NOT_FOUND;
    }
    if (status == STATUS_SUCCESS) {
        rc = engine_app_id_from_path(resolved ? resolved : name, appId);
        status = !rc ? STATUS_SUCCESS : rc == -ENOMEM ? STATUS_NO_MEMORY : STATUS_OBJECT_NAME_INVALID;
    }
    free(resolved);
    free(name);
    return status;
}
