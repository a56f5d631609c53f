/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir.h: one question to one layer, with values as text. The engine is asked as the host asks it, callouts of drivers
 * are called; but there is no packet, no flow, and nothing follows from the answer.
 *
 *   names, values --explain's notations--> incoming values --engine_classify()--> verdict
 *                                                               | a callout pends: nt_faults.pends
 *                                                               v
 *                                            a completion context that names nothing: completing it is owed, and
 *                                            does nothing (as of an operation that was cancelled: PEND-11)
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "embed/watch.h"
#include "explain/state.h"
#include "explain/value.h"

#define PROGRAM "\\device\\harddiskvolume1\\program files\\program.exe"
#define USER    "S-1-5-21-0-0-0-1000"
#define NOBODYS 0xffffffull  /* a slot that no operation of the host's has */
#define TICKET  (1ull << 24) /* its first, as contexts have it */

struct question {
    struct embed *e;
    const struct engine_layer *layer;
    FWPS_INCOMING_VALUE0 values[ENGINE_MAX_FIELDS];
    FWPS_INCOMING_METADATA_VALUES0 metadata;
    struct explain_arena arena;
    bool pended;
};

/* Those where an operation can be pended (PEND-01). */
static bool may_pend(const struct engine_layer *l)
{
    static const char *const layers[] = {"ALE_AUTH_CONNECT_V", "ALE_AUTH_RECV_ACCEPT_V", "ALE_AUTH_LISTEN_V",
                                         "ALE_RESOURCE_ASSIGNMENT_V"};

    for (size_t i = 0; i < sizeof layers / sizeof layers[0]; i++) {
        const size_t size = strlen(layers[i]);

        if (strncmp(embed_layer_name(l), layers[i], size) == 0 && embed_layer_name(l)[size + 1] == '\0')
            return true;
    }
    return false;
}

/* IRQL-01, without a packet. */
static KIRQL irql_of(const struct engine_layer *l)
{
    return strncmp(embed_layer_name(l), "ALE_", 4) == 0 && strstr(l->name, "FLOW_ESTABLISHED") == NULL &&
                   strstr(l->name, "RECV_ACCEPT") == NULL
               ? PASSIVE_LEVEL
               : DISPATCH_LEVEL;
}

/* ---- values -------------------------------------------------------------------------------------------- */

/* 0, -EINVAL: told; -ENOMEM. */
static int set(struct question *q, const char *call, const char *name, const char *text)
{
    const struct engine_field *field = explain_field_find(q->layer, name);
    struct explain_value v;
    const char *error = NULL;
    int err;

    if (field == NULL) {
        embed_failed(q->e, call, "%s has no field %s", embed_layer_name(q->layer), name);
        return -EINVAL;
    }
    err = explain_value_parse(&q->arena, field, text, &v, &error);
    if (err == -EINVAL)
        embed_failed(q->e, call, "%s: %s", name, error);
    if (err == 0)
        q->values[field->index].value = v.value;
    return err;
}

/* What callouts of these layers always find on Windows, and follow without looking. */
static int set_subject(struct question *q, const char *call)
{
    const struct engine_field *app = explain_field_find(q->layer, "ALE_APP_ID");
    const struct engine_field *user = explain_field_find(q->layer, "ALE_USER_ID");
    int err = app != NULL && app->data_type == FWP_BYTE_BLOB_TYPE ? set(q, call, "ALE_APP_ID", PROGRAM) : 0;

    if (err == 0 && user != NULL && user->data_type == FWP_TOKEN_ACCESS_INFORMATION_TYPE)
        err = set(q, call, "ALE_USER_ID", USER);
    return err;
}

static int set_all(struct question *q, const char *call, const struct weir_field *fields, size_t count)
{
    int err = set_subject(q, call);

    for (size_t i = 0; i < count && err == 0; i++) {
        if (fields[i].name == NULL || fields[i].value == NULL) {
            embed_failed(q->e, call, "field %zu has no %s", i, fields[i].name == NULL ? "name" : "value");
            return -EINVAL;
        }
        err = set(q, call, fields[i].name, fields[i].value);
    }
    return err;
}

/* ---- the question -------------------------------------------------------------------------------------- */

bool embed_classify_pends(struct embed *e, void *completion_handle, void **completion_context)
{
    struct question *q = e->question;

    if (q == NULL || completion_handle == NULL || completion_handle != q->metadata.completionHandle ||
        completion_context == NULL)
        return false;
    *completion_context = (HANDLE)(uintptr_t)(++e->questions << 32 | TICKET | NOBODYS);
    q->pended = true;
    return true;
}

