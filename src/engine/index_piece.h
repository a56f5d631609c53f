/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One column of a block, word by word: for kernels without an instruction that spreads packed words. See
 * struct ix_line for where the words of a class stand.
 */
static inline void ix_piece(struct engine_cursor *c, const struct ix_block *b, UINT32 column)
{
    UINT32 want = ((const UINT8 *)c->summary)[column], n = c->found, first = n;

    for (UINT32 m = want; m != 0; m &= m - 1, n++) {
        c->word[n] = ~0ULL;
        c->base[n] = b->first + column * 512 + 64 * (UINT32)__builtin_ctz(m);
    }
    for (UINT32 i = 0; i < b->dims; i++) {
        const struct ix_line *line = c->line[i];
        UINT32 has = ((const UINT8 *)line->summary)[column];
        const UINT64 *words = b->of[i].pool + ix_start(&b->of[i], line, column);

        n = first;
        for (UINT32 m = want; m != 0; m &= m - 1, n++)
            c->word[n] &= words[__builtin_popcount(has & ((m & -m) - 1))];
    }
    for (UINT32 i = first; i < n; i++) {
        c->word[c->found] = c->word[i];
        c->base[c->found] = c->base[i];
        c->found += c->word[i] != 0;
    }
}
