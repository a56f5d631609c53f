#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A second judge of `weir classify --batch` and `weir explain`.

A naive evaluator of netsh wfp exports, written from the requirements alone (OBJ-20..33, MATCH, ARB) and sharing no
line with the engine: it parses the export itself, asks every filter of the layer in order, compares values, checks
security descriptors, arbitrates. It then makes random questions of the exports' own values and holds Weir's
answers against its own:

  known     every field of the layer given: verdict, deciding filter, rights, each sublayer's terminating filter
  callouts  foreign callouts left open: DEPENDS exactly if their answers can make both verdicts
  open      one to three fields left out: a definite verdict must hold for random completions, the two assignments
            of a DEPENDS must come out PERMITTED and BLOCKED
  explain   random connections: each layer shown must be what the values shown give

The exports: the demo's, a random one made here (match types, types and descriptors that real ones seldom hold), and
real machines' where they are (WEIR_SHARED). WEIR_EXE names the program; WEIR_SEED, and WEIR_ORACLE_CASES for more, make
other runs (WEIR_SHOW: how many differences to print; WEIR_KEEP: where to leave the random export).
Exit 0: all agree. 1: a difference, printed. 77: they agree, but real machines' exports are missing.
"""

import ipaddress
import itertools
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET

ROOT = os.environ.get("WEIR_ROOT", os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
EXE = os.environ.get("WEIR_EXE", "weir")
SHARED = os.environ.get("WEIR_SHARED", os.path.join(ROOT, "..", "shared"))
PERMIT, BLOCK = "PERMIT", "BLOCK"


def table(name):
    with open(os.path.join(ROOT, "data", name), encoding="utf-8") as f:
        head = f.readline().rstrip("\n").split("\t")
        return [dict(zip(head, line.rstrip("\n").split("\t"))) for line in f]


class Facts:
    """Which fields each layer has, of which type; names of GUIDs; bits of filter flags."""

    def __init__(self):
        self.layer_names = {}
        ids = {}
        for row in table("layers.tsv"):
            name = row["fwpm_name"] or row["layer_guid"]
            ids[row["layerId"]] = name
            self.layer_names[row["layer_guid"].lower()] = name
        self.fields = {name: {} for name in ids.values()}
        self.condition_names = {}
        for row in table("fields.tsv"):
            if not row["data_type"]:
                continue
            kind = row["data_type"]
            if row["field_type"] == "FWPM_FIELD_IP_ADDRESS":
                kind = "v4" if kind == "FWP_UINT32" else "v6"
            self.fields[ids[row["layerId"]]][row["fwpm_condition"]] = kind
            self.condition_names[row["condition_guid"].lower()] = row["fwpm_condition"]
        self.sublayers = {}
        self.sublayer_names = {}
        for row in table("sublayers.tsv"):
            self.sublayer_names[row["guid"].lower()] = row["sublayer_key"]
            if row["builtin"] == "1":
                self.sublayers[row["sublayer_key"]] = int(row["weights_seen"])
        self.callout_names = {row["name"]: row["key"].lower() for row in table("builtin_callouts.tsv")}
        self.flags = {row["name"]: int(row["value"], 0) for row in table("constants.tsv")
                      if row["name"].startswith("FWPM_FILTER_FLAG_")}

    def callout(self, text):
        return self.callout_names.get(text, text.lower())

    def flag(self, name):
        return self.flags["FWPM_FILTER_FLAG_" + name]


# ---- SIDs, descriptors, tokens

ALIASES = {"WD": "S-1-1-0", "AN": "S-1-5-7", "AC": "S-1-15-2-1", "SY": "S-1-5-18", "LS": "S-1-5-19", "NS": "S-1-5-20",
           "BA": "S-1-5-32-544", "BU": "S-1-5-32-545", "AU": "S-1-5-11", "IU": "S-1-5-4"}
CAPABILITIES = {"internetClient": "S-1-15-3-1", "internetClientServer": "S-1-15-3-2",
                "privateNetworkClientServer": "S-1-15-3-3"}
EVERYONE, ALL_PACKAGES, NO_PACKAGE = "S-1-1-0", "S-1-15-2-1", "S-1-0-0"
MATCH_FILTER = 1  # CC is this bit
USER = "S-1-5-21-1000000001-2000000002-3000000003-1001"


def sid(text):
    return ALIASES.get(text, text)


class Token:
    def __init__(self, user, groups=(), package=None, capabilities=(), restricted=(), attributes=None):
        self.user, self.groups, self.package = user, list(groups), package  # groups: (sid, enabled, deny only)
        self.capabilities, self.restricted = list(capabilities), list(restricted)
        self.attributes = attributes or {}

    def to_json(self):
        out = {"user": self.user, "groups": [
            s if on and not deny else {"sid": s, "enabled": on, "deny_only": deny} for s, on, deny in self.groups]}
        for name in ("package", "capabilities", "restricted", "attributes"):
            if getattr(self, name):
                out[name] = getattr(self, name)
        return out

    @staticmethod
    def from_json(value):
        if isinstance(value, str):
            value = json.loads(value) if value.startswith("{") else {"user": value}
        user, groups, package = sid(value["user"]), [], value.get("package")
        if "groups" not in value:  # what a logon gives, of the groups that the filters here ask for
            if user.startswith("S-1-15-2-"):
                user, package = USER, user
            if user.startswith("S-1-5-80-"):
                user, groups = "S-1-5-19", [(user, True, False)]
            groups += [(s, True, False) for s in (EVERYONE, "S-1-5-11", "S-1-5-32-545")]
        for g in value.get("groups", []):
            g = {"sid": g} if isinstance(g, str) else g
            groups.append((sid(g["sid"]), g.get("enabled", True), g.get("deny_only", False)))
        caps = [CAPABILITIES.get(c, sid(c)) for c in value.get("capabilities", [])]
        return Token(user, groups, package, caps, [sid(s) for s in value.get("restricted", [])],
                     {k: v if isinstance(v, list) else [v] for k, v in value.get("attributes", {}).items()})


def parse_aces(text):
    """The ACEs of an SDDL descriptor's DACL; None when it has no DACL."""
    at = text.find("D:")
    if at < 0:
        return None
    aces, i = [], at + 2
    while i < len(text) and text[i] not in "(":
        i += 1
    while i < len(text) and text[i] == "(":
        depth, j, quoted = 0, i, False
        while True:
            quoted ^= text[j] == '"'
            depth += 0 if quoted else {"(": 1, ")": -1}.get(text[j], 0)
            j += 1
            if not depth:
                break
        part = text[i + 1:j - 1].split(";", 6)
        i = j
        rights = int(part[2], 0) if part[2].startswith("0x") else (
            MATCH_FILTER if "CC" in re.findall("..", part[2]) else 0)
        aces.append((part[0], part[1], rights, sid(part[5]), part[6] if len(part) > 6 else None))
    return aces


