#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The servers that the demo's capture talks to, and its two multicast announcements: for scripts/demo-capture.

usage: demo_peers.py net CERTIFICATE KEY     serves on the addresses of the network's side
       demo_peers.py host                    serves on the machine's side
       demo_peers.py announce ADDRESS        sends one mDNS and one SSDP announcement from there
       demo_peers.py lookup ADDRESS NAME     asks for NAME by mDNS from there, and waits for the answer
The first two write "ready" and serve until they are ended. Nothing here is a full server of its protocol:
as much as curl and dig need.
"""

import http.server
import socket
import ssl
import struct
import sys
import threading

NAMES = {  # name -> (A, AAAA)
    "www.northwind.example": ("198.51.100.80", "2001:db8::80"),
    "printer.local": ("192.0.2.77", None),
}
PAGE = b"<!doctype html><title>Northwind</title><p>%s</p>\n"


class Page(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "demo", ""

    def answer(self, code, body):
        self.send_response(code)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer(200, PAGE % self.path.encode())

    def do_PUT(self):
        left = int(self.headers["Content-Length"])
        while left > 0:
            left -= len(self.rfile.read(min(left, 65536)))
        self.answer(201, b"stored\n")

    def log_message(self, *_):
        pass


class Web(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address, port, context=None):
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        super().__init__((address, port), Page)
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_side=True)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def server_bind(self):
        socket.setdefaulttimeout(None)
        http.server.socketserver.TCPServer.server_bind(self)  # without asking for this host's name
        self.server_name, self.server_port = self.server_address[:2]


def dns_answer(query, legacy_ttl=None):
    """The answer to a query of one question: what NAMES has, or NXDOMAIN."""
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode("ascii", "replace"))
        at += 1 + query[at]
    kind = struct.unpack_from("!H", query, at + 1)[0]
    question = query[12:at + 5]
    a, aaaa = NAMES.get(".".join(labels).lower(), (None, None))
    data = {1: a and socket.inet_pton(socket.AF_INET, a), 28: aaaa and socket.inet_pton(socket.AF_INET6, aaaa)}.get(kind)
    known = a is not None or aaaa is not None
    header = query[:2] + struct.pack("!HHHHH", 0x8580 | (0 if known else 3), 1, 1 if data else 0, 0, 0)
    record = b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, legacy_ttl or 300, len(data)) + data if data else b""
    return header + question + record


def datagrams(family, address, port, group=None):
    s = socket.socket(family, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("" if group else address, port))
    if group:
        s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(group) + socket.inet_aton(address))

    def serve():
        while True:
            query, peer = s.recvfrom(4096)
            if query[2] & 0x80:  # an answer, or an announcement
                continue
            if group:  # to a resolver that asks once, the answer goes back to its port
                out = socket.socket(family, socket.SOCK_DGRAM)
                out.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                out.bind((address, port))
                out.sendto(dns_answer(query, 10), peer)
                out.close()
            else:
                s.sendto(dns_answer(query), peer)

    threading.Thread(target=serve, daemon=True).start()


def broker(address, port):
    """As much of MQTT as one publication of quality 0 needs."""
    listener = socket.create_server((address, port))

    def serve():
        while True:
            c, _ = listener.accept()
            if c.recv(4096)[:1] == b"\x10":
                c.sendall(b"\x20\x02\x00\x00")
            while c.recv(4096):
                pass
            c.close()

    threading.Thread(target=serve, daemon=True).start()


def announce(address):
    def send(group, port, source_port, payload):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(address))
        s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 255 if port == 5353 else 4)
        s.bind((address, source_port))
        s.sendto(payload, (group, port))
        s.close()

    name = b"\x07printer\x05local\0"
    send("224.0.0.251", 5353, 5353, struct.pack("!6H", 0, 0x8400, 0, 1, 0, 0) + name
         + struct.pack("!HHIH", 1, 0x8001, 120, 4) + socket.inet_aton(address))
    send("239.255.255.250", 1900, 49152, (
        "NOTIFY * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nCACHE-CONTROL: max-age=1800\r\n"
        f"LOCATION: http://{address}:49152/printer.xml\r\nNT: upnp:rootdevice\r\nNTS: ssdp:alive\r\n"
        "SERVER: printer/1.0 UPnP/1.1\r\nUSN: uuid:00000000-0000-4000-8000-000000000077::upnp:rootdevice\r\n\r\n").encode())


def lookup(address, name):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(address))
    s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 255)
    s.settimeout(1)
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    s.sendto(struct.pack("!6H", 77, 0, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", 1, 1), ("224.0.0.251", 5353))
    s.recvfrom(4096)


def main():
    role = sys.argv[1]
    if role == "announce":
        announce(sys.argv[2])
        return
    if role == "lookup":
        lookup(sys.argv[2], sys.argv[3])
        return
    if role == "net":
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(sys.argv[2], sys.argv[3])
        for address, port in (("198.51.100.80", 80), ("198.51.100.20", 80), ("2001:db8::80", 80), ("203.0.113.10", 8443),
                              ("203.0.113.11", 8443)):
            Web(address, port)
        Web("198.51.100.7", 443, tls)
        Web("198.51.100.23", 23)  # curl speaks first: telnet's own options
        broker("198.51.100.20", 8883)
        datagrams(socket.AF_INET, "192.0.2.1", 53)
        datagrams(socket.AF_INET6, "2001:db8:bad::53", 53)
        datagrams(socket.AF_INET, "192.0.2.77", 5353, group="224.0.0.251")
    else:
        for port in (8005, 8010, 8011, 8444, 445):
            Web("192.0.2.20", port)
        datagrams(socket.AF_INET, "192.0.2.20", 5353, group="224.0.0.251")
    print("ready", flush=True)
    threading.Event().wait()


main()
