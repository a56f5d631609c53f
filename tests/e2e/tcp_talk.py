# SPDX-License-Identifier: Apache-2.0
"""TCP connections written into captures segment by segment, for tests: what one wants to have been lost, repeated, or sent wrongly."""
import struct


def total(data):
    data += b"\0" * (len(data) % 2)
    s = sum(struct.unpack(">%dH" % (len(data) // 2), data))
    while s >> 16:
        s = (s & 0xffff) + (s >> 16)
    return s


class Talk:
    """A connection as a capture shows it; positions count from 0, the SYN. ends: the two IPv4 addresses."""
    def __init__(self, port, link="ethernet", six=False, isn=(1000, 5000), mss=(1460, 1460), stamps=False, scale=7,
                 ends=(bytes([192, 0, 2, 20]), bytes([192, 0, 2, 30])), opens=True):
        self.frames, self.port, self.link, self.six, self.isn, self.mss, self.stamps = [], port, link, six, isn, mss, stamps
        self.scale, self.now, self.ack, self.sent, self.window, self.id = scale, 1000000, [0, 0], [0, 0], [500, 500], [1, 1]
        self.ends = ends
        if opens:
            self.handshake()

    def put(self, way, at, data=b"", flags=0x10, ack=None, window=None, options=b"", seen=True, urgent=0):
        self.now += 1000
        self.id[way] += 1
        if not seen:
            return
        ack = self.ack[way] if ack is None else ack
        if self.stamps:
            options += b"\1\1\10\12" + struct.pack(">II", self.now // 1000, self.now // 1000)
        ports = (40000 + self.port, 80) if way == 0 else (80, 40000 + self.port)
        tcp = struct.pack(">HHIIBBHHH", *ports, (self.isn[way] + at) & 0xffffffff,
                          (self.isn[1 - way] + ack) & 0xffffffff if flags & 0x10 else 0, (5 + len(options) // 4) << 4, flags,
                          self.window[way] if window is None else window, 0, urgent) + options + data
        if self.six:
            ends = [bytes.fromhex("20010db8%024x" % n) for n in (20, 30)]
            ends = ends if way == 0 else ends[::-1]
            pseudo = ends[0] + ends[1] + struct.pack(">II", len(tcp), 6)
            ip = struct.pack(">IHBB", 6 << 28, len(tcp), 6, 64) + ends[0] + ends[1]
        else:
            ends = self.ends if way == 0 else self.ends[::-1]
            pseudo = ends[0] + ends[1] + struct.pack(">HH", 6, len(tcp))
            ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(tcp), self.id[way], 0x4000, 64, 6, 0) + ends[0] + ends[1]
            ip = ip[:10] + struct.pack(">H", 0xffff - total(ip)) + ip[12:]
        tcp = tcp[:16] + struct.pack(">H", 0xffff - total(pseudo + tcp)) + tcp[18:]
        kind = b"\x86\xdd" if self.six else b"\x08\x00"
        macs = bytes([2, 0, 0, 0, 0, 2 - way, 2, 0, 0, 0, 0, 1 + way])
        link = {"ethernet": macs + kind, "vlan": macs + b"\x81\x00\x00\x07" + kind, "raw": b""}[self.link]
        self.frames.append((self.now, link + ip + tcp))

    def handshake(self):
        for way, flags in ((0, 2), (1, 0x12)):
            self.sent[way] = 1
            self.put(way, 0, flags=flags, ack=0 if way == 0 else 1,
                     options=struct.pack(">BBHBBBB", 2, 4, self.mss[way], 1, 3, 3, self.scale) + b"\4\2\1\1", window=65000)
            self.ack[1 - way] = 1
        self.put(0, 1)

    def say(self, way, data, push=True, seen=True, arrives=True, urgent=0):
        """One segment; False: it does not reach the capture; `arrives`: the other end."""
        at = self.sent[way]
        self.put(way, at, data, flags=0x10 | (8 if push else 0) | (0x20 if urgent else 0), seen=seen, urgent=urgent)
        self.sent[way] += len(data)
        if arrives and self.ack[1 - way] == at:
            self.ack[1 - way] = self.sent[way]
        return at, data

    def stream(self, way, data, size=1000):
        for i in range(0, len(data), size):
            self.say(way, data[i:i + size], push=i + size >= len(data))
            if i // size % 2:
                self.put(1 - way, self.sent[1 - way])
        self.put(1 - way, self.sent[1 - way])

    def again(self, way, piece):
        self.put(way, *piece, flags=0x18)
        if self.ack[1 - way] == piece[0]:
            self.ack[1 - way] = self.sent[way]

    def bye(self, first=0):
        for way in (first, 1 - first):
            self.put(way, self.sent[way], flags=0x11)
            self.sent[way] += 1
            self.ack[1 - way] = self.sent[way]
            self.put(1 - way, self.sent[1 - way])


def write(path, talks, link=1):
    frames = sorted((f for t in talks for f in t.frames), key=lambda f: f[0])
    with open(path, "wb") as f:
        f.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 262144, link))
        for us, data, *size in frames:  # size: before it was cut off
            f.write(struct.pack("<IIII", 1000 + us // 1000000, us % 1000000, len(data), size[0] if size else len(data)) + data)
    return path
