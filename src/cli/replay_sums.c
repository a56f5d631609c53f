/* SPDX-License-Identifier: Apache-2.0 */
/* weir replay: where all packets are, the capture's and those of drivers. What comes in comes out somewhere.
 */
#include "cli/replay.h"

bool replay_sums_hold(const struct replay_sums *s)
{
    return s->in + s->injected == s->out + s->dropped + s->absorbed + s->consequence + s->held;
}

static unsigned long long n(uint64_t x)
{
    return x;
}

void replay_sums_print(const struct replay_sums *s, FILE *out)
{
    fprintf(out,
            "\n%llu in + %llu injected = %llu out + %llu dropped + %llu absorbed + %llu consequence + %llu "
            "held\n",
            n(s->in), n(s->injected), n(s->out), n(s->dropped), n(s->absorbed), n(s->consequence),
            n(s->held));
    if (s->reinjected + s->delayed != 0)
        fprintf(out, "  of what is out: %llu were kept and injected again, %llu are later than captured\n",
                n(s->reinjected), n(s->delayed));
    if (s->evicted != 0)
        fprintf(out, "  of what is held: %llu had to give way, for too much was waiting\n", n(s->evicted));
}

json_t *replay_sums_json(const struct replay_sums *s)
{
    const struct {
        const char *name;
        uint64_t value;
    } all[] = {{"in", s->in},           {"injected", s->injected},     {"out", s->out},
               {"dropped", s->dropped}, {"absorbed", s->absorbed},     {"consequence", s->consequence},
               {"held", s->held},       {"reinjected", s->reinjected}, {"delayed", s->delayed},
               {"evicted", s->evicted}};
    json_t *o = json_object();

    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        json_object_set_new(o, all[i].name, json_integer((json_int_t)all[i].value));
    return o;
}