/* "block by filter 12 "name" in sublayer "name"". */
static void put_words(struct question *q, const struct engine_verdict *v, struct weir_verdict *out)
{
    const struct bfe_caller caller = {.kernel = true};
    struct bfe_session *s = NULL;
    FWPM_FILTER0 *f = NULL;
    FWPM_SUBLAYER0 *l = NULL;
    const char *what = q->pended                                 ? "pended"
                       : out->permit                             ? "permit"
                       : (v->flags & ENGINE_VERDICT_ABSORB) != 0 ? "absorbed"
                                                                 : "block";
    const char *filter = NULL, *sublayer = NULL;

    if (v->filter_id == 0) {
        snprintf(out->text, sizeof out->text, "%s: no filter decided", what);
        return;
    }
    if (bfe_session_open(q->e->bfe, &caller, NULL, &s) == STATUS_SUCCESS) {
        if (bfe_filter_get(s, NULL, v->filter_id, &f) == STATUS_SUCCESS) {
            (void)bfe_sublayer_get(s, &f->subLayerKey, &l);
            filter = f->displayData.name != NULL ? explain_utf8(&q->arena, f->displayData.name) : NULL;
        }
        sublayer =
            l != NULL && l->displayData.name != NULL ? explain_utf8(&q->arena, l->displayData.name) : NULL;
    }
    snprintf(out->text, sizeof out->text, "%s by filter %llu \"%s\" in sublayer \"%s\"%s%s", what,
             (unsigned long long)v->filter_id, filter != NULL ? filter : "", sublayer != NULL ? sublayer : "",
             (v->rights & FWPS_RIGHT_ACTION_WRITE) != 0 ? "" : ", final",
             (v->flags & ENGINE_VERDICT_VETO) != 0 ? ", a veto" : "");
    bfe_free(l);
    bfe_free(f);
    (void)bfe_session_close(s);
}

static int ask(struct question *q, struct weir_verdict *out)
{
    const FWPS_INCOMING_VALUES0 values = {q->layer->id, q->layer->field_count, q->values};
    const struct engine_request request = {
        .values = &values, .metadata = &q->metadata, .pended = &q->pended, .irql = irql_of(q->layer)};
    struct engine_reader *reader;
    struct engine_verdict v;
    NTSTATUS status;
    int err = engine_reader_create(q->e->engine, &reader);

    if (err != 0)
        return err;
    if (may_pend(q->layer)) {
        q->metadata.currentMetadataValues |= FWPS_METADATA_FIELD_COMPLETION_HANDLE;
        q->metadata.completionHandle = (HANDLE)(uintptr_t)(++q->e->questions << 32 | NOBODYS);
    }
    (void)engine_pin(reader); /* the filter that decides stays */
    q->e->question = q;
    status = engine_classify(reader, &request, &v);
    q->e->question = NULL;
    if (NT_SUCCESS(status)) {
        *out = (struct weir_verdict){.permit = v.action != FWP_ACTION_BLOCK && !q->pended,
                                     .filter_id = v.filter_id,
                                     .pended = q->pended};
        put_words(q, &v, out);
        embed_watch_asked(q->e, q->layer, &request,
                          out->pended                              ? "pended"
                          : out->permit                            ? "permit"
                          : (v.flags & ENGINE_VERDICT_ABSORB) != 0 ? "absorbed"
                                                                   : "block",
                          v.filter_id);
    }
    engine_unpin(reader);
    engine_reader_destroy(reader);
    return NT_SUCCESS(status) ? 0 : -ENOMEM;
}

int weir_classify(struct weir *w, const char *layer, const struct weir_field *fields, size_t count,
                  struct weir_verdict *out)
{
    struct question q = {0};
    int err;

    if (EMBED_ENTER(EMBED_ENGINE, w, &q.e) == NULL)
        return -EINVAL;
    if (layer == NULL || out == NULL || (fields == NULL && count != 0)) {
        embed_failed(q.e, __func__, "%s is NULL", layer == NULL ? "layer" : out == NULL ? "out" : "fields");
        return -EINVAL;
    }
    *out = (struct weir_verdict){0};
    q.layer = engine_layer_by_name(layer);
    if (q.layer == NULL) {
        embed_failed(q.e, __func__, "no layer is called '%s'", layer);
        return -EINVAL;
    }
    if (q.e->question != NULL) {
        embed_failed(q.e, __func__, "called from within a classify that weir_classify() began");
        return -EINVAL;
    }
    err = set_all(&q, __func__, fields, count);
    if (err == 0)
        err = ask(&q, out);
    explain_arena_free(&q.arena);
    return err;
}
