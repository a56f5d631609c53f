/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One column of a block, word by word: few columns have more than one or two words with candidates, and a
 * load of one word touches one cache line. See struct ix_line for where the words of a class stand.
 */
static inline __attribute__((always_inline)) void ix_piece(struct engine_cursor *c, const struct ix_block *b,
                                                           UINT32 column, const bool narrow)
{
    UINT32 first = b->first + column * 512, found = c->found, dims = b->dims;
    const UINT64 *words[ENGINE_MAX_FIELDS];
    UINT32 has[ENGINE_MAX_FIELDS];

    for (UINT32 i = 0; i < dims; i++) {
        has[i] = ((const UINT8 *)c->line[i])[column];
        words[i] = b->of[i].pool + ix_start(&b->of[i], c->line[i], column, narrow);
    }
    for (UINT32 want = ((const UINT8 *)c->summary)[column]; want != 0; want &= want - 1) {
        UINT32 below = (want & -want) - 1;
        UINT64 x = ~0ULL;

        for (UINT32 i = 0; i < dims; i++)
            x &= words[i][__builtin_popcount(has[i] & below)];
        c->word[found] = x;
        c->base[found] = first + 64 * (UINT32)__builtin_ctz(want);
        found += x != 0;
    }
    c->found = found;
}
