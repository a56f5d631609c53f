/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory of fibers' stacks.
 *
 * A stack is a mapping with a page below it that nobody may touch. A world keeps up to RT_SPARE_STACKS for its next
 * fibers; at its end a few of them are kept for the worlds to come (a test has one after another, and mapping stacks
 * would be a fifth of its time), and given back at the process' end. Kept ones are nobody's: no leak checker looks
 * for pointers in them.
 *
 * File-scope state: those that are kept, under a lock.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "rt/sim.h"

#define KEPT 32u

static struct {
    pthread_mutex_t lock;
    struct rt_stack list[KEPT]; /* all of one size: that of the first */
    unsigned count;
} kept = {.lock = PTHREAD_MUTEX_INITIALIZER};

static bool take_kept(size_t size, struct rt_stack *out)
{
    bool took = false;

    pthread_mutex_lock(&kept.lock);
    if (kept.count != 0 && kept.list[0].size == size) {
        *out = kept.list[--kept.count];
        took = true;
    }
    pthread_mutex_unlock(&kept.lock);
    return took;
}

static bool keep(struct rt_stack stack)
{
    bool kept_it = false;

    pthread_mutex_lock(&kept.lock);
    if (kept.count == 0 || (kept.count < KEPT && kept.list[0].size == stack.size)) {
        kept.list[kept.count++] = stack;
        kept_it = true;
    }
    pthread_mutex_unlock(&kept.lock);
    return kept_it;
}

static void unmap(size_t page, struct rt_stack stack)
{
    munmap(stack.low - page, page + stack.size);
}

/* Whatever still runs has its own. */
__attribute__((destructor)) static void give_back(void)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);

    pthread_mutex_lock(&kept.lock);
    while (kept.count != 0)
        unmap(page, kept.list[--kept.count]);
    pthread_mutex_unlock(&kept.lock);
}

int rt_stack_get(struct rt_sim *s, struct rt_stack *out)
{
    size_t size = s->config.stack_bytes;
    unsigned char *at;

    if (s->spare_count != 0) {
        *out = s->spare_stacks[--s->spare_count];
        return 0;
    }
    if (!take_kept(size, out)) {
        at = mmap(NULL, s->page + size, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
        if (at == MAP_FAILED)
            return -ENOMEM;
        if (mprotect(at, s->page, PROT_NONE) != 0) { /* a process may have only so many mappings */
            munmap(at, s->page + size);
            return -EAGAIN;
        }
        *out = (struct rt_stack){at + s->page, size};
    }
    if (s->sanitizers.root != NULL)
        s->sanitizers.root(out->low, out->size);
    return 0;
}

void rt_stack_put(struct rt_sim *s, struct rt_stack stack)
{
    if (s->sanitizers.unpoison != NULL) /* frames that were left and never returned from */
        s->sanitizers.unpoison(stack.low, stack.size);
    if (s->spare_count < RT_SPARE_STACKS) {
        s->spare_stacks[s->spare_count++] = stack;
        return;
    }
    if (s->sanitizers.unroot != NULL)
        s->sanitizers.unroot(stack.low, stack.size);
    unmap(s->page, stack);
}

void rt_stacks_end(struct rt_sim *s)
{
    while (s->spare_count != 0) {
        struct rt_stack stack = s->spare_stacks[--s->spare_count];

        if (s->sanitizers.unroot != NULL)
            s->sanitizers.unroot(stack.low, stack.size);
        if (!keep(stack))
            unmap(s->page, stack);
    }
    free(s->spare_stacks);
}
