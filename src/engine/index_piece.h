/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One column of a block, word by word, for kernels without an instruction that spreads packed words. Appends
 * the words with matches to the cursor's, `found` so far; returns how many there are now. view: of the first
 * four dims.
 */
static inline __attribute__((always_inline)) UINT32 ix_piece(struct engine_cursor *c,
                                                             const struct ix_block *b,
                                                             const struct ix_view *view, const UINT32 dims,
                                                             UINT32 found, UINT32 column, const bool narrow)
{
    const UINT64 *words[ENGINE_MAX_FIELDS];
    UINT32 has[ENGINE_MAX_FIELDS];

    (void)view;
    for (UINT32 i = 0; i < dims; i++) {
        has[i] = ((const UINT8 *)c->line[i])[column];
        words[i] = b->of[i].pool + ix_start(&b->of[i], c->line[i], column, narrow);
    }
    for (UINT32 want = ((const UINT8 *)c->summary)[column]; want != 0; want &= want - 1) {
        UINT32 below = (want & -want) - 1;
        UINT64 x = ~0ULL;

        for (UINT32 i = 0; i < dims; i++)
            x &= words[i][__builtin_popcount(has[i] & below)];
        c->bit[found] = (UINT8)__builtin_ctz(want);
        c->column[found] = (UINT8)column;
        c->word[8 * column + c->bit[found]] = x;
        found += x != 0;
    }
    return found;
}
