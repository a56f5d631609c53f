#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The bit slots of automatic filter weights, as C.

usage: gen_weights.py DATA_DIR OUTPUT

weight_model.tsv says which slots are known, per layer and class of Windows build. Every layer gets a complete default
table: the newest class known there, and for fields that it does not cover (or for layers that nothing is known of) a
slot by the order of priority that the known layers show, so that the more specific filter comes first everywhere.
"""
import csv
import os
import sys

CLASSES = 'NOI'
TOP = 60  # automatic weights are below 2^60
BITS = {'FWP_UINT8': 8, 'FWP_UINT16': 16, 'FWP_UINT32': 32, 'FWP_UINT64': 64, 'FWP_BYTE_ARRAY16_TYPE': 128}


def rows(data, name):
    with open(os.path.join(data, name), encoding='utf-8') as f:
        return list(csv.DictReader(f, delimiter='\t'))


def rank(name):
    """Priority of a field, 0 the highest."""
    if name.endswith('PEER_NAME'):
        return 0
    if name in ('IP_LOCAL_ADDRESS', 'IP_REMOTE_ADDRESS', 'IP_SOURCE_ADDRESS', 'IP_DESTINATION_ADDRESS'):
        return 1
    if name.endswith('_TYPE') and not name.endswith('ICMP_TYPE') or name.endswith('_ADDRESS_TYPE'):
        return 11
    if name.endswith('_INTERFACE'):
        return 2
    if name in ('IP_PROTOCOL',):
        return 3
    if name in ('IP_LOCAL_PORT', 'ICMP_TYPE', 'ORIGINAL_ICMP_TYPE'):
        return 4
    if name in ('IP_REMOTE_PORT', 'ICMP_CODE'):
        return 5
    if name in ('ALE_APP_ID', 'ALE_ORIGINAL_APP_ID', 'ALE_PACKAGE_ID', 'ALE_PACKAGE_FAMILY_NAME'):
        return 6
    if name == 'ALE_USER_ID':
        return 7
    if name == 'FLAGS':
        return 9
    if name == 'ALE_SIO_FIREWALL_SYSTEM_PORT':
        return 10
    if name.startswith('ORIGINAL_PROFILE'):
        return 12
    if name.endswith('PROFILE_ID'):
        return 13
    if name.endswith('QUARANTINE_EPOCH'):
        return 14
    return 8


def wanted(rank_, bits):
    """(width, total bits or 0 for a one-bit slot) of a slot made by priority."""
    return {1: (9 if bits == 128 else 7, 2 * bits), 3: (3, 8), 4: (6, 32), 5: (6, 16),
            12: (3, 32), 13: (3, 32)}.get(rank_, (1, 0))


def complete(fields, known):
    """known: field index -> (low, width, total). Adds a slot for each field that has none."""
    table = dict(known)
    used = 0
    for low, width, _ in known.values():
        used |= ((1 << width) - 1) << low
    known_ranks = [(rank(fields[i][0]), low, width) for i, (low, width, _) in known.items()]
    made = {}
    for i in sorted((i for i in range(len(fields)) if i not in known), key=lambda i: (rank(fields[i][0]), i)):
        name, data_type = fields[i]
        r = rank(name)
        shared = next((k for k in known.items() if rank(fields[k[0]][0]) == r and r in (1, 4, 6)), None)
        if shared or r in made and r in (1, 4, 6, 11):
            table[i] = shared[1] if shared else made[r]
            continue
        width, total = wanted(r, BITS.get(data_type, 0))
        if total and data_type not in BITS:
            width, total = 1, 0
        upper = min([low for k, low, _ in known_ranks if k < r] + [TOP])
        slot = None
        while width and slot is None:
            for low in range(upper - width, -1, -1):
                if not used >> low & ((1 << width) - 1):
                    slot = (low, width, total)
                    break
            width -= 1
        if slot is None:  # no bit left: share the lowest, which then says 'and something else'
            slot = (0, 1, 0)
        used |= ((1 << slot[1]) - 1) << slot[0]
        table[i] = slot
        if not known:
            known_ranks.append((r, slot[0], slot[1]))
        made[r] = slot
    return table


def emit(out, name, count, table):
    cells = ['{%d, %d, %d}' % table.get(i, (0, 0, 0)) for i in range(count)]
    out.append('static const struct weight_slot %s[] = {%s};' % (name, ', '.join(cells)))


def main():
    data, output = sys.argv[1:]
    fields = {}
    for r in rows(data, 'fields.tsv'):
        fields.setdefault(int(r['layerId']), []).append((int(r['field_index']), r['fwpm_condition'], r['data_type']))
    model = {}
    for r in rows(data, 'weight_model.tsv'):
        model.setdefault((r['layer'], r['dump_class']), {})[r['condition']] = (
            int(r['low_bit']), int(r['width']), int(r['total_bits']))
    out = ['/* Made by tools/gen_weights.py from data/weight_model.tsv. */']
    index = []
    for layer in rows(data, 'layers.tsv'):
        number = int(layer['layerId'])
        name = (layer['fwpm_name'] or layer['fwps_name']).split('_LAYER_', 1)[-1]
        own = [(c.replace('FWPM_CONDITION_', ''), t) for _, c, t in sorted(fields.get(number, []))]
        where = {c: i for i, (c, _) in enumerate(own)}
        entry = {}
        default = None
        for c in CLASSES:
            known = {where[k]: v for k, v in model.get((name, c), {}).items() if k in where}
            if len(known) != len(model.get((name, c), {})):
                sys.exit('%s: a condition of weight_model.tsv is no field of this layer' % name)
            if known:
                entry[c] = 'slots_%d_%s' % (number, c)
                emit(out, entry[c], len(own), known)
                if default is None:
                    default = known
        if own:
            entry['default'] = 'slots_%d' % number
            emit(out, entry['default'], len(own), complete(own, default or {}))
        index.append('    [%d] = {%s, {%s}, %d},' % (
            number, entry.get('default', 'NULL'), ', '.join(entry.get(c, 'NULL') for c in CLASSES),
            int(name.endswith('_FAST'))))
    out.append('static const struct weight_layer weight_layers[] = {')
    out += index + ['};', '']
    with open(output, 'w', encoding='utf-8') as f:
        f.write('\n'.join(out))


if __name__ == '__main__':
    main()
