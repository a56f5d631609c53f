/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir.h: engine, management service and API context of one embedded engine, made and ended together.
 * The API context is what becomes current in a thread; it knows its owner, so that weir_use() can tell the
 * one before.
 */
#include "weir.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/api.h"
#include "policy/policy.h"

struct weir {
    struct engine *engine;
    struct bfe *bfe;
    struct api_context *context;
};

int weir_create(struct weir **out)
{
    struct api_config config = {0};
    struct weir *w = calloc(1, sizeof(*w));
    int rc;

    if (w == NULL)
        return -ENOMEM;
    rc = engine_create(&w->engine);
    if (rc == 0)
        rc = bfe_create(w->engine, NULL, &w->bfe);
    config.engine = w->engine;
    config.bfe = w->bfe;
    config.owner = w;
    if (rc == 0)
        rc = api_context_create(&config, &w->context);
    if (rc != 0) {
        weir_destroy(w);
        return rc;
    }
    *out = w;
    return 0;
}

void weir_destroy(struct weir *w)
{
    if (w == NULL)
        return;
    if (w->context != NULL) {
        struct api_context *now = api_set_current(NULL);

        if (now != w->context)
            api_set_current(now);
        api_context_destroy(w->context);
    }
    if (w->bfe != NULL)
        bfe_destroy(w->bfe);
    if (w->engine != NULL)
        engine_destroy(w->engine);
    free(w);
}

struct weir *weir_use(struct weir *w)
{
    struct api_context *before = api_set_current(w != NULL ? w->context : NULL);

    return before != NULL ? api_owner(before) : NULL;
}

int weir_load_policy(struct weir *w, const char *path, char *error, size_t size)
{
    struct policy_error why = {0};
    struct policy *p = NULL;
    int rc = policy_load_file(w->bfe, path, &p, &why);

    if (rc != 0 && error != NULL && size != 0)
        snprintf(error, size, "%s", why.text);
    if (rc == 0)
        policy_free(p);
    return rc;
}
