/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fields: what a layer's field means to explain: its name for people, how its values are written, whether it
 * can be EMPTY, and which fields of different layers are one and the same thing.
 */
#ifndef WEIR_EXPLAIN_FIELDS_H
#define WEIR_EXPLAIN_FIELDS_H

#include "engine/facts.h"

/* What a value stands for. Everything that the questions do not treat specially is MEANS_OTHER. */
enum explain_meaning {
    MEANS_OTHER,
    MEANS_PROTOCOL,
    MEANS_LOCAL_ADDRESS,
    MEANS_REMOTE_ADDRESS,
    MEANS_SOURCE_ADDRESS,
    MEANS_DESTINATION_ADDRESS,
    MEANS_LOCAL_ADDRESS_TYPE,
    MEANS_DESTINATION_ADDRESS_TYPE,
    MEANS_LOCAL_PORT,
    MEANS_REMOTE_PORT,
    MEANS_ORIGINAL_ICMP_TYPE,
    MEANS_DIRECTION,
    MEANS_FLAGS,
    MEANS_APP,
    MEANS_ORIGINAL_APP,
    MEANS_USER,
    MEANS_PACKAGE,
    MEANS_PACKAGE_FAMILY,
    MEANS_REMOTE_IDENTITY, /* remote user, remote machine: known only through IPsec */
    MEANS_SECURITY_REALM,
    MEANS_PROFILE, /* the original and the current profile */
    MEANS_INTERFACE_PROFILE,
    MEANS_REAUTHORIZE_REASON,
    MEANS_PROMISCUOUS,
    MEANS_LOCAL_INTERFACE, /* the LUIDs, and what goes with each of them */
    MEANS_ARRIVAL_INTERFACE,
    MEANS_NEXTHOP_INTERFACE,
};

/* How a value is written, beyond what its data type says. */
enum explain_notation {
    WRITES_PLAIN,
    WRITES_APP,      /* a program's path */
    WRITES_PROTOCOL, /* tcp, udp ... */
    WRITES_ICMP_CODE,
    WRITES_DIRECTION, /* in, out */
    WRITES_PROFILE,   /* public, private, domain */
    WRITES_ADDRESS_TYPE,
    WRITES_FLAGS, /* names joined by |, of the group `flags` */
    WRITES_IF_TYPE,
    WRITES_TUNNEL_TYPE,
};

/* Which member of an interface the field is. */
enum explain_part { PART_NONE, PART_LUID, PART_TYPE, PART_TUNNEL, PART_INDEX, PART_SUB_INDEX };

struct explain_field {
    const char *name; /* FWPM_CONDITION_... without the prefix */
    const char *words;
    enum explain_meaning meaning;
    enum explain_notation notation;
    enum explain_part part;
    const char *flags_group;  /* WRITES_FLAGS: the group in data/constants.tsv */
    const char *flags_prefix; /* what may be left out of a name */
    bool may_be_empty;        /* there are indications without a value (MATCH-12) */
};

/* Never NULL: fields that the table does not list are OTHER, and may be empty. */
const struct explain_field *explain_field_of(const struct engine_field *f);

/* "remote port" for people; made from the name where the table has none. buf is used if needed. */
const char *explain_field_words(const struct engine_field *f, char *buf, size_t size);

/* The name without FWPM_CONDITION_. */
const char *explain_field_short(const struct engine_field *f);

/* The layer's field with this name: with or without FWPM_CONDITION_, any case; ICMP_TYPE and ICMP_CODE too
 * (MATCH-19). NULL: none. */
const struct engine_field *explain_field_find(const struct engine_layer *layer, const char *name);

/* Is this name a field of any layer? */
bool explain_field_exists(const char *name);

#endif