def condition_of_ace(text, token):
    """The truth of a conditional ACE's expression: True, False or None (unknown). (MATCH-28's forms, and ! && ||)"""
    tokens = re.findall(r'"[^"]*"|&&|\|\||==|!=|[()!{},]|[^\s()!{},="]+', text)
    pos = 0

    def peek():
        return tokens[pos] if pos < len(tokens) else None

    def take():
        nonlocal pos
        pos += 1
        return tokens[pos - 1]

    def either():
        v = both()
        while peek() == "||":
            take()
            w = both()
            v = True if v is True or w is True else (None if v is None or w is None else False)
        return v

    def both():
        v = one()
        while peek() == "&&":
            take()
            w = one()
            v = False if v is False or w is False else (None if v is None or w is None else True)
        return v

    def literals():
        if peek() != "{":
            return [take().strip('"').lower()]
        out = []
        take()
        while peek() != "}":
            t = take()
            if t != ",":
                out.append(t.strip('"').lower())
        take()
        return out

    def one():
        if peek() == "!":
            take()
            v = one()
            return None if v is None else not v
        if peek() == "(":
            take()
            v = either()
            take()
            return v
        name = take()
        if name in ("Exists", "Not_Exists"):
            there = any(k.lower() == peek().lower() for k in token.attributes)
            take()
            return there == (name == "Exists")
        operator, wanted = take(), literals()
        has = next((v for k, v in token.attributes.items() if k.lower() == name.lower()), None)
        if has is None:
            return None
        has = [str(v).lower() for v in has]
        if operator == "Contains":
            return all(w in has for w in wanted)
        if operator == "Any_of":
            return any(w in has for w in wanted)
        if operator in ("==", "!="):
            return (has == wanted) == (operator == "==")
        raise ValueError(operator)

    return either()


def grants(aces, token, holds):
    """One walk over the ACEs, first that speaks of the right decides. holds(sid, deny) says whose ACEs count."""
    for kind, flags, rights, who, expression in aces:
        if "IO" in re.findall("..", flags) or not rights & MATCH_FILTER:
            continue
        deny = kind in ("D", "XD")
        if not holds(who, deny):
            continue
        if expression is not None:
            truth = condition_of_ace(expression, token)
            if truth is False or (truth is None and not deny):
                continue
        return not deny
    return False


def access(aces, token):
    """MATCH-17: user part, and of an AppContainer the package part too; a restricted token's SIDs as well."""
    if aces is None:
        return True

    def of_user(who, deny):
        return who == token.user or any(
            who == s and ((on and not only_deny) or (deny and (only_deny or on))) for s, on, only_deny in token.groups)

    if not grants(aces, token, of_user):
        return False
    if token.restricted and not grants(aces, token, lambda who, deny: who in token.restricted):
        return False
    if token.package:
        own = {token.package, ALL_PACKAGES, *token.capabilities}
        return grants(aces, token, lambda who, deny: who in own)
    return True


# ---- conditions

NUMBERS = ("FWP_UINT8", "FWP_UINT16", "FWP_UINT32", "FWP_UINT64", "v4", "v6")
WIDTH = {"FWP_UINT8": 8, "FWP_UINT16": 16, "FWP_UINT32": 32, "FWP_UINT64": 64, "v4": 32, "v6": 128}
TOKENS = ("FWP_TOKEN_ACCESS_INFORMATION_TYPE", "FWP_TOKEN_INFORMATION_TYPE")


def number(text):
    text = text.strip()
    if ":" in text or "." in text:
        return int(ipaddress.ip_address(text.split("%")[0]))
    return int(text, 0)


class Condition:
    def __init__(self, facts, item):
        key = item.findtext("fieldKey").strip()
        self.field = facts.condition_names.get(key.lower(), key)
        self.match = item.findtext("matchType").strip()
        value = item.find("conditionValue")
        self.type = value.findtext("type").strip()
        self.value = self.parse(self.type, value)

    @staticmethod
    def parse(kind, value):
        if kind == "FWP_EMPTY":
            return None
        if kind == "FWP_RANGE_TYPE":
            ends = [value.find("rangeValue/" + end) for end in ("valueLow", "valueHigh")]
            return tuple(Condition.parse(e.findtext("type").strip(), e) for e in ends)
        if kind == "FWP_V4_ADDR_MASK":
            return tuple(number(value.findtext("v4AddrMask/" + p)) for p in ("addr", "mask"))
        if kind == "FWP_V6_ADDR_MASK":
            prefix = int(value.findtext("v6AddrMask/prefixLength"))
            return number(value.findtext("v6AddrMask/addr")), (1 << 128) - (1 << (128 - prefix))
        if kind == "FWP_BYTE_BLOB_TYPE":
            return bytes.fromhex(value.findtext("byteBlob/data"))
        if kind == "FWP_SID":
            return value.findtext("sid").strip()
        if kind == "FWP_SECURITY_DESCRIPTOR_TYPE":
            return parse_aces(value.findtext("sd").strip())
        tag = {"FWP_UINT8": "uint8", "FWP_UINT16": "uint16", "FWP_UINT32": "uint32", "FWP_UINT64": "uint64",
               "FWP_BYTE_ARRAY16_TYPE": "byteArray16"}[kind]
        return number(value.findtext(tag))

    def holds(self, v):
        m, c = self.match[len("FWP_MATCH_"):], self.value
        if self.type == "FWP_EMPTY":  # MATCH-13, and its negation
            return (v is None) == (m == "EQUAL")
        if v is None:  # MATCH-14, MATCH-15
            return m in ("NOT_EQUAL", "NOT_PREFIX")
        if self.type == "FWP_SECURITY_DESCRIPTOR_TYPE":
            return access(c, v) == (m == "EQUAL")
        if self.type.endswith("_ADDR_MASK"):
            return (v & c[1] == c[0] & c[1]) == (m == "EQUAL")
        return {"EQUAL": lambda: v == c, "NOT_EQUAL": lambda: v != c, "GREATER": lambda: v > c, "LESS": lambda: v < c,
                "GREATER_OR_EQUAL": lambda: v >= c, "LESS_OR_EQUAL": lambda: v <= c,
                "RANGE": lambda: c[0] <= v <= c[1], "FLAGS_ALL_SET": lambda: v & c == c,
                "FLAGS_ANY_SET": lambda: v & c != 0, "FLAGS_NONE_SET": lambda: v & c == 0}[m]()


