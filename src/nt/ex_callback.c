/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Callback objects: names that drivers register routines under and notify each other by.
 *
 * A registration that is being called has `calls` > 0 and stays in its object's list; ExUnregisterCallback()
 * waits until no call is under way (but for one on its own stack). A permanent object, and one with a
 * registration, is kept by the kernel. k->lock guards all lists.
 */
#include <stdlib.h>

#include "nt/fault.h"
#include "nt/internal.h"

struct nt_registration {
    struct nt_registration *next; /* object->registrations */
    struct nt_callback *object;
    struct rt_context *context;
    PCALLBACK_FUNCTION function;
    PVOID argument;
    unsigned calls;
    uintptr_t caller; /* rt_self() of the newest */
    bool removed;
};

struct nt_callback {          /* CALLBACK_OBJECT */
    struct nt_callback *next; /* k->callbacks */
    struct nt *k;
    WCHAR *name;
    size_t length; /* units */
    struct nt_registration *registrations;
    struct rt_cond *done;
    bool many, permanent;
};

static void callback_gone(void *object)
{
    struct nt_callback *c = object;

    rt_mutex_lock(c->k->lock);
    for (struct nt_callback **at = &c->k->callbacks; *at != NULL; at = &(*at)->next) {
        if (*at == c) {
            *at = c->next;
            break;
        }
    }
    rt_mutex_unlock(c->k->lock);
    for (struct nt_registration *r; (r = c->registrations) != NULL;) {
        c->registrations = r->next;
        free(r);
    }
    rt_cond_destroy(c->done);
    free(c->name);
}

struct _OBJECT_TYPE ob_type_callback = {.name = "Callback", .gone = callback_gone};

static WCHAR upper(WCHAR c)
{
    return c >= u'a' && c <= u'z' ? (WCHAR)(c - (u'a' - u'A')) : c;
}

static bool same_name(const struct nt_callback *c, const UNICODE_STRING *name)
{
    if (c->length != name->Length / sizeof(WCHAR))
        return false;
    for (size_t i = 0; i < c->length; i++) {
        if (upper(c->name[i]) != upper(name->Buffer[i]))
            return false;
    }
    return true;
}

/* Referenced; NULL: there is none of that name. */
static struct nt_callback *find(struct nt *k, const UNICODE_STRING *name)
{
    struct nt_callback *c;

    rt_mutex_lock(k->lock);
    for (c = k->callbacks; c != NULL; c = c->next) {
        if (same_name(c, name) && ob_reference_unless_gone(c))
            break;
    }
    rt_mutex_unlock(k->lock);
    return c;
}

static struct nt_callback *make(struct nt *k, const UNICODE_STRING *name, bool many, bool permanent)
{
    struct nt_callback *c = ob_create(&ob_type_callback, sizeof(*c));

    if (c == NULL)
        return NULL;
    c->k = k;
    c->many = many;
    c->permanent = permanent;
    c->length = name->Length / sizeof(WCHAR);
    c->name = malloc(name->Length + sizeof(WCHAR));
    if (c->name == NULL || rt_cond_create(k->clock, &c->done) != 0) {
        ob_dereference(c);
        return NULL;
    }
    memcpy(c->name, name->Buffer, name->Length);
    if (permanent)
        ob_reference(c); /* the kernel's */
    rt_mutex_lock(k->lock);
    c->next = k->callbacks;
    k->callbacks = c;
    rt_mutex_unlock(k->lock);
    return c;
}

void nt_callback_destroy(struct nt *k)
{
    struct nt_callback *c, *next;

    for (c = k->callbacks; c != NULL; c = next) {
        next = c->next;
        if (c->permanent)
            ob_dereference(c);
    }
}

/* Under k->lock. */
static void sweep(struct nt_callback *c)
{
    for (struct nt_registration **at = &c->registrations, *r; (r = *at) != NULL;) {
        if (!r->removed || r->calls != 0) {
            at = &r->next;
            continue;
        }
        *at = r->next;
        free(r);
    }
}

/* Takes one of that context's registrations out; whose it was, with the registration's reference; NULL: none is left. */
static struct nt_callback *take_one(struct nt *k, const struct rt_context *context)
{
    for (struct nt_callback *c = k->callbacks; c != NULL; c = c->next) {
        for (struct nt_registration *r = c->registrations; r != NULL; r = r->next) {
            if (r->removed || r->context != context)
                continue;
            r->removed = true;
            sweep(c);
            return c;
        }
    }
    return NULL;
}

void nt_callbacks_forget(struct nt_driver *d)
{
    struct nt_callback *c;

    do {
        rt_mutex_lock(d->k->lock);
        c = take_one(d->k, d->context);
        rt_mutex_unlock(d->k->lock);
        if (c != NULL)
            ob_dereference(c);
    } while (c != NULL);
}

