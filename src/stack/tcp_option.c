/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tcp_option: MSS, window scale, SACK (RFC 2018), timestamps (RFC 7323), read and written.
 *
 * What is not known is skipped; what has a wrong length is not there. On a SYN all of ours are offered, on its answer
 * those that were offered to us. The block that came last is told first.
 */
#include "stack/internal.h"
#include "wire/cursor.h"

enum { END = 0, NOP = 1, MSS = 2, SCALE = 3, SACK_PERMITTED = 4, SACK = 5, STAMPS = 8 };

void tcp_options_read(const uint8_t *h, uint32_t size, struct tcp_options *out)
{
    memset(out, 0, sizeof(*out));
    for (uint32_t at = TCP_HEADER, n; at < size && h[at] != END; at += n) {
        n = h[at] == NOP ? 1 : at + 1 < size ? h[at + 1] : 0;
        if (n == 0 || n > size - at || (n < 2 && h[at] != NOP))
            return;
        if (h[at] == MSS && n == 4) {
            out->mss = wire_get16(h + at + 2);
        } else if (h[at] == SCALE && n == 3) {
            out->has_scale = true;
            out->scale = h[at + 2] > 14 ? 14 : h[at + 2];
        } else if (h[at] == SACK_PERMITTED && n == 2) {
            out->sack_permitted = true;
        } else if (h[at] == STAMPS && n == 10) {
            out->has_ts = true;
            out->ts_value = wire_get32(h + at + 2);
            out->ts_echo = wire_get32(h + at + 6);
        } else if (h[at] == SACK && n % 8 == 2) {
            for (uint32_t i = 2; i < n && out->blocks < SACK_BLOCKS; i += 8)
                out->sack[out->blocks++] = (struct range){wire_get32(h + at + i), wire_get32(h + at + i + 4)};
        }
    }
}

uint32_t tcp_stamp_at(const struct tcp_socket *t, uint64_t ns)
{
    return (uint32_t)(ns / MILLISECOND) + t->ts_offset;
}

uint32_t tcp_options_size(const struct tcp_socket *t)
{
    return t->stamps ? 12 : 0;
}

static uint8_t *write_stamps(const struct tcp_socket *t, bool acks, uint8_t *at)
{
    *at++ = NOP;
    *at++ = NOP;
    *at++ = STAMPS;
    *at++ = 10;
    put32(at, tcp_stamp_at(t, t->socket.stack->now));
    put32(at + 4, acks ? t->ts_recent : 0);
    return at + 8;
}

static uint8_t *write_syn(const struct tcp_socket *t, uint8_t *at)
{
    *at++ = MSS;
    *at++ = 4;
    put16(at, tcp_own_mss(t));
    at += 2;
    if (t->scaled) {
        *at++ = NOP;
        *at++ = SCALE;
        *at++ = 3;
        *at++ = t->scale_out;
    }
    if (t->sack) {
        *at++ = NOP;
        *at++ = NOP;
        *at++ = SACK_PERMITTED;
        *at++ = 2;
    }
    return at;
}

static uint8_t *write_block(const struct range *r, uint8_t *at)
{
    put32(at, r->first);
    put32(at + 4, r->end);
    return at + 8;
}

static uint8_t *write_sack(const struct tcp_socket *t, uint8_t *at)
{
    const uint32_t most = t->stamps ? 3 : 4, count = t->range_count < most ? t->range_count : most;
    uint32_t latest = 0, written = 1;

    for (uint32_t i = 0; i < t->range_count; i++) {
        if (seq_le(t->ranges[i].first, t->latest) && seq_lt(t->latest, t->ranges[i].end))
            latest = i;
    }
    *at++ = NOP;
    *at++ = NOP;
    *at++ = SACK;
    *at++ = (uint8_t)(2 + 8 * count);
    at = write_block(&t->ranges[latest], at);
    for (uint32_t i = 0; i < t->range_count && written < count; i++) {
        if (i == latest)
            continue;
        at = write_block(&t->ranges[i], at);
        written++;
    }
    return at;
}

uint32_t tcp_options_write(const struct tcp_socket *t, uint8_t flags, uint8_t *out)
{
    uint8_t *at = out;

    if ((flags & WIRE_TCP_RST) != 0)
        return 0;
    if ((flags & WIRE_TCP_SYN) != 0)
        at = write_syn(t, at);
    if (t->stamps)
        at = write_stamps(t, (flags & WIRE_TCP_ACK) != 0, at);
    if ((flags & WIRE_TCP_SYN) == 0 && t->sack && t->range_count != 0)
        at = write_sack(t, at);
    return (uint32_t)(at - out);
}