class Filter:
    def __init__(self, facts, item):
        def name(tag, names):
            text = (item.findtext(tag) or "").strip()
            return names.get(text.lower(), text)

        self.id = int(item.findtext("filterId"))
        self.layer = name("layerKey", facts.layer_names)
        self.sublayer = name("subLayerKey", facts.sublayer_names)
        self.weight = number(item.findtext("effectiveWeight/uint64"))
        self.action = item.findtext("action/type").strip()[len("FWP_ACTION_"):]
        self.callout = facts.callout((item.findtext("action/filterType") or "").strip()) or None
        self.flags = 0
        flags = item.find("flags")
        for text in [flags.text or ""] + [x.text for x in flags]:
            if text.strip().startswith("FWPM_"):
                self.flags |= facts.flags.get(text.strip(), 0)  # newer names have no part in the decision
            elif text.strip():
                self.flags |= int(text.strip(), 16)
        self.fields = {}
        for c in item.find("filterCondition") or ():
            c = Condition(facts, c)
            self.fields.setdefault(c.field, []).append(c)

    def matches(self, values):  # MATCH-01..04
        return all(any(c.holds(values[field]) for c in either) for field, either in self.fields.items())


class Policy:
    def __init__(self, facts, path):
        self.facts, self.path, self.name = facts, path, os.path.basename(path)
        with open(path, encoding="utf-8-sig", newline="") as f:
            text = re.sub(r"<\?xml.*?\?>", "", f.read().replace("\r\n", "\n"))
        root = ET.fromstring("<all>" + text + "</all>")  # two roots, one after the other
        self.weights, order = dict(facts.sublayers), {}
        for part in root.iter("subLayers"):
            for item in part:
                key = item.findtext("subLayerKey").strip()
                key = facts.sublayer_names.get(key.lower(), key)
                self.weights[key] = int(item.findtext("weight"))
                order[key] = len(order)
        listed = {facts.callout(item.findtext("calloutKey").strip()) for part in root.iter("callouts") for item in part}
        lists = list(root.iter("callouts"))
        self.layers, self.filters = {}, {}
        for item in root.iter("item"):
            if item.find("filterId") is None or item.find("effectiveWeight") is None or item.find("action") is None:
                continue
            f = Filter(facts, item)
            if f.flags & (facts.flag("BOOTTIME") | facts.flag("DISABLED")):  # OBJ-29
                continue
            # 'show filters' lists no callouts at all: then nothing says that one is missing
            f.foreign = f.callout is not None and (not lists or f.callout in listed)
            self.layers.setdefault(f.layer, []).append(f)
            self.filters[f.id] = f
        for filters in self.layers.values():  # ARB-01, OBJ-20; ARB-02, OBJ-33
            filters.sort(key=lambda f: (-self.weights[f.sublayer], order.get(f.sublayer, 0), -f.weight, -f.id))

    def judge(self, layer, values, answers):
        """What the layer decides. answers: callout -> permit/block/continue; KeyError if one is asked and missing.

        A supposed callout keeps its contract: it makes its block hard (CLS-07) and its permit where the filter says so
        (ARB-13), and leaves alone what it may not change (ARB-17).
        """
        flag = self.facts.flag
        stream = layer.startswith("FWPM_LAYER_STREAM_V")
        action, write, by, veto, ends = None, True, None, False, {}
        matching = [f for f in self.layers.get(layer, ()) if f.matches(values)]
        for sublayer, filters in itertools.groupby(matching, key=lambda f: f.sublayer):
            for f in filters:
                hard_permit = bool(f.flags & flag("CLEAR_ACTION_RIGHT"))  # ARB-12; ARB-13: a callout heeds it too
                if f.action in (PERMIT, BLOCK):
                    answer, static = f.action, True
                elif f.action == "CALLOUT_INSPECTION":  # ARB-19; OBJ-22
                    continue
                elif not f.foreign:  # OBJ-22..24
                    answer = PERMIT if f.flags & flag("PERMIT_IF_CALLOUT_UNREGISTERED") else BLOCK
                    static = True
                else:
                    answer, static = answers[f.callout].upper(), False
                if answer == "CONTINUE":  # ARB-03, ARB-22
                    continue
                if stream:  # ARB-26, STR-05, STR-06: what one blocked no other sees; rights mean nothing
                    if action != BLOCK:
                        action, by, write = answer, f.id, None
                        ends[sublayer] = (f.id, answer)
                    break
                if write:  # ARB-09, ARB-10
                    action, by = answer, f.id
                    write = not (answer == BLOCK or hard_permit)
                elif not static and (answer, action) == (BLOCK, PERMIT):  # ARB-14
                    action, by, veto = BLOCK, f.id, True
                elif not static:  # ARB-17: it leaves everything alone
                    continue
                ends[sublayer] = (f.id, answer)  # ARB-15, ARB-34: ended, heard or not
                break
        return {"verdict": "BLOCKED" if action == BLOCK else "PERMITTED", "filter": by,
                "rights": None if write is None else int(write), "veto": veto, "ends": ends}

    def foreign_callouts(self, layer):
        return sorted({f.callout for f in self.layers.get(layer, ())
                       if f.foreign and f.action != "CALLOUT_INSPECTION"})


# ---- values in JSON