/* Windows' own, which are there before any driver asks; nothing happens here that they would tell of. */
static bool is_windows(const UNICODE_STRING *name)
{
    static const WCHAR *const names[] = {(const WCHAR *)u"\\Callback\\SetSystemTime",
                                         (const WCHAR *)u"\\Callback\\PowerState",
                                         (const WCHAR *)u"\\Callback\\ProcessorAdd"};
    UNICODE_STRING one;

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        RtlInitUnicodeString(&one, names[i]);
        if (RtlEqualUnicodeString(name, &one, TRUE))
            return true;
    }
    return false;
}

NTSTATUS ExCreateCallback(PCALLBACK_OBJECT *CallbackObject, POBJECT_ATTRIBUTES ObjectAttributes,
                          BOOLEAN Create, BOOLEAN AllowMultipleCallbacks)
{
    NT_FAIL_STATUS(ExCreateCallback);
    const UNICODE_STRING *name = ObjectAttributes == NULL ? NULL : ObjectAttributes->ObjectName;
    struct nt *k = nt_current();
    struct nt_callback *c;

    NT_IRQL_MAX(APC_LEVEL);
    if (k == NULL || name == NULL || name->Length == 0)
        return STATUS_UNSUCCESSFUL;
    c = find(k, name);
    if (c == NULL && is_windows(name))
        c = make(k, name, true, true);
    else if (c == NULL && !Create)
        return STATUS_OBJECT_NAME_NOT_FOUND;
    else if (c == NULL)
        c = make(k, name, AllowMultipleCallbacks != 0, (ObjectAttributes->Attributes & OBJ_PERMANENT) != 0);
    if (c == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    ledger_open(LEDGER_OBJECT_REFERENCE, (uintptr_t)c, 0, "callback object", NT_SITE);
    *CallbackObject = (PCALLBACK_OBJECT)c;
    return STATUS_SUCCESS;
}

PVOID ExRegisterCallback(PCALLBACK_OBJECT CallbackObject, PCALLBACK_FUNCTION CallbackFunction,
                         PVOID CallbackContext)
{
    NT_FAIL_NULL(ExRegisterCallback);
    struct nt_callback *c = (struct nt_callback *)CallbackObject;
    struct nt_registration *r, **at;
    bool refused = false;

    NT_IRQL_MAX(APC_LEVEL);
    r = calloc(1, sizeof(*r));
    if (r == NULL)
        return NULL;
    r->object = c;
    r->context = rt_current();
    r->function = CallbackFunction;
    r->argument = CallbackContext;
    rt_mutex_lock(c->k->lock);
    for (at = &c->registrations; *at != NULL; at = &(*at)->next)
        refused = refused || (!c->many && !(*at)->removed);
    if (!refused)
        *at = r;
    rt_mutex_unlock(c->k->lock);
    if (refused) {
        free(r);
        return NULL;
    }
    ob_reference(c);
    ledger_open(LEDGER_CALLBACK, (uintptr_t)r, 0, "callback", NT_SITE);
    return r;
}

VOID ExUnregisterCallback(PVOID CallbackRegistration)
{
    struct nt_registration *r = CallbackRegistration;
    struct nt_callback *c;

    NT_IRQL_MAX(APC_LEVEL);
    if (!ledger_close(LEDGER_CALLBACK, (uintptr_t)r, NT_SITE))
        return;
    c = r->object;
    rt_mutex_lock(c->k->lock);
    r->removed = true;
    rt_waits_for("a callback to return");
    while (r->calls > (r->caller == rt_self() ? 1u : 0u))
        rt_cond_wait(c->done, c->k->lock, RT_FOREVER);
    rt_waits_for(NULL);
    sweep(c);
    rt_mutex_unlock(c->k->lock);
    ob_dereference(c);
}

/* Calls at the caller's IRQL, in the order of registration. */
VOID ExNotifyCallback(PVOID CallbackObject, PVOID Argument1, PVOID Argument2)
{
    struct nt_callback *c = CallbackObject;
    struct nt_entered was;

    NT_IRQL_MAX(DISPATCH_LEVEL);
    ob_reference(c);
    rt_mutex_lock(c->k->lock);
    for (struct nt_registration *r = c->registrations; r != NULL; r = r->next) {
        if (r->removed)
            continue;
        r->calls++;
        r->caller = rt_self();
        rt_mutex_unlock(c->k->lock);
        was = nt_enter(r->context, rt_carried()->irql);
        r->function(r->argument, Argument1, Argument2);
        nt_leave(was, "a callback");
        rt_mutex_lock(c->k->lock);
        r->calls--;
        rt_cond_broadcast(c->done);
    }
    sweep(c);
    rt_mutex_unlock(c->k->lock);
    ob_dereference(c);
}
