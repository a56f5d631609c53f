/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program that embeds Weir: it adds a sublayer and a filter through the documented user-mode API, as it would on
 * Windows, and lists what stands at the layer.
 *
 *   cc first_filter.c $(pkg-config --cflags --libs weir) -o first_filter && ./first_filter
 */
#include <stdio.h>

#include <fwpmu.h>
#include <weir.h>

int main(void)
{
    FWPM_SUBLAYER0 sublayer = {.displayData = {.name = (WCHAR *)u"Example"}, .weight = 0x100};
    FWPM_FILTER_CONDITION0 to_port = {
        .fieldKey = FWPM_CONDITION_IP_REMOTE_PORT,
        .matchType = FWP_MATCH_EQUAL,
        .conditionValue = {.type = FWP_UINT16, .uint16 = 25},
    };
    FWPM_FILTER0 filter = {
        .displayData = {.name = (WCHAR *)u"No mail from here"},
        .layerKey = FWPM_LAYER_ALE_AUTH_CONNECT_V4,
        .weight = {.type = FWP_UINT8, .uint8 = 8},
        .numFilterConditions = 1,
        .filterCondition = &to_port,
        .action = {.type = FWP_ACTION_BLOCK},
    };
    FWPM_FILTER0 **list = NULL;
    HANDLE engine = NULL, enumeration = NULL;
    UINT32 count = 0;
    UINT64 id = 0;
    struct weir *w;
    DWORD error;

    if (weir_create(&w) != 0)
        return 1;
    weir_use(w);

    sublayer.subLayerKey = (GUID){0x6f1f2a30, 0x5f0c, 0x4b0e, {0x9a, 0x11, 0x3c, 0x41, 0x0d, 0x2e, 0x77, 0x01}};
    filter.subLayerKey = sublayer.subLayerKey;
    error = FwpmEngineOpen0(NULL, RPC_C_AUTHN_WINNT, NULL, NULL, &engine);
    if (error == ERROR_SUCCESS)
        error = FwpmTransactionBegin0(engine, 0);
    if (error == ERROR_SUCCESS)
        error = FwpmSubLayerAdd0(engine, &sublayer, NULL);
    if (error == ERROR_SUCCESS)
        error = FwpmFilterAdd0(engine, &filter, NULL, &id);
    if (error == ERROR_SUCCESS)
        error = FwpmTransactionCommit0(engine);
    if (error == ERROR_SUCCESS)
        error = FwpmFilterCreateEnumHandle0(engine, NULL, &enumeration);
    if (error == ERROR_SUCCESS)
        error = FwpmFilterEnum0(engine, enumeration, 10, &list, &count);
    for (UINT32 i = 0; error == ERROR_SUCCESS && i < count; i++)
        printf("filter %llu, effective weight 0x%016llx\n", list[i]->filterId, *list[i]->effectiveWeight.uint64);
    if (error != ERROR_SUCCESS)
        printf("error 0x%08x\n", error);

    FwpmFreeMemory0((void **)&list);
    FwpmFilterDestroyEnumHandle0(engine, enumeration);
    FwpmEngineClose0(engine);
    weir_destroy(w);
    return error == ERROR_SUCCESS ? 0 : 1;
}
