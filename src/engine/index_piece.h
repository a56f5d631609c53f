/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One column of a block, word by word: for kernels without an instruction that spreads packed words. See
 * struct ix_line for where the words of a class stand.
 */
static inline UINT32 ix_piece_start(const struct ix_line *line, const struct ix_block_field *bf,
                                    UINT32 column)
{
    UINT64 bit = 1ULL << column;

    if (line->other & bit)
        return bf->refs[line->ref + (UINT32)__builtin_popcountll(line->other & (bit - 1))];
    return bf->usual[column];
}

static inline UINT32 ix_piece(struct engine_cursor *c, const struct ix_block_field *bf, UINT32 fields,
                              UINT32 column)
{
    UINT32 want = ((const UINT8 *)c->summary)[column], live = 0;

    for (UINT32 m = want; m != 0; m &= m - 1)
        c->piece[__builtin_ctz(m)] = ~0ULL;
    for (UINT32 i = 0; i < fields; i++) {
        const struct ix_line *line = c->line[i];
        UINT32 has = ((const UINT8 *)line->summary)[column];
        const UINT64 *words = bf[i].pool + ix_piece_start(line, &bf[i], column);

        for (UINT32 m = want; m != 0; m &= m - 1) {
            UINT32 k = (UINT32)__builtin_ctz(m);

            c->piece[k] &= words[__builtin_popcount(has & ((1u << k) - 1))];
        }
    }
    for (UINT32 m = want; m != 0; m &= m - 1)
        live |= (UINT32)(c->piece[__builtin_ctz(m)] != 0) << __builtin_ctz(m);
    return live;
}
