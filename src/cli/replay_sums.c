/* SPDX-License-Identifier: Apache-2.0 */
/* weir replay: where all packets are, the capture's and those of drivers. What comes in comes out somewhere.
 */
#include "cli/replay.h"

bool replay_sums_hold(const struct replay_sums *s)
{
    return s->in + s->injected + s->made ==
           s->out + s->dropped + s->absorbed + s->consequence + s->held + s->rewritten;
}

static unsigned long long n(uint64_t x)
{
    return x;
}

void replay_sums_print(const struct replay_sums *s, FILE *out)
{
    fprintf(out, "\n%llu in + %llu injected", n(s->in), n(s->injected));
    if (s->made + s->rewritten != 0)
        fprintf(out, " + %llu made", n(s->made));
    fprintf(out, " = %llu out + %llu dropped + %llu absorbed + %llu consequence + %llu held", n(s->out),
            n(s->dropped), n(s->absorbed), n(s->consequence), n(s->held));
    if (s->made + s->rewritten != 0)
        fprintf(out, " + %llu rewritten", n(s->rewritten));
    fputc('\n', out);
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
    } all[] = {{"in", s->in},
               {"injected", s->injected},
               {"out", s->out},
               {"dropped", s->dropped},
               {"absorbed", s->absorbed},
               {"consequence", s->consequence},
               {"held", s->held},
               {"made", s->made},
               {"rewritten", s->rewritten},
               {"reinjected", s->reinjected},
               {"delayed", s->delayed},
               {"evicted", s->evicted}};
    json_t *o = json_object();

    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        json_object_set_new(o, all[i].name, json_integer((json_int_t)all[i].value));
    return o;
}

/* ---- streams -------------------------------------------------------------------------------------------- */

void replay_streams_print(const struct replay_result *x, FILE *out)
{
    const struct host_stream_counts *s = &x->streams;
    const struct host_rewrite_counts *w = &x->rewrites;

    if (s->indicated + s->injected + s->removed == 0)
        return;
    fprintf(out, "  streams: %llu bytes shown to callouts; %llu taken out, %llu put in\n", n(s->indicated),
            n(s->removed), n(s->injected));
    if (s->dropped != 0)
        fprintf(out, "    %llu connections were dropped by a callout\n", n(s->dropped));
    if (s->waiting + s->lost != 0)
        fprintf(out, "    %llu bytes waited for a callout at the end: they are not in the output\n",
                n(s->waiting + s->lost));
    if (s->limited != 0)
        fprintf(out, "    %llu times so much waited that it was handed on\n", n(s->limited));
    if (w->evicted != 0)
        fprintf(
            out,
            "    %llu bytes were never acknowledged and could not be kept: if repeated, they are not again\n",
            n(w->evicted));
    if (w->unwindowed != 0)
        fprintf(out, "    %llu bytes went out beyond their receiver's window\n", n(w->unwindowed));
    if (w->late != 0)
        fprintf(out, "    %llu bytes came behind the end of their stream: dropped\n", n(w->late));
    if (w->early != 0)
        fprintf(out,
                "    %llu segments answer bytes that a callout still kept: live, they would have come later, "
                "or never\n",
                n(w->early));
    if (w->unchanged != 0)
        fprintf(out, "    %llu edits were not carried out: of connections of the host with itself\n",
                n(w->unchanged));
}

json_t *replay_streams_json(const struct replay_result *x)
{
    const struct host_stream_counts *s = &x->streams;
    const struct host_rewrite_counts *w = &x->rewrites;
    const struct {
        const char *name;
        uint64_t value;
    } all[] = {{"shown", s->indicated},     {"passed", s->passed},       {"removed", s->removed},
               {"injected", s->injected},   {"dropped", s->dropped},     {"limited", s->limited},
               {"waiting", s->waiting},     {"lost", s->lost},           {"repeated", w->again},
               {"swallowed", w->swallowed}, {"evicted", w->evicted},     {"unwindowed", w->unwindowed},
               {"late", w->late},           {"forgotten", w->forgotten}, {"unchanged", w->unchanged},
               {"early", w->early}};
    json_t *o = json_object();

    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        json_object_set_new(o, all[i].name, json_integer((json_int_t)all[i].value));
    return o;
}
