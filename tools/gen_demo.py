#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the demo's machine: data/demo/demo.wfpstate.xml, in the form of `netsh wfp show state`.

usage: gen_demo.py <data folder> <output file>

An invented workstation of Contoso's: Windows Firewall with a few rules, Contoso's endpoint agent, Fabrikam's VPN, what
is left of Northwind's antivirus. Its situations are described in data/demo/README.md. All keys, names and
addresses are invented (documentation addresses), names of Windows' own objects are real. Only the layers that
hold something are listed.
"""

import hashlib
import struct
import sys
import uuid

from facts_tables import Tables

OUT = []
SPACE = uuid.UUID("6f0e3c52-64a1-5d0e-9f6e-0c0a5e1d0001")
USER = "S-1-5-21-1000000001-2000000002-3000000003-1001"


def key(name):
    return "{%s}" % uuid.uuid5(SPACE, name)


def service_sid(name):
    words = struct.unpack("<5I", hashlib.sha1(name.upper().encode("utf-16le")).digest())
    return "S-1-5-80-" + "-".join(str(w) for w in words)


# ---- elements --------------------------------------------------------------------------------------------------


def line(depth, text):
    OUT.append("\t" * depth + text)


def leaf(depth, name, text=""):
    text = str(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    line(depth, f"<{name}>{text}</{name}>" if text else f"<{name}/>")


def items(depth, name, values):
    if not values:
        leaf(depth, name)
        return
    line(depth, f'<{name} numItems="{len(values)}">')
    for v in values:
        leaf(depth + 1, "item", v)
    line(depth, f"</{name}>")


def display(depth, name, description=""):
    line(depth, "<displayData>")
    leaf(depth + 1, "name", name)
    leaf(depth + 1, "description", description)
    line(depth, "</displayData>")


def blob(depth, name, data, wide=False):
    if not data:
        leaf(depth, name)
        return
    line(depth, f"<{name}>")
    leaf(depth + 1, "data", data.hex())
    if wide:
        leaf(depth + 1, "asString", data.decode("utf-16le").rstrip("\0"))
    else:
        leaf(depth + 1, "asString", "".join(chr(b) if 32 <= b < 127 and chr(b) not in "<>&" else "." for b in data))
    line(depth, f"</{name}>")


def path_bytes(path):
    return (path + "\0").encode("utf-16le")


# ---- values: (type, writer) --------------------------------------------------------------------------------------


def u8(v):
    return "FWP_UINT8", lambda d: leaf(d, "uint8", v)


def u16(v):
    return "FWP_UINT16", lambda d: leaf(d, "uint16", v)


def u32(v):  # a number, or an IPv4 address in dots
    return "FWP_UINT32", lambda d: leaf(d, "uint32", v)


def u64(v):
    return "FWP_UINT64", lambda d: leaf(d, "uint64", v)


def empty():
    return "FWP_EMPTY", lambda d: None


def app(path):
    return "FWP_BYTE_BLOB_TYPE", lambda d: blob(d, "byteBlob", path_bytes(path), wide=True)


def sid(v):
    return "FWP_SID", lambda d: leaf(d, "sid", v)


def sd(v):
    return "FWP_SECURITY_DESCRIPTOR_TYPE", lambda d: leaf(d, "sd", v)


def v4(addr, mask):
    def write(d):
        line(d, "<v4AddrMask>")
        leaf(d + 1, "addr", addr)
        leaf(d + 1, "mask", mask)
        line(d, "</v4AddrMask>")

    return "FWP_V4_ADDR_MASK", write


def v6(addr, prefix):
    def write(d):
        line(d, "<v6AddrMask>")
        leaf(d + 1, "addr", addr)
        leaf(d + 1, "prefixLength", prefix)
        line(d, "</v6AddrMask>")

    return "FWP_V6_ADDR_MASK", write


def between(low, high):
    def write(d):
        line(d, "<rangeValue>")
        value(d + 1, "valueLow", low)
        value(d + 1, "valueHigh", high)
        line(d, "</rangeValue>")

    return "FWP_RANGE_TYPE", write


def value(depth, name, v):
    line(depth, f"<{name}>")
    leaf(depth + 1, "type", v[0])
    v[1](depth + 1)
    line(depth, f"</{name}>")


# ---- the machine -------------------------------------------------------------------------------------------------

AGENT = r"\device\harddiskvolume3\program files\contoso\agent\contosoagent.exe"
SERVER = r"\device\harddiskvolume3\program files\contoso\server\contososerver.exe"
BROWSER = r"\device\harddiskvolume3\program files\northwind browser\browser.exe"
SVCHOST = r"\device\harddiskvolume3\windows\system32\svchost.exe"
POSTGRES = r"\device\harddiskvolume3\program files\postgresql\16\bin\postgres.exe"
SYNC = service_sid("ContosoSync")
SYNC_SD = f"O:SYG:SYD:(A;;CCRC;;;{SYNC})"
APPC_SD = "O:LSD:(A;;CC;;;AC)(A;;CC;;;S-1-15-3-1)(A;;CC;;;S-1-15-3-2)(A;;CC;;;S-1-15-3-3)(A;;CC;;;WD)(A;;CC;;;AN)"
INTERNET_SD = "O:LSD:(A;;CC;;;S-1-15-3-1)(A;;CC;;;WD)(A;;CC;;;AN)"

GUARD, KILL, WEB, OLD = key("guard"), key("kill switch"), key("web shield"), key("northwind av")
WF, WSH, ISO = "FWPM_SUBLAYER_MPSSVC_WF", "FWPM_SUBLAYER_MPSSVC_WSH", "FWPM_SUBLAYER_MPSSVC_APP_ISOLATION"
UNIVERSAL = "FWPM_SUBLAYER_UNIVERSAL"
SUBLAYERS = [  # key, name, description, provider, weight: beside Windows' own
    (GUARD, "Contoso Agent Guard", "Keeps the agent reachable", "contoso", 65000),
    (KILL, "Fabrikam VPN Kill Switch", "Keeps office traffic in the tunnel", "fabrikam", 1000),
    (WEB, "Contoso Web Shield", "Looks into web traffic", "contoso", 900),
    (OLD, "Northwind AntiVirus", "", "northwind", 500),
]
PROVIDERS = [
    ("contoso", "Contoso Ltd.", "Contoso Endpoint Agent", "ContosoAgent"),
    ("fabrikam", "Fabrikam, Inc.", "Fabrikam VPN", "FabrikamVpn"),
    ("northwind", "Northwind Traders", "Northwind AntiVirus", "NwAvSvc"),
]
WF_P, WSH_P, ISO_P = "FWPM_PROVIDER_MPSSVC_WF", "FWPM_PROVIDER_MPSSVC_WSH", "FWPM_PROVIDER_MPSSVC_APP_ISOLATION"

REG = "FWPM_CALLOUT_FLAG_REGISTERED"
CONNECT, CONNECT6 = "FWPM_LAYER_ALE_AUTH_CONNECT_V4", "FWPM_LAYER_ALE_AUTH_CONNECT_V6"
ACCEPT, ACCEPT6 = "FWPM_LAYER_ALE_AUTH_RECV_ACCEPT_V4", "FWPM_LAYER_ALE_AUTH_RECV_ACCEPT_V6"
ASSIGN, LISTEN = "FWPM_LAYER_ALE_RESOURCE_ASSIGNMENT_V4", "FWPM_LAYER_ALE_AUTH_LISTEN_V4"
DISCARD, PACKET = "FWPM_LAYER_INBOUND_TRANSPORT_V4_DISCARD", "FWPM_LAYER_INBOUND_IPPACKET_V4"
FLOW = "FWPM_LAYER_ALE_FLOW_ESTABLISHED_V4"
SHIELD, COUNTER = key("web shield callout"), key("web shield counter")
DROP = "FWPM_CALLOUT_WFP_TRANSPORT_LAYER_V4_SILENT_DROP"
QUERY_ASSIGN, QUERY_LISTEN = "{c3dbed20-0bb6-4bf3-828d-96732e1e0024}", "{c3dbed20-0bb6-4bf3-828d-96732e1e0028}"
CALLOUTS = [  # key, name, description, flags, provider, layer, id
    (DROP, "WFP Built-in Silent Drop Transport v4 Discard Layer Callout", "Implements stealth-mode filtering by silently "
     "dropping all incoming packets for which TCP does not have a listening endpoint.", [REG, "00000020"], "", DISCARD, 17),
    (QUERY_ASSIGN, "Windows Firewall: callout", "Notifies the user.", [REG], WF_P, ASSIGN, 251),
    (QUERY_LISTEN, "Windows Firewall: callout", "Notifies the user.", [REG], WF_P, LISTEN, 253),
    (SHIELD, "Contoso Web Shield", "May veto web connections", [REG, "00000300"], key("contoso"), CONNECT, 301),
    (COUNTER, "Contoso Web Shield counter", "Counts flows",
     ["FWP_CALLOUT_FLAG_CONDITIONAL_ON_FLOW", REG, "00000200"], key("contoso"), FLOW, 302),
]

FILTERS = []


def filter_(layer, sublayer, name, action, conditions, weight, provider="", description="", flags=(), callout="",
            context="", data=b""):
    FILTERS.append((layer, sublayer, name, action, conditions, weight, provider, description, list(flags), callout, context,
                    data))


APP, USERID, PACKAGE = "FWPM_CONDITION_ALE_APP_ID", "FWPM_CONDITION_ALE_USER_ID", "FWPM_CONDITION_ALE_PACKAGE_ID"
PROTO, LPORT, RPORT = "FWPM_CONDITION_IP_PROTOCOL", "FWPM_CONDITION_IP_LOCAL_PORT", "FWPM_CONDITION_IP_REMOTE_PORT"
RADDR, FLAGS = "FWPM_CONDITION_IP_REMOTE_ADDRESS", "FWPM_CONDITION_FLAGS"
ORIGINAL, CURRENT = "FWPM_CONDITION_ORIGINAL_PROFILE_ID", "FWPM_CONDITION_CURRENT_PROFILE_ID"
EQ, NE, RANGE = "FWP_MATCH_EQUAL", "FWP_MATCH_NOT_EQUAL", "FWP_MATCH_RANGE"
ALL, NONE = "FWP_MATCH_FLAGS_ALL_SET", "FWP_MATCH_FLAGS_NONE_SET"
LOOPBACK, APPC_LOOPBACK = 1, 4194304
TCP, UDP, ICMP, ICMP6 = [(PROTO, EQ, u8(n)) for n in (6, 17, 1, 58)]
HIGHEST = 18446744073709551615
HARD = "FWPM_FILTER_FLAG_CLEAR_ACTION_RIGHT"
UNREGISTERED = "FWPM_FILTER_FLAG_PERMIT_IF_CALLOUT_UNREGISTERED"
PROFILES = [(CURRENT, EQ, u32(1)), (CURRENT, EQ, u32(2)), (CURRENT, EQ, u32(3))]
PERMIT, BLOCK, UNKNOWN = "FWP_ACTION_PERMIT", "FWP_ACTION_BLOCK", "FWP_ACTION_CALLOUT_UNKNOWN"
TERMINATING, INSPECTION = "FWP_ACTION_CALLOUT_TERMINATING", "FWP_ACTION_CALLOUT_INSPECTION"


def auto():
    return empty()


def machine():
    contoso, fabrikam, northwind = key("contoso"), key("fabrikam"), key("northwind")
    # A packet layer says no to what an ALE layer permits.
    filter_(PACKET, UNIVERSAL, "Contoso Agent: quarantined peer", BLOCK, [(RADDR, EQ, u32("192.0.2.66"))], auto(), contoso,
            "No packet of this machine comes in")
    # Nobody listens there.
    filter_(DISCARD, WF, "Port Scanning Prevention Filter", TERMINATING, [(FLAGS, NONE, u32(LOOPBACK))], u64(HIGHEST), WF_P,
            "This filter prevents port scanning.", callout=DROP)
    filter_(DISCARD, WF, "Port Scanning Prevention Filter", PERMIT, [(FLAGS, ALL, u32(LOOPBACK))], u64(HIGHEST - 1), WF_P)

    # Taking a port, listening.
    filter_(ASSIGN, WF, "Query User", UNKNOWN, [UDP], u8(1), WF_P,
            "Prompt the User for a decision corresponding to Inbound Traffic.", callout=QUERY_ASSIGN)
    filter_(ASSIGN, GUARD, "Contoso Agent: nobody else takes the agent's port", BLOCK,
            [TCP, (LPORT, EQ, u16(8444)), (APP, NE, app(AGENT))], auto(), contoso)
    filter_(LISTEN, WF, "Query User", UNKNOWN, [(FLAGS, NONE, u32(LOOPBACK))], u8(1), WF_P,
            "Prompt the User for a decision corresponding to Inbound Traffic.", callout=QUERY_LISTEN)
    filter_(LISTEN, UNIVERSAL, "Contoso: no telnet servers", BLOCK, [(LPORT, EQ, u16(23))], auto(), contoso)

    # Inbound.
    for layer in (ACCEPT, ACCEPT6):
        filter_(layer, WF, "Boot Time Filter", BLOCK, [(FLAGS, NONE, u32(LOOPBACK))], u8(0), WF_P,
                "This filter is in effect before the service starts.", ["FWPM_FILTER_FLAG_BOOTTIME"], data=b"\xff" * 8)
        filter_(layer, ISO, "AppContainerLoopback", PERMIT, [(FLAGS, ALL, u32(APPC_LOOPBACK))], u64(HIGHEST), ISO_P)
        filter_(layer, ISO, "UWP Default Inbound Block Rule", BLOCK, [(PACKAGE, NE, sid("S-1-0-0"))], auto(), ISO_P)
        filter_(layer, WSH, "WSH Default Inbound Block: ContosoSync", BLOCK, [(USERID, EQ, sd(SYNC_SD))], auto(), WSH_P)
        filter_(layer, WF, "Loopback", PERMIT, [(FLAGS, ALL, u32(LOOPBACK))], u8(15), WF_P)
        filter_(layer, WF, "Default Inbound Block", BLOCK, PROFILES, u8(0), WF_P,
                "What no rule allows stays outside on every profile.")
    filter_(ACCEPT, WF, "Contoso Server (TCP-In)", PERMIT,
            [(APP, EQ, app(SERVER)), (LPORT, RANGE, between(u16(8000), u16(8010))), TCP, (ORIGINAL, EQ, u32(2)),
             (CURRENT, EQ, u32(2))], u8(9), WF_P, "Inbound rule for the Contoso server, private profile",
            ["FWPM_FILTER_FLAG_HAS_PROVIDER_CONTEXT", "FWPM_FILTER_FLAG_INDEXED"], context=key("rule origin"),
            data=bytes.fromhex("0a1b000000000000"))
    filter_(ACCEPT, WF, "File and Printer Sharing (SMB-In)", PERMIT,
            [(APP, EQ, ("FWP_BYTE_BLOB_TYPE", lambda d: blob(d, "byteBlob", path_bytes("System"), wide=True))),
             (LPORT, EQ, u16(445)), TCP] + PROFILES, u8(9), WF_P, "",
            ["FWPM_FILTER_FLAG_INDEXED"])
    filter_(ACCEPT, WF, "mDNS (UDP-In)", PERMIT, [(APP, EQ, app(SVCHOST)), (LPORT, EQ, u16(5353)), UDP, (CURRENT, EQ, u32(2))],
            u8(9), WF_P, "", ["FWPM_FILTER_FLAG_INDEXED"])
    filter_(ACCEPT, WF, "Echo Request (ICMPv4-In)", PERMIT,
            [ICMP, ("FWPM_CONDITION_ORIGINAL_ICMP_TYPE", EQ, u16(8)), (RADDR, EQ, v4("192.0.2.0", "255.255.255.0"))], u8(9), WF_P)
    filter_(ACCEPT, GUARD, "Contoso Agent: management console", PERMIT,
            [(APP, EQ, app(AGENT)), (LPORT, EQ, u16(8444)), (RADDR, EQ, u32("203.0.113.10")), TCP], u64(4000), contoso, "",
            [HARD])
    filter_(ACCEPT, OLD, "Northwind AV: file server inspection", TERMINATING, [(LPORT, EQ, u16(445)), TCP], u64(10), northwind,
            "Its driver is gone; the filter was left behind", ["FWPM_FILTER_FLAG_PERSISTENT"], callout=key("northwind accept"))
    filter_(ACCEPT, OLD, "Northwind AV: remote help", TERMINATING, [(LPORT, EQ, u16(5900)), TCP], u64(10), northwind, "",
            ["FWPM_FILTER_FLAG_PERSISTENT", UNREGISTERED], callout=key("northwind accept"))

    # Outbound.
    for layer in (CONNECT, CONNECT6):
        filter_(layer, ISO, "AppContainerLoopback", PERMIT, [(FLAGS, ALL, u32(LOOPBACK))], u64(HIGHEST), ISO_P)
        filter_(layer, ISO, "AppContainerLoopback", BLOCK, [(FLAGS, ALL, u32(LOOPBACK)), (USERID, EQ, sd(APPC_SD)),
                                                            (PACKAGE, NE, sid("S-1-0-0"))], u64(HIGHEST), ISO_P)
        filter_(layer, ISO, "UWP Default Outbound Block Rule", BLOCK, [(PACKAGE, NE, sid("S-1-0-0"))], auto(), ISO_P)
        filter_(layer, ISO, "InternetClient Default Rule", PERMIT,
                [(PACKAGE, NE, sid("S-1-0-0")), (USERID, EQ, sd(INTERNET_SD))], auto(), ISO_P)
        filter_(layer, WSH, "ContosoSync: MQTT only", PERMIT,
                [(APP, EQ, app(SVCHOST)), (USERID, EQ, sd(SYNC_SD)), TCP, (RPORT, EQ, u16(8883))], auto(), WSH_P, "",
                ["FWPM_FILTER_FLAG_INDEXED"])
        filter_(layer, WSH, "WSH Default Outbound Block: ContosoSync", BLOCK, [(USERID, EQ, sd(SYNC_SD))], auto(), WSH_P)
        filter_(layer, WF, "Default Outbound", PERMIT, PROFILES, u8(8), WF_P,
                "This is the default outbound filter which blocks or permits traffic based on user configured default settings")
    filter_(CONNECT, GUARD, "Contoso Agent: management server", PERMIT,
            [(APP, EQ, app(AGENT)), (RADDR, EQ, u32("203.0.113.10")), TCP, (RPORT, EQ, u16(8443))], u64(5000), contoso,
            "Whatever else says no", [HARD])
    filter_(CONNECT, GUARD, "Contoso Agent: update server", PERMIT,
            [(APP, EQ, app(AGENT)), (RADDR, EQ, u32("203.0.113.11")), TCP, (RPORT, EQ, u16(8443))], u64(4999), contoso,
            "Somebody forgot to make it hard")
    filter_(CONNECT, GUARD, "Contoso Agent: cloud", PERMIT,
            [(APP, EQ, app(AGENT)), (RADDR, EQ, u32("198.51.100.7")), TCP, (RPORT, EQ, u16(443))], u64(4998), contoso, "", [HARD])
    filter_(CONNECT, KILL, "Fabrikam VPN: the office only through the tunnel", BLOCK,
            [(RADDR, EQ, v4("203.0.113.0", "255.255.255.0"))], u64(100), fabrikam)
    filter_(CONNECT, WEB, "Contoso Web Shield", UNKNOWN, [TCP, (RPORT, EQ, u16(443))], u64(1), contoso, "", callout=SHIELD)
    filter_(CONNECT, OLD, "Northwind AV: mail scanner", TERMINATING, [TCP, (RPORT, EQ, u16(25))], u64(10), northwind,
            "Its driver is gone; the filter was left behind", ["FWPM_FILTER_FLAG_PERSISTENT", UNREGISTERED],
            callout=key("northwind connect"))
    filter_(CONNECT, UNIVERSAL, "Contoso: telnet nowhere but to the lab", BLOCK,
            [(RADDR, NE, u32("198.51.100.23")), (RADDR, NE, u32("198.51.100.24")), TCP, (RPORT, EQ, u16(23))], auto(), contoso,
            "Meant to spare two hosts; two NOT_EQUAL on one field are ORed and spare none")
    filter_(CONNECT, UNIVERSAL, "Contoso: time from anywhere", PERMIT, [UDP, (RPORT, EQ, u16(123))], u64(77), contoso,
            "The old rule")
    filter_(CONNECT, UNIVERSAL, "Contoso: time from nowhere", BLOCK, [UDP, (RPORT, EQ, u16(123))], u64(77), contoso,
            "The new rule, of the same weight")
    filter_(CONNECT, UNIVERSAL, "Contoso: no FTP", BLOCK, [TCP, (RPORT, EQ, u16(21))], auto(), contoso, "Switched off",
            ["FWPM_FILTER_FLAG_PERSISTENT", "FWPM_FILTER_FLAG_DISABLED"])
    filter_(CONNECT6, UNIVERSAL, "Contoso: no DNS to that network", BLOCK,
            [(RADDR, EQ, v6("2001:db8:bad::", 48)), UDP, (RPORT, EQ, u16(53))], auto(), contoso)
    filter_(FLOW, "FWPM_SUBLAYER_INSPECTION", "Contoso Web Shield counter", INSPECTION, [], auto(), contoso, "",
            callout=COUNTER)
    # Without these an IPv6 host knows no neighbours.
    for name, kind in (("Core Networking - Neighbor Discovery Solicitation (ICMPv6-In)", 135),
                       ("Core Networking - Neighbor Discovery Advertisement (ICMPv6-In)", 136),
                       ("Echo Request (ICMPv6-In)", 128)):
        filter_(ACCEPT6, WF, name, PERMIT, [ICMP6, ("FWPM_CONDITION_ORIGINAL_ICMP_TYPE", EQ, u16(kind))], u8(9), WF_P)


ENDPOINTS = [  # local, remote, protocol, local port, remote port, application
    ("192.0.2.20", "203.0.113.10", 6, 50000, 8443, AGENT),
    ("192.0.2.20", "198.51.100.20", 6, 50001, 8883, SVCHOST),
    ("192.0.2.20", "192.0.2.77", 6, 8005, 51000, SERVER),
    ("127.0.0.1", "127.0.0.1", 6, 5432, 50111, POSTGRES),
    ("127.0.0.1", "127.0.0.1", 6, 50111, 5432, BROWSER),
    ("224.0.0.251", "0.0.0.0", 17, 5353, 0, SVCHOST),
    ("2001:db8::20", "2001:db8::80", 6, 50002, 443, BROWSER),
]

# The automatic part of weights, by Weir's rule (OBJ-32), by the number of the filter: a weight that is an
# FWP_UINT64 is its own. A test compares them with the bfe's.
EFFECTIVE = {
    1: 576460752303423488, 4: 1152991598473117696, 5: 1152710260935360512, 6: 1152921504606847008,
    7: 1073741568, 8: 34359738368, 10: 549755813888, 11: 274877906944, 12: 17293822603462443008, 13: 240,
    14: 17179869184, 16: 274877906944, 17: 137438953472, 18: 17293822586282573824, 19: 112,
    20: 10378202843403257840, 21: 10378264416054411504, 22: 10378264416054411504, 23: 10810609430526164992,
    29: 274877906944, 30: 412316860416, 31: 989423026044928, 32: 137438953472, 33: 9223372036854776048,
    36: 68719476736, 37: 103079215104, 38: 106618268155904, 39: 34359738368, 40: 9223372036854775920,
    47: 5492610336555008, 50: 989010709184512, 51: 108192906245832704, 52: 0,
    53: 10376786122670866432, 54: 10376786122670866432, 55: 10376786122670866432,
}


def write_filter(number, f):
    layer, sublayer, name, action, conditions, weight, provider, description, flags, callout, context, data = f
    line(4, "<item>")
    leaf(5, "filterKey", key(f"filter {number}"))
    display(5, name, description)
    order = ["FWPM_FILTER_FLAG_PERSISTENT", "FWPM_FILTER_FLAG_BOOTTIME", "FWPM_FILTER_FLAG_HAS_PROVIDER_CONTEXT", HARD,
             UNREGISTERED, "FWPM_FILTER_FLAG_DISABLED", "FWPM_FILTER_FLAG_INDEXED"]
    items(5, "flags", sorted(flags, key=order.index))
    leaf(5, "providerKey", provider)
    blob(5, "providerData", data)
    leaf(5, "layerKey", layer)
    leaf(5, "subLayerKey", sublayer)
    value(5, "weight", weight)
    if conditions:
        line(5, f'<filterCondition numItems="{len(conditions)}">')
        for field, match, v in conditions:
            line(6, "<item>")
            leaf(7, "fieldKey", field)
            leaf(7, "matchType", match)
            value(7, "conditionValue", v)
            line(6, "</item>")
        line(5, "</filterCondition>")
    else:
        leaf(5, "filterCondition")
    line(5, "<action>")
    leaf(6, "type", action)
    leaf(6, "filterType", callout)
    line(5, "</action>")
    if context:
        leaf(5, "providerContextKey", context)
    else:
        leaf(5, "rawContext", 0)
    leaf(5, "reserved")
    leaf(5, "filterId", 66000 + number)
    if number in EFFECTIVE:
        value(5, "effectiveWeight", u64(EFFECTIVE[number]))
    elif weight[0] == "FWP_UINT64":
        value(5, "effectiveWeight", weight)
    line(4, "</item>")


def write_layers(tables):
    used = {f[0] for f in FILTERS} | {c[5] for c in CALLOUTS}
    fields = tables.fields()
    layers = [l for l in tables.layers() if l["fwpm_name"] in used]
    line(1, f'<layers numItems="{len(layers)}">')
    for l in layers:
        line(2, "<item>")
        line(3, "<layer>")
        leaf(4, "layerKey", l["fwpm_name"])
        display(4, l["display_name"])
        items(4, "flags", ["FWPM_LAYER_FLAG_" + f for f in l["flags"].split("|")])
        rows = fields[int(l["layerId"])]
        line(4, f'<field numItems="{len(rows)}">')
        for r in rows:
            line(5, "<item>")
            leaf(6, "fieldKey", r["fwpm_condition"])
            leaf(6, "type", r["field_type"])
            leaf(6, "dataType", r["data_type"])
            line(5, "</item>")
        line(4, "</field>")
        leaf(4, "defaultSubLayerKey", l["default_sublayer"])
        leaf(4, "layerId", l["layerId"])
        line(3, "</layer>")
        callouts = [c for c in CALLOUTS if c[5] == l["fwpm_name"]]
        if callouts:
            line(3, f'<callouts numItems="{len(callouts)}">')
            for ckey, name, description, flags, provider, layer, number in callouts:
                line(4, "<item>")
                leaf(5, "calloutKey", ckey)
                display(5, name, description)
                items(5, "flags", flags)
                leaf(5, "providerKey", provider)
                leaf(5, "providerData")
                leaf(5, "applicableLayer", layer)
                leaf(5, "calloutId", number)
                line(4, "</item>")
            line(3, "</callouts>")
        else:
            leaf(3, "callouts")
        filters = [(i, f) for i, f in enumerate(FILTERS, 1) if f[0] == l["fwpm_name"]]
        line(3, f'<filters numItems="{len(filters)}">') if filters else leaf(3, "filters")
        for i, f in filters:
            write_filter(i, f)
        if filters:
            line(3, "</filters>")
        line(2, "</item>")
    line(1, "</layers>")


def write_containers(tables):
    builtin = [(r["provider_key"], r["display_name"], r["description"], r["service_name"],
                [f for f in r["flags_seen"].split("|") if f]) for r in tables.rows("providers")
               if r["builtin"] == "1" and r["provider_key"].startswith("FWPM_")]
    providers = builtin + [(key(k), n, d, s, ["FWPM_PROVIDER_FLAG_PERSISTENT"]) for k, n, d, s in PROVIDERS]
    line(1, f'<providers numItems="{len(providers)}">')
    for pkey, name, description, service, flags in providers:
        line(2, "<item>")
        leaf(3, "providerKey", pkey)
        display(3, name, description)
        items(3, "flags", flags)
        leaf(3, "providerData")
        leaf(3, "serviceName", service)
        line(2, "</item>")
    line(1, "</providers>")
    line(1, '<providerContexts numItems="1">')
    line(2, "<item>")
    leaf(3, "providerContextKey", key("rule origin"))
    display(3, "MPSSVC", "Stores filter origin")
    leaf(3, "flags")
    leaf(3, "providerKey", WF_P)
    leaf(3, "providerData")
    leaf(3, "type", "FWPM_GENERAL_CONTEXT")
    blob(3, "dataBuffer", path_bytes("Contoso Server (TCP-In)"))
    leaf(3, "providerContextId", 9223372036854775811)
    line(2, "</item>")
    line(1, "</providerContexts>")
    sublayers = [(r["sublayer_key"], r["display_name"], "", r["provider"], int(r["weights_seen"].split(",")[0]), [])
                 for r in tables.rows("sublayers") if r["builtin"] == "1"]
    sublayers += [(k, n, d, key(p), w, []) for k, n, d, p, w in SUBLAYERS]
    sublayers.sort(key=lambda s: s[4])
    line(1, f'<subLayers numItems="{len(sublayers)}">')
    for skey, name, description, provider, weight, flags in sublayers:
        line(2, "<item>")
        leaf(3, "subLayerKey", skey)
        display(3, name, description)
        items(3, "flags", flags)
        leaf(3, "providerKey", provider)
        leaf(3, "providerData")
        leaf(3, "weight", weight)
        line(2, "</item>")
    line(1, "</subLayers>")


def write_sessions():
    sessions = [("Windows Defender Firewall Dynamic Session", 1404, "S-1-5-19", "NT AUTHORITY\\LOCAL SERVICE", "false"),
                ("Contoso Agent", 2816, "S-1-5-18", "NT AUTHORITY\\SYSTEM", "false"),
                ("Contoso Web Shield", 4, "S-1-5-18", "NT AUTHORITY\\SYSTEM", "true")]
    line(1, f'<sessions numItems="{len(sessions)}">')
    for name, pid, user, username, kernel in sessions:
        line(2, "<item>")
        leaf(3, "sessionKey", key("session " + name))
        display(3, name)
        items(3, "flags", ["FWPM_SESSION_FLAG_DYNAMIC"] if "Dynamic" in name else [])
        leaf(3, "txnWaitTimeoutInMSec", 15000)
        leaf(3, "processId", pid)
        leaf(3, "sid", user)
        leaf(3, "username", username)
        leaf(3, "kernelMode", kernel)
        line(2, "</item>")
    line(1, "</sessions>")


def write_endpoints():
    line(1, f'<aleConnectedEndpoints numItems="{len(ENDPOINTS)}">')
    for i, (local, remote, protocol, lport, rport, path) in enumerate(ENDPOINTS):
        version = "6" if ":" in local else "4"
        line(2, "<item>")
        leaf(3, "endpointId", 186000 + 8 * i)
        leaf(3, "ipVersion", "FWP_IP_VERSION_V" + version)
        leaf(3, f"localV{version}Address", local)
        leaf(3, f"remoteV{version}Address", remote)
        leaf(3, "ipProtocol", protocol)
        leaf(3, "localPort", lport)
        leaf(3, "remotePort", rport)
        leaf(3, "localTokenModifiedId", 557816)
        leaf(3, "mmSaId", 0)
        leaf(3, "qmSaId", 0)
        leaf(3, "ipsecStatus", "0 (ERROR_SUCCESS)")
        leaf(3, "flags")
        blob(3, "appId", path_bytes(path))
        line(2, "</item>")
    line(1, "</aleConnectedEndpoints>")


def main():
    tables = Tables(sys.argv[1])
    machine()
    line(0, '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>')
    line(0, "<wfpstate>")
    leaf(1, "timeStamp", "2026-03-02T08:15:30.125Z")
    write_sessions()
    write_layers(tables)
    write_containers(tables)
    leaf(1, "ipsecSaContexts")
    write_endpoints()
    leaf(1, "ikeextSas")
    line(0, "</wfpstate>")
    line(0, "<firewallState>")
    leaf(1, "dynamicKeywordAddresses")
    line(0, "</firewallState>")
    with open(sys.argv[2], "w", encoding="utf-8-sig", newline="") as f:
        f.write("".join(l + "\r\n" for l in OUT))


main()
