# SPDX-License-Identifier: Apache-2.0
"""Captures read a second time, for tests: pcap (micro- and nanoseconds, both byte orders, Kuznetzov's longer records) and
pcapng (sections in both byte orders, interfaces, enhanced, simple and old packet blocks), from the formats' descriptions
alone. read(bytes) gives the packets up to the end or to where the file is broken:

    packets, fault = read(data)

each packet a Packet; fault None or a text. Time is a Fraction of seconds since 1970, None where the file has none.
"""
import struct
from collections import namedtuple
from fractions import Fraction

Packet = namedtuple("Packet", "link time captured length data comments interface")
MAGICS = {0xA1B2C3D4: (10**6, 16), 0xA1B23C4D: (10**9, 16), 0xA1B2CD34: (10**6, 24)}


class Broken(Exception):
    pass


def read(data):
    packets = []
    try:
        if data[:4] == b"\x0a\x0d\x0d\x0a":
            read_pcapng(data, packets)
        else:
            read_pcap(data, packets)
    except Broken as e:
        return packets, str(e)
    return packets, None


def read_pcap(data, packets):
    for order in "<>":
        if len(data) >= 24 and struct.unpack_from(order + "I", data)[0] in MAGICS:
            break
    else:
        raise Broken("no capture")
    units, record = MAGICS[struct.unpack_from(order + "I", data)[0]]
    link = struct.unpack_from(order + "I", data, 20)[0] & 0xFFFF
    at = 24
    while at < len(data):
        if len(data) - at < record:
            raise Broken("a record's header is cut")
        seconds, fraction, captured, length = struct.unpack_from(order + "4I", data, at)
        at += record
        if captured > len(data) - at:
            raise Broken("a record is cut: %d bytes, %d are there" % (captured, len(data) - at))
        packets.append(Packet(link, seconds + Fraction(fraction, units), captured, length, data[at:at + captured], [], 0))
        at += captured


def options(body, at, order):
    """(code, value) of each option."""
    while len(body) - at >= 4:
        code, size = struct.unpack_from(order + "HH", body, at)
        at += 4
        if code == 0:
            return
        if size > len(body) - at:
            raise Broken("an option runs over its block")
        yield code, body[at:at + size]
        at += (size + 3) & ~3


def read_pcapng(data, packets):
    at, order, interfaces = 0, "<", []
    while at < len(data):
        if len(data) - at < 12:
            raise Broken("a block's header is cut")
        kind = struct.unpack_from(order + "I", data, at)[0]
        if kind == 0x0A0D0D0A:
            magic = data[at + 8:at + 12]
            order = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}.get(magic)
            if order is None:
                raise Broken("a section without its byte-order magic")
        size = struct.unpack_from(order + "I", data, at + 4)[0]
        if size < 12 or size % 4 or size > len(data) - at:
            raise Broken("a block of %d bytes, %d are there" % (size, len(data) - at))
        if struct.unpack_from(order + "I", data, at + size - 4)[0] != size:
            raise Broken("a block's two lengths differ")
        body = data[at + 8:at + size - 4]
        at += size
        if kind == 0x0A0D0D0A:
            if len(body) < 16 or struct.unpack_from(order + "H", body, 4)[0] != 1:
                raise Broken("a section of another version")
            interfaces = []
        elif kind == 1:
            if len(body) < 8:
                raise Broken("an interface is cut")
            link, _, snap = struct.unpack_from(order + "HHI", body)
            units, offset = 10**6, 0
            for code, value in options(body, 8, order):
                if code == 9 and value:
                    units = 2 ** (value[0] & 0x7F) if value[0] & 0x80 else 10 ** value[0]
                elif code == 14 and len(value) == 8:
                    offset = struct.unpack(order + "q", value)[0]
            interfaces.append((link, snap, units, offset))
        elif kind in (2, 6):
            if len(body) < 20:
                raise Broken("a packet block is cut")
            if kind == 6:
                number, high, low, captured, length = struct.unpack_from(order + "5I", body)
            else:
                number, _, high, low, captured, length = struct.unpack_from(order + "HHIIII", body)
            if number >= len(interfaces):
                raise Broken("a packet of interface %d of %d" % (number, len(interfaces)))
            if captured > len(body) - 20:
                raise Broken("a packet of %d bytes in a block of %d" % (captured, len(body) - 20))
            link, _, units, offset = interfaces[number]
            comments = [v for code, v in options(body, 20 + ((captured + 3) & ~3), order) if code == 1]
            packets.append(Packet(link, offset + Fraction(high << 32 | low, units), captured, length,
                                  body[20:20 + captured], comments, number))
        elif kind == 3:
            if len(body) < 4 or not interfaces:
                raise Broken("a simple packet without an interface")
            length = struct.unpack_from(order + "I", body)[0]
            link, snap, _, _ = interfaces[0]
            captured = min(length, snap) if snap else length
            if captured > len(body) - 4:
                raise Broken("a simple packet of %d bytes in a block of %d" % (captured, len(body) - 4))
            packets.append(Packet(link, None, captured, length, body[4:4 + captured], [], 0))