def encode(kind, v):
    if v is None:
        return None
    if kind in ("v4", "v6"):
        return str(ipaddress.IPv4Address(v) if kind == "v4" else ipaddress.IPv6Address(v))
    if kind in NUMBERS:
        return v if v < 1 << 63 else str(v)
    if kind in TOKENS:
        return v.to_json()
    if isinstance(v, bytes):
        return ":".join("%02x" % b for b in v) if kind == "FWP_BYTE_ARRAY6_TYPE" else "hex:" + v.hex()
    return v


def decode(kind, v):
    if v is None or (v == "empty" and kind != "FWP_BYTE_BLOB_TYPE"):
        return None
    if kind in NUMBERS:
        return v if isinstance(v, int) else number(v)
    if kind in TOKENS:
        return Token.from_json(v)
    if kind == "FWP_SID":
        return sid(v)
    if kind == "FWP_BYTE_BLOB_TYPE":
        return bytes.fromhex(v[4:]) if v.startswith("hex:") else (v + "\0").encode("utf-16-le")
    return v  # MAC addresses and the like: no filter here tests them


# ---- random questions

class Questions:
    def __init__(self, rng, policy):
        self.rng, self.policy = rng, policy
        self.pool, self.sids = {}, set()
        self.odd = True  # do tokens occur that are restricted, or lack the usual groups?
        for filters in policy.layers.values():
            for f in filters:
                for c in itertools.chain.from_iterable(f.fields.values()):
                    self.learn(c)
        self.sids = sorted(self.sids)

    def learn(self, c):
        pool = self.pool.setdefault(c.field, [])
        if c.type == "FWP_SECURITY_DESCRIPTOR_TYPE":
            self.sids.update(a[3] for a in c.value or ())
        elif c.type == "FWP_RANGE_TYPE":
            pool += [c.value[0] - 1, c.value[0], c.value[1], c.value[1] + 1, sum(c.value) // 2]
        elif c.type.endswith("_ADDR_MASK"):
            base, mask = c.value[0] & c.value[1], c.value[1]
            last = base | (~mask & ((1 << (32 if c.type == "FWP_V4_ADDR_MASK" else 128)) - 1))
            pool += [base - 1, base, last, last + 1]
        elif isinstance(c.value, int):
            pool += [c.value - 1, c.value, c.value, c.value, c.value + 1]
        elif c.value is not None:
            pool.append(c.value)

    def token(self, wanted=None):
        rng = self.rng
        everyone = [(EVERYONE, True, False), ("S-1-5-11", True, False), ("S-1-5-32-545", True, False)]
        if self.odd and rng.random() < .15:  # a group for denials only, or switched off
            everyone[rng.randint(0, 2)] = (rng.choice([EVERYONE, "S-1-5-11"]), False, rng.random() < .5)
        who = wanted or (rng.choice(self.sids) if self.sids and rng.random() < .5 else None)
        user, groups, package, caps, restricted, attributes = USER, everyone, None, [], [], {}
        app = rng.random() < .25
        if who is None:
            user = rng.choice([USER, "S-1-5-18", "S-1-5-19", "S-1-5-20", "S-1-5-21-1-2-3-500"])
        elif who.startswith("S-1-5-80-"):
            user = rng.choice(["S-1-5-18", "S-1-5-19", "S-1-5-20"])
            groups = groups + [(who, not self.odd or rng.random() < .9, self.odd and rng.random() < .1)]
        elif who.startswith("S-1-15-"):
            app = rng.random() < .9
            caps = [who] if who.startswith("S-1-15-3-") else []
        elif who == "S-1-5-7":
            user, groups = who, everyone[:1] if rng.random() < .5 else []
        elif who != EVERYONE:
            user = who
        if app:
            packages = [p for p in self.pool.get("FWPM_CONDITION_ALE_PACKAGE_ID", []) if p != NO_PACKAGE]
            package = rng.choice(packages + ["S-1-15-2-1-2-3-4-5-6-7"])
            more = [s for s in self.sids if s.startswith("S-1-15-3-")] + list(CAPABILITIES)
            caps = caps + rng.sample(more, rng.randint(0, min(2, len(more))))
        else:
            caps = []
        if not app and self.odd and rng.random() < .05:
            restricted = rng.sample(self.sids + [EVERYONE], 1)
        if rng.random() < .2:
            attributes = {"WIN://SYSAPPID": rng.sample(["one", "two", "Three"], rng.randint(1, 2))}
        if not self.odd:
            attributes = {} if not user.startswith("S-1-5-21-") else {k: v[:1] for k, v in attributes.items()}
        return Token.from_json(json.loads(json.dumps(
            Token(user, groups, package, caps, restricted, attributes).to_json())))

    def value(self, field, kind):
        rng, pool = self.rng, self.pool.get(field, [])
        if kind in TOKENS:
            return self.token()
        if kind in NUMBERS:
            top = (1 << WIDTH[kind]) - 1
            roll = rng.random()
            pool = [v for v in pool if isinstance(v, int) and 0 <= v <= top]
            if roll < .7 and pool:
                v = rng.choice(pool)
                return (v | rng.choice(pool)) if roll < .1 and kind not in ("v4", "v6") else v
            return rng.choice([0, 1, 2, top, rng.randint(0, top)])
        if kind == "FWP_SID":
            return rng.choice([p for p in pool if isinstance(p, str)] + [NO_PACKAGE, "S-1-15-2-1-2-3-4-5-6-7"])
        if kind == "FWP_BYTE_BLOB_TYPE":
            blobs = [p for p in pool if isinstance(p, bytes)]
            v = rng.choice(blobs + [b"x\0\0\0"])
            return v[:-2] if rng.random() < .03 else v
        return {"FWP_BYTE_ARRAY6_TYPE": bytes(6), "FWP_BYTE_ARRAY16_TYPE": bytes(16)}[kind]

    def satisfying(self, c, kind):
        """A value that is likely to meet the condition."""
        rng, m = self.rng, c.match[len("FWP_MATCH_"):]
        if c.type == "FWP_EMPTY":
            return None
        if m.startswith("NOT_") or m == "FLAGS_NONE_SET":
            return 0 if kind in NUMBERS and rng.random() < .7 else self.value(c.field, kind)
        if c.type == "FWP_SECURITY_DESCRIPTOR_TYPE":
            return self.token(rng.choice(c.value)[3] if c.value else None)
        if c.type == "FWP_RANGE_TYPE":
            return rng.choice([c.value[0], c.value[1], rng.randint(*c.value)])
        if c.type.endswith("_ADDR_MASK"):
            return (c.value[0] & c.value[1]) | (rng.getrandbits(WIDTH[kind]) & ~c.value[1] & ((1 << WIDTH[kind]) - 1))
        if m.startswith("FLAGS_"):
            return c.value | (rng.choice([0, 1, 2, 4, 1 << (WIDTH[kind] - 1)]) if rng.random() < .3 else 0)
        if m in ("GREATER", "LESS"):
            return min(max(c.value + (1 if m == "GREATER" else -1), 0), (1 << WIDTH[kind]) - 1)
        return c.value

    def values(self, layer):
        """All fields of the layer: most often what some filter asks for, a field or two disturbed, a few EMPTY."""
        rng, fields = self.rng, self.policy.facts.fields[layer]
        out = {}
        quiet = rng.random() < .6
        for field, kind in fields.items():
            if quiet and kind in NUMBERS:
                out[field] = 0
            elif kind == "FWP_SID" and rng.random() < .7:
                out[field] = NO_PACKAGE
            else:
                out[field] = self.value(field, kind)
        for _ in range(rng.choice([0, 1, 1, 1, 2])):
            for field, either in rng.choice(self.policy.layers[layer]).fields.items():
                out[field] = self.satisfying(rng.choice(either), fields[field])
        for _ in range(rng.choice([0, 0, 1, 2]) if fields else 0):
            field = rng.choice(list(fields))
            out[field] = self.value(field, fields[field])
        if rng.random() < .3:
            for field in rng.sample(list(fields), min(len(fields), rng.choice([1, 1, 2, 5]))):
                out[field] = None
        return out


# ---- an export made at random: what real ones seldom hold

class Maker:
    LAYERS = ["FWPM_LAYER_" + x for x in (
        "ALE_AUTH_CONNECT_V4", "ALE_AUTH_RECV_ACCEPT_V6", "OUTBOUND_TRANSPORT_V6", "ALE_RESOURCE_ASSIGNMENT_V4",
        "INBOUND_IPPACKET_V4", "DATAGRAM_DATA_V4")]
    SUBLAYERS = {"{00000001-0000-4000-8000-00000000000%d}" % n: w for n, w in ((1, 60000), (2, 40000), (3, 300))}
    SERVICE = "S-1-5-80-1-2-3-4-5"

    def __init__(self, rng, facts):
        self.rng, self.facts, self.last, self.listed = rng, facts, 1000, []

    def number(self, kind):
        rng = self.rng
        if kind == "v4":
            return 0x0A000000 + rng.randint(0, 15)
        if kind == "v6":
            return (0xFE80 << 112) + (rng.randint(0, 3) << 64) + rng.randint(0, 3)
        return rng.choice([0, 1, 2, 3, 4, 5, 6, 7, (1 << WIDTH[kind]) - 1])

    def scalar(self, kind, v):
        tag, name = {"v4": ("uint32", "FWP_UINT32"), "v6": ("byteArray16", "FWP_BYTE_ARRAY16_TYPE")}.get(
            kind, (kind[4:].lower(), kind))
        return "<type>%s</type><%s>%s</%s>" % (name, tag, encode(kind, v), tag)

    def descriptor(self):
        rng, aces = self.rng, []
        for _ in range(rng.randint(1, 4)):
            who = rng.choice(["WD", "WD", "AU", "BU", USER, USER, "SY", "LS", "AN", self.SERVICE, "AC", "S-1-15-3-1",
                              "S-1-15-3-2", "S-1-15-2-1-2-3-4-5-6-7"])
            kind, expression = rng.choice("AAD"), ""
            if rng.random() < .3:
                kind = "X" + kind
                expression = ";" + rng.choice([
                    '(WIN://SYSAPPID Contains "one")', '(WIN://SYSAPPID Any_of {"two", "three"})',
                    "(Exists WIN://SYSAPPID)", '(!(WIN://SYSAPPID Contains "two"))',
                    '(WIN://SYSAPPID Contains "one" || WIN://OTHER == "x")',
                    '(Exists WIN://SYSAPPID && WIN://SYSAPPID Contains {"two", "one"})'])
            aces.append("(%s;%s;%s;;;%s%s)" % (kind, rng.choice(["", "", "NP", "IO"]),
                                               rng.choice(["CC", "CC", "CCRC", "RC", "0x1"]), who, expression))
        return "O:LSD:" + "".join(aces)

    def condition(self, field, kind):
        rng = self.rng
        if rng.random() < .04 and kind not in TOKENS:
            match, value = "EQUAL", "<type>FWP_EMPTY</type>"
        elif kind in NUMBERS:
            match = rng.choice(["EQUAL"] * 4 + ["NOT_EQUAL", "GREATER", "LESS", "GREATER_OR_EQUAL", "LESS_OR_EQUAL"]
                               + ["RANGE", "MASK"] * 2 + ["FLAGS_ALL_SET", "FLAGS_ANY_SET", "FLAGS_NONE_SET"])
            if match.startswith("FLAGS_") and kind in ("v4", "v6") or match == "MASK" and kind not in ("v4", "v6"):
                match = "EQUAL"
            if match == "RANGE":
                low, high = sorted((self.number(kind), self.number(kind)))
                value = ("<type>FWP_RANGE_TYPE</type><rangeValue><valueLow>%s</valueLow><valueHigh>%s</valueHigh>"
                         "</rangeValue>" % (self.scalar(kind, low), self.scalar(kind, high)))
            elif match == "MASK" and kind == "v4":
                match, mask = rng.choice(["EQUAL", "NOT_EQUAL"]), (-1 << rng.randint(0, 6)) & 0xFFFFFFFF
                value = "<type>FWP_V4_ADDR_MASK</type><v4AddrMask><addr>%s</addr><mask>%s</mask></v4AddrMask>" % (
                    encode("v4", self.number("v4")), encode("v4", mask))
            elif match == "MASK":
                match = rng.choice(["EQUAL", "NOT_EQUAL"])
                value = ("<type>FWP_V6_ADDR_MASK</type><v6AddrMask><addr>%s</addr><prefixLength>%d</prefixLength>"
                         "</v6AddrMask>" % (encode("v6", self.number("v6")), rng.choice([0, 10, 63, 64, 127, 128])))
            else:
                value = self.scalar(kind, self.number(kind))
        else:
            match = rng.choice(["EQUAL", "EQUAL", "NOT_EQUAL"])
            if kind in TOKENS:
                value = "<type>FWP_SECURITY_DESCRIPTOR_TYPE</type><sd>%s</sd>" % (
                    self.descriptor().replace("&", "&amp;"))
            elif kind == "FWP_SID":
                value = "<type>FWP_SID</type><sid>%s</sid>" % rng.choice([NO_PACKAGE, "S-1-15-2-1-2-3-4-5-6-7"])
            else:
                value = "<type>FWP_BYTE_BLOB_TYPE</type><byteBlob><data>%s</data></byteBlob>" % rng.choice(
                    ["61000000", "62000000", "610062000000"])
        return ("<item><fieldKey>%s</fieldKey><matchType>FWP_MATCH_%s</matchType><conditionValue>%s</conditionValue>"
                "</item>" % (field, match, value))

    def filter(self, layer):
        rng = self.rng
        fields = {f: k for f, k in self.facts.fields[layer].items()
                  if (k in NUMBERS or k in TOKENS or k in ("FWP_SID", "FWP_BYTE_BLOB_TYPE")) and "RESERVED" not in f}
        usual = [f for f in fields if f.endswith(("_ADDRESS", "_PORT", "PROTOCOL", "FLAGS", "USER_ID", "APP_ID",
                                                  "PACKAGE_ID", "FAMILY_NAME"))]
        conditions = []
        for field in rng.sample(usual if rng.random() < .8 else list(fields), rng.choice([0, 1, 1, 2, 2, 3])):
            conditions += [self.condition(field, fields[field]) for _ in range(rng.choice([1, 1, 1, 2, 3]))]
        rng.shuffle(conditions)
        self.last += rng.choice([1, 7])
        kind, callout = rng.choice([PERMIT, PERMIT, BLOCK, BLOCK, "CALLOUT_TERMINATING", "CALLOUT_UNKNOWN",
                                    "CALLOUT_INSPECTION"]), ""
        if kind.startswith("CALLOUT"):
            callout = rng.choice(self.callouts)
        flags = [f for f, p in (("CLEAR_ACTION_RIGHT", .25), ("PERMIT_IF_CALLOUT_UNREGISTERED", .3 if callout else 0),
                                ("DISABLED", .05), ("BOOTTIME", .05), ("INDEXED", .3)) if rng.random() < p]
        weight = rng.choice([0, 1, 2, 3, rng.randint(0, 1 << 60), (1 << 64) - 1])
        return """<item><filterKey>{%08x-1111-4111-8111-111111111111}</filterKey><displayData><name>f%d</name>
<description/></displayData><flags numItems="%d">%s</flags><providerKey/><providerData/><layerKey>%s</layerKey>
<subLayerKey>%s</subLayerKey><weight><type>FWP_UINT64</type><uint64>%d</uint64></weight>
<filterCondition numItems="%d">%s</filterCondition>
<action><type>FWP_ACTION_%s</type><filterType>%s</filterType></action>
<rawContext>0</rawContext><reserved/><filterId>%d</filterId><effectiveWeight><type>FWP_UINT64</type><uint64>%d</uint64>
</effectiveWeight></item>""" % (
            self.last, self.last, len(flags), "".join("<item>FWPM_FILTER_FLAG_%s</item>" % f for f in flags), layer,
            rng.choice([*self.SUBLAYERS, *self.SUBLAYERS, "FWPM_SUBLAYER_UNIVERSAL"]), weight, len(conditions),
            "".join(conditions), kind, callout, self.last, weight)

    def write(self, path):
        out = ['<?xml version="1.0" encoding="UTF-8"?>\n<wfpstate>\n<layers numItems="%d">' % len(self.LAYERS)]
        for n, layer in enumerate(self.LAYERS):
            keys = ["{0000000%d-0000-4000-8000-0000000000c%d}" % (n, m) for m in range(4)]
            self.callouts = keys  # the last one is gone
            out.append("<item><layer><layerKey>%s</layerKey></layer><callouts numItems='3'>" % layer)
            for m, key in enumerate(keys[:3]):
                out.append("<item><calloutKey>%s</calloutKey><displayData><name>c</name><description/></displayData>"
                           "<flags/><providerKey/><providerData/><applicableLayer>%s</applicableLayer><calloutId>%d"
                           "</calloutId></item>" % (key, layer, 100 + 10 * n + m))
            out.append("</callouts><filters numItems='30'>%s</filters></item>" % "".join(
                self.filter(layer) for _ in range(30)))
        out.append("</layers><subLayers numItems='4'>")
        for key, weight in [*self.SUBLAYERS.items(), ("FWPM_SUBLAYER_UNIVERSAL", 32768)]:
            out.append("<item><subLayerKey>%s</subLayerKey><displayData><name>s</name><description/></displayData>"
                       "<flags/><providerKey/><providerData/><weight>%d</weight></item>" % (key, weight))
        out.append("</subLayers></wfpstate>\n")
        with open(path, "w", encoding="utf-8-sig", newline="\r\n") as f:
            f.write("\n".join(out))


# ---- Weir's answers

class Difference(Exception):
    pass


class Refused(Exception):
    """Weir says that it cannot tell (too many values matter to one field): no answer, so none that is wrong."""


def run(arguments, text=None):
    done = subprocess.run([EXE] + arguments, input=text, capture_output=True, text=True, encoding="utf-8", check=False)
    if "too many different values matter" in done.stderr:
        raise Refused()
    if done.returncode not in (0, 1, 2, 3, 65) or not done.stdout:
        raise Difference("%s: exit %d: %s" % (arguments, done.returncode, done.stderr.strip()))
    return done.stdout


def batch(policy, lines, *options):
    if not lines:
        return []
    text = "".join(json.dumps(x) + "\n" for x in lines)
    said = run(["classify", "--state", policy.path, "--batch", "-", *options], text)
    out = [json.loads(x) for x in said.splitlines()]
    if len(out) != len(lines):
        raise Difference("%d answers to %d lines" % (len(out), len(lines)))
    return out


def line_of(policy, layer, values, callouts=None):
    kinds = policy.facts.fields[layer]
    line = {"layer": layer, "values": {f: encode(kinds[f], v) for f, v in values.items()}}
    if callouts is not None:
        line["callouts"] = callouts
    return line


def compare(mine, theirs, what):
    """A judge's result against an object with Weir's members for one layer's decision."""
    ends = {s["sublayer"]: (s["filter_id"], s["action"]) for s in theirs["sublayers"] if s["filter_id"] is not None}
    rights = None if mine["rights"] is None else theirs["rights"]
    got = {"verdict": theirs["verdict"], "filter": theirs.get("filter_id"), "rights": rights,
           "veto": theirs.get("veto", False), "ends": ends}
    if got != mine:
        raise Difference("%s\n  weir   %s\n  oracle %s" % (what, got, mine))


class Trial:
    def __init__(self, policy, seed):
        self.rng = random.Random("%s %s" % (seed, policy.name))
        self.policy, self.questions = policy, Questions(self.rng, policy)
        self.layers = sorted(policy.layers)
        self.failures, self.counts = [], {}

    def layer(self):
        big = sorted(self.layers, key=lambda x: -len(self.policy.layers[x]))
        return self.rng.choice(big[:8] if self.rng.random() < .7 else self.layers)

    def check(self, kind, line, function):
        self.counts[kind] = self.counts.get(kind, 0) + 1
        try:
            function()
        except Refused:
            self.counts["refused"] = self.counts.get("refused", 0) + 1
        except Difference as e:
            self.failures.append("%s, %s: %s\n  %s" % (self.policy.name, kind, e, json.dumps(line)))

    def answers(self, layer):
        return {k: self.rng.choice(["permit", "block", "continue"]) for k in self.policy.foreign_callouts(layer)}

    def known(self, count):
        cases = []
        self.questions.odd = True
        for _ in range(count):
            layer = self.layer()
            values, callouts = self.questions.values(layer), self.answers(layer)
            cases.append((layer, values, callouts, line_of(self.policy, layer, values, callouts)))
        for (layer, values, callouts, line), got in zip(cases, batch(self.policy, [c[3] for c in cases])):
            def verify():
                if "error" in got:
                    raise Difference(got["error"])
                if got["verdict"] == "DEPENDS":
                    raise Difference("DEPENDS on %s" % got.get("fields"))
                compare(self.policy.judge(layer, values, callouts), got, "all known")
            self.check("known", line, verify)

    def verdicts(self, layer, values, given):
        """The verdicts that the open callouts' answers can make (a callout asked for is not always heard)."""
        left, out = [k for k in self.policy.foreign_callouts(layer) if k not in given], {}
        asked = {f.callout for f in self.policy.layers[layer] if f.callout in left and f.matches(values)}
        if len(asked) > 5:
            return None
        for answers in itertools.product(["permit", "block", "continue"], repeat=len(asked)):
            taken = {**given, **dict(zip(sorted(asked), answers))}
            out[self.policy.judge(layer, values, taken)["verdict"]] = taken
        return out

    def callouts(self, count):
        layers = [x for x in self.layers if self.policy.foreign_callouts(x)]
        cases = []
        for _ in range(count if layers else 0):
            layer = self.rng.choice(layers)
            values = self.questions.values(layer)
            cases.append((layer, values, line_of(self.policy, layer, values)))
        for (layer, values, line), got in zip(cases, batch(self.policy, [c[2] for c in cases], "--assume", "none")):
            def verify():
                possible = self.verdicts(layer, values, {})
                if possible is None:
                    return
                wanted = "DEPENDS" if len(possible) > 1 else next(iter(possible))
                if got.get("verdict") != wanted:
                    raise Difference("weir %s, oracle %s" % (got.get("verdict", got), wanted))
                if wanted == "DEPENDS":
                    self.assignments(layer, values, {}, got)
            self.check("callouts", line, verify)

    def assignments(self, layer, values, given, got):
        kinds = self.policy.facts.fields[layer]
        for verdict, name in (("PERMITTED", "permitted"), ("BLOCKED", "blocked")):
            shown = got["assignments"][name]
            world = {f: decode(kinds[f], v) for f, v in shown["values"].items()}
            if set(world) & set(values) or set(world) | set(values) != set(kinds):
                raise Difference("%s: not the fields left open: %s" % (name, sorted(world)))
            try:
                mine = self.policy.judge(layer, {**values, **world}, {**given, **shown["callouts"]})
            except KeyError as e:
                raise Difference("%s: nothing said of callout %s" % (name, e)) from e
            if mine["verdict"] != verdict:
                raise Difference("%s: the oracle says %s by %s" % (name, mine["verdict"], mine["filter"]))

    def open(self, count, completions=12):
        cases = []
        for _ in range(count):
            layer = self.layer()
            values, callouts = self.questions.values(layer), self.answers(layer)
            tested = {f for x in self.policy.layers[layer] for f in x.fields}
            for _ in range(self.rng.choice([1, 1, 2, 3])):
                if not values:
                    break
                pick = self.rng.choice(sorted(tested) if self.rng.random() < .85 and tested else sorted(values))
                values.pop(pick, None)
                tested.discard(pick)
            cases.append((layer, values, callouts, line_of(self.policy, layer, values, callouts)))
        for (layer, values, callouts, line), got in zip(cases, batch(self.policy, [c[3] for c in cases])):
            def verify():
                kinds = self.policy.facts.fields[layer]
                if "too many different values matter" in got.get("error", ""):
                    raise Refused()
                if "error" in got:
                    raise Difference(got["error"])
                if got["verdict"] == "UNDECIDED":
                    self.counts["undecided"] = self.counts.get("undecided", 0) + 1
                    return
                if got["verdict"] == "DEPENDS":
                    self.counts["depends"] = self.counts.get("depends", 0) + 1
                    if not set(got["fields"]) <= set(kinds) - set(values) or not got["fields"]:
                        raise Difference("DEPENDS on %s" % got["fields"])
                    self.assignments(layer, values, callouts, got)
                    return
                self.questions.odd = False  # doc/json.md, Tokens: what is not tried for an unknown one
                for _ in range(completions):
                    likely = self.rng.choice(self.policy.layers[layer]).fields
                    world = {f: self.questions.satisfying(self.rng.choice(likely[f]), kind)
                             if f in likely and self.rng.random() < .6 else self.questions.value(f, kind)
                             for f, kind in kinds.items() if f not in values}
                    if any(v is None for v in world.values()):  # EMPTY stands only where Windows ever indicates it
                        continue
                    for f in world:  # MATCH-12
                        if self.rng.random() < .2 and (
                                "ARRIVAL" in f and "RECV_ACCEPT" in layer or
                                f == "FWPM_CONDITION_IP_LOCAL_ADDRESS" and "RESOURCE_ASSIGNMENT" in layer):
                            world[f] = None
                    mine = self.policy.judge(layer, {**values, **world}, callouts)
                    if mine["verdict"] != got["verdict"]:
                        raise Difference("%s is not so with %s: %s by %s" % (
                            got["verdict"], {f: encode(kinds[f], v) for f, v in world.items()}, mine["verdict"],
                            mine["filter"]))
            self.check("open", line, verify)

    def explain(self, count, seconds):
        end = time.monotonic() + seconds
        rng, pool = self.rng, self.questions.pool
        paths = [b.decode("utf-16-le").rstrip("\0") for b in pool.get("FWPM_CONDITION_ALE_APP_ID", [])]
        paths += ["\\device\\harddiskvolume3\\some\\where\\else.exe"]
        for _ in range(count):
            if time.monotonic() > end:
                break
            v6 = rng.random() < .4

            def address(which):
                known = [v for v in pool.get("FWPM_CONDITION_IP_%s_ADDRESS" % which, [])
                         if isinstance(v, int) and (1 << 32 <= v < 1 << 128 if v6 else 0 < v < 1 << 32)]
                kind = ipaddress.IPv6Address if v6 else ipaddress.IPv4Address
                own = ["2001:db8::20", "::1", "fe80::20", "ff02::fb"] if v6 else [
                    "192.0.2.20", "127.0.0.1", "10.1.2.3", "224.0.0.251"]
                return str(kind(rng.choice(known))) if known and rng.random() < .5 else rng.choice(own)

            def end_point(which):
                ports = [v for v in pool.get("FWPM_CONDITION_IP_%s_PORT" % which, []) if 0 < v < 65536]
                port = rng.choice(ports) if ports and rng.random() < .7 else rng.randint(1, 65535)
                return ("[%s]:%d" if v6 else "%s:%d") % (address(which), port)

            arguments = ["explain", "--state", self.policy.path, rng.choice(["connect", "accept"]),
                         rng.choice(["tcp", "udp"]), end_point("LOCAL"), end_point("REMOTE"), "--json", "-v",
                         "--assume", rng.choice(["plain", "none", "default"])]
            if rng.random() < .8:
                arguments += ["--app", rng.choice(paths)]
            if rng.random() < .6:
                arguments += ["--user", rng.choice([USER, "S-1-5-18"] + [
                    s for s in self.questions.sids if s.startswith("S-1-5-80-") or s.startswith("S-1-5-21-")])]
            if rng.random() < .6:
                arguments += ["--profile", rng.choice(["public", "private", "domain"])]

            def verify():
                got = json.loads(run(arguments))
                if got["verdict"] in ("UNDECIDED", "CONTRADICTION"):
                    self.counts[got["verdict"].lower()] = self.counts.get(got["verdict"].lower(), 0) + 1
                    return
                if got["verdict"] == "DEPENDS":
                    worlds = [(got["assignments"][w], w.upper()) for w in ("permitted", "blocked")]
                else:
                    worlds = [(got, got["verdict"])]
                for world, verdict in worlds:
                    self.world(world, verdict)
            self.check("explain", arguments, verify)

    def world(self, world, verdict):
        blocked = False
        for shown in world["layers"]:
            layer, kinds = shown["layer"], self.policy.facts.fields[shown["layer"]]
            values = {f: decode(kinds[f], v) for f, v in shown["values"].items()}
            if set(values) != set(kinds):
                raise Difference("%s: fields missing: %s" % (layer, sorted(set(kinds) - set(values))))
            answers = {**{k: "continue" for k in self.policy.foreign_callouts(layer)}, **world["callouts"]}
            mine = self.policy.judge(layer, values, answers)
            compare(mine, shown, "%s: %s" % (layer, json.dumps(shown["values"])))
            blocked |= mine["verdict"] == "BLOCKED"
            self.counts["layers explained"] = self.counts.get("layers explained", 0) + 1
        if blocked != (verdict == "BLOCKED"):
            raise Difference("%s, but by its layers not so" % verdict)


def main():
    seed = os.environ.get("WEIR_SEED", "1")
    cases = int(os.environ.get("WEIR_ORACLE_CASES", "300"))
    facts = Facts()
    paths = [os.path.join(ROOT, "data", "demo", "demo.wfpstate.xml")]
    real = [os.path.join(SHARED, "data", "states", name) for name in (
        "server-minimal.wfpstate.xml", "developer-laptop.wfpstate.xml", "vpn-desktop.filters.xml")]
    missing = [os.path.basename(p) for p in real if not os.path.exists(p)]
    paths += [p for p in real if os.path.exists(p)]
    total, failures = {}, []
    with tempfile.TemporaryDirectory() as folder:
        paths.append(os.path.join(folder, "random.wfpstate.xml"))
        Maker(random.Random(seed), facts).write(paths[-1])
        if os.environ.get("WEIR_KEEP"):  # to look at it
            shutil.copy(paths[-1], os.environ["WEIR_KEEP"])
        for path in paths:
            trial = Trial(Policy(facts, path), seed)
            trial.known(cases)
            trial.callouts(cases // 4)
            trial.open(cases // 2)
            trial.explain(max(cases // 20, 4), 3 if cases <= 300 else 600)
            failures += trial.failures
            for kind, n in trial.counts.items():
                total[kind] = total.get(kind, 0) + n
    for text in failures[:int(os.environ.get("WEIR_SHOW", "5"))]:
        print(text)
    print("oracle: seed %s: %s; %d differences%s" % (
        seed, ", ".join("%d %s" % (n, kind) for kind, n in total.items()), len(failures),
        "; missing: " + ", ".join(missing) if missing else ""))
    return 1 if failures else 77 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
