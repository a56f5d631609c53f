/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the sanitizers' run-times have to hear of fibers: where a stack begins and ends (ASan), that another
 * thread of control goes on (TSan), where pointers may lie (LSan).
 *
 * They are looked for when a world is made, not when Weir is compiled: a driver that was instrumented brings
 * a run-time into a program that was not.
 */
#include <dlfcn.h>
#include <string.h>

#include "rt/sim.h"

/* A data pointer from dlsym() as the function it is: POSIX says they are alike, C has no word for it. */
static void find(void *slot, const char *name)
{
    void *at = dlsym(RTLD_DEFAULT, name);

    memcpy(slot, &at, sizeof(at));
}

void rt_sanitizers_find(struct rt_sanitizers *s)
{
    find(&s->start_switch, "__sanitizer_start_switch_fiber");
    find(&s->finish_switch, "__sanitizer_finish_switch_fiber");
    if (s->start_switch == NULL || s->finish_switch == NULL)
        s->start_switch = NULL;
    find(&s->unpoison, "__asan_unpoison_memory_region");
    find(&s->root, "__lsan_register_root_region");
    find(&s->unroot, "__lsan_unregister_root_region");
    find(&s->tsan_current, "__tsan_get_current_fiber");
    find(&s->tsan_create, "__tsan_create_fiber");
    find(&s->tsan_destroy, "__tsan_destroy_fiber");
    find(&s->tsan_switch, "__tsan_switch_to_fiber");
    if (s->tsan_create == NULL || s->tsan_current == NULL || s->tsan_destroy == NULL)
        s->tsan_switch = NULL;
}
