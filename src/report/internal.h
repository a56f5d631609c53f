/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report's inside: JSON text written straight into a bounded buffer, and values as text. No other room
 * includes it.
 *
 * jansson builds trees, which is fine for a document and too slow for a million lines; these functions write
 * the same notation (doc/json.md) byte by byte.
 */
#ifndef WEIR_REPORT_INTERNAL_H
#define WEIR_REPORT_INTERNAL_H

#include <string.h>

#include "explain/explain.h"
#include "report/report.h"

#define OUT_SIZE 65536u

/* Text on its way to a stream; the first error sticks. */
struct out {
    FILE *stream;
    int error; /* 0 or negative errno */
    size_t used;
    char bytes[OUT_SIZE];
};

void out_flush(struct out *o);
void out_bytes(struct out *o, const char *bytes, size_t size);
void out_number(struct out *o, UINT64 n);
/* In quotes, escaped. Bytes that are no UTF-8 become U+FFFD. */
void out_string(struct out *o, const char *text);
static inline void out_text(struct out *o, const char *text)
{
    out_bytes(o, text, strlen(text));
}
static inline void out_char(struct out *o, char c)
{
    if (o->used == OUT_SIZE)
        out_flush(o);
    o->bytes[o->used++] = c;
}

/* ---- values (value.c) -------------------------------------------------------------------------------- */

#define VALUE_CACHE 256

/* JSON of blobs that were written before: programs, mostly. A place is taken by the newest. */
struct value_memo {
    struct {
        UINT8 *bytes;
        char *json;
        UINT32 size;
        const struct engine_field *field;
    } blobs[VALUE_CACHE];
    struct {
        const FWP_BYTE_BLOB *token;
        char *json;
    } * tokens;
    size_t token_count;
};

/* As explain_value_to_json() would have it. */
void value_write(struct out *o, struct value_memo *m, const struct engine_field *field, const FWP_VALUE0 *v);
int value_memo_token(struct value_memo *m, const FWP_BYTE_BLOB *token, const char *json);
void value_memo_free(struct value_memo *m);

/* ---- words that several files share ------------------------------------------------------------------- */

/* "FWPS_DISCARD_MODULE_NETWORK"; "?" if it has no name. */
const char *discard_module_name(FWPS_DISCARD_MODULE0 module);
/* "IpDiscardNoRoute"; NULL: no name. */
const char *discard_reason_name(FWPS_DISCARD_MODULE0 module, UINT32 reason);
const char *protocol_text(uint8_t protocol, char buf[16]); /* "TCP", "47" */
/* "10.0.0.1:443", "[fe80::1]:53", "10.0.0.1" where a protocol has no ports. */
#define END_TEXT 64
const char *end_text(uint8_t version, uint8_t protocol, const union wire_addr *a, UINT16 port,
                     char out[END_TEXT]);

#endif
