#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Generates the headers of numbers that include/wdk/ includes, and the GUIDs' definitions.

usage: gen_wdk.py <data folder> <output file>; the output's name says which: see OUTPUTS below.
"""

import os
import re
import sys
import textwrap

from facts_tables import Tables, guid_initializer

# Groups of data/constants.tsv that are enumerations, with the type's name where it is not the group's.
# Everything else is #defined.
ENUMS = {
    "EVENT_TYPE": "EVENT_TYPE",
    "EX_POOL_PRIORITY": "EX_POOL_PRIORITY",
    "KDPC_IMPORTANCE": "KDPC_IMPORTANCE",
    "KWAIT_REASON": "KWAIT_REASON",
    "LOCK_OPERATION": "LOCK_OPERATION",
    "MEMORY_CACHING_TYPE": "MEMORY_CACHING_TYPE",
    "MEMORY_CACHING_TYPE_ORIG": "MEMORY_CACHING_TYPE_ORIG",
    "MM_PAGE_PRIORITY": "MM_PAGE_PRIORITY",
    "MODE": "MODE",
    "NDIS_NET_BUFFER_LIST_INFO": "NDIS_NET_BUFFER_LIST_INFO",
    "NDIS_PARAMETER_TYPE": "NDIS_PARAMETER_TYPE",
    "NDIS_REQUEST_TYPE": "NDIS_REQUEST_TYPE",
    "NET_IF_ACCESS_TYPE": "NET_IF_ACCESS_TYPE",
    "NET_IF_ADMIN_STATUS": "NET_IF_ADMIN_STATUS",
    "NET_IF_CONNECTION_TYPE": "NET_IF_CONNECTION_TYPE",
    "NET_IF_DIRECTION_TYPE": "NET_IF_DIRECTION_TYPE",
    "NET_IF_MEDIA_CONNECT_STATE": "NET_IF_MEDIA_CONNECT_STATE",
    "NET_IF_MEDIA_DUPLEX_STATE": "NET_IF_MEDIA_DUPLEX_STATE",
    "NET_IF_OPER_STATUS": "NET_IF_OPER_STATUS",
    "NET_IF_RCV_ADDRESS_TYPE": "NET_IF_RCV_ADDRESS_TYPE",
    "DL_ADDRESS_TYPE": "DL_ADDRESS_TYPE",
    "NDIS_MEDIUM": "NDIS_MEDIUM",
    "NDIS_PHYSICAL_MEDIUM": "NDIS_PHYSICAL_MEDIUM",
    "NL_ADDRESS_TYPE": "NL_ADDRESS_TYPE",
    "POOL_TYPE": "POOL_TYPE",
    "SECURITY_IMPERSONATION_LEVEL": "SECURITY_IMPERSONATION_LEVEL",
    "TIMER_TYPE": "TIMER_TYPE",
    "TOKEN_TYPE": "TOKEN_TYPE",
    "TUNNEL_TYPE": "TUNNEL_TYPE",
    "WAIT_TYPE": "WAIT_TYPE",
    "WORK_QUEUE_TYPE": "WORK_QUEUE_TYPE",
    "IPSEC_OFFLOAD_V2_OPERATION": "IPSEC_OFFLOAD_V2_OPERATION",
    "SYSTEM_POWER_STATE": "SYSTEM_POWER_STATE",
    "POWER_ACTION": "POWER_ACTION",
    "DEVICE_POWER_STATE": "DEVICE_POWER_STATE",
    "POWER_STATE_TYPE": "POWER_STATE_TYPE",
    "INTERFACE_TYPE": "INTERFACE_TYPE",
    "KEY_INFORMATION_CLASS": "KEY_INFORMATION_CLASS",
    "KEY_VALUE_INFORMATION_CLASS": "KEY_VALUE_INFORMATION_CLASS",
    "IO_ALLOCATION_ACTION": "IO_ALLOCATION_ACTION",
    "DEVICE_USAGE_NOTIFICATION_TYPE": "DEVICE_USAGE_NOTIFICATION_TYPE",
    "DEVICE_REGISTRY_PROPERTY": "DEVICE_REGISTRY_PROPERTY",
    "IO_PRIORITY_HINT": "IO_PRIORITY_HINT",
    "FILE_INFORMATION_CLASS": "FILE_INFORMATION_CLASS",
    "FS_INFORMATION_CLASS": "FS_INFORMATION_CLASS",
    "DEVICE_RELATION_TYPE": "DEVICE_RELATION_TYPE",
    "BUS_QUERY_ID_TYPE": "BUS_QUERY_ID_TYPE",
    "DEVICE_TEXT_TYPE": "DEVICE_TEXT_TYPE",
    "PROCESSINFOCLASS": "PROCESSINFOCLASS",
    "TABLE_SEARCH_RESULT": "TABLE_SEARCH_RESULT",
    "RTL_GENERIC_COMPARE_RESULTS": "RTL_GENERIC_COMPARE_RESULTS",
    "OBJECT_INFORMATION_CLASS": "OBJECT_INFORMATION_CLASS",
    "SECURITY_OPERATION_CODE": "SECURITY_OPERATION_CODE",
    "WDF_EXECUTION_LEVEL": "WDF_EXECUTION_LEVEL",
    "WDF_SYNCHRONIZATION_SCOPE": "WDF_SYNCHRONIZATION_SCOPE",
    "WDF_TRI_STATE": "WDF_TRI_STATE",
    "WDF_IO_QUEUE_DISPATCH_TYPE": "WDF_IO_QUEUE_DISPATCH_TYPE",
    "WDF_IO_QUEUE_STATE": "WDF_IO_QUEUE_STATE",
    "WDF_DEVICE_IO_TYPE": "WDF_DEVICE_IO_TYPE",
    "WDF_FILEOBJECT_CLASS": "WDF_FILEOBJECT_CLASS",
    "WDF_DRIVER_INIT_FLAGS": "WDF_DRIVER_INIT_FLAGS",
    "WDF_DEVICE_SHUTDOWN_FLAGS": "WDF_DEVICE_SHUTDOWN_FLAGS",
    "WDF_REQUEST_TYPE": "WDF_REQUEST_TYPE",
    "WDF_REQUEST_STOP_ACTION_FLAGS": "WDF_REQUEST_STOP_ACTION_FLAGS",
    "FWPM_APPC_NETWORK_CAPABILITY_TYPE": None,
    "FWPM_CHANGE_TYPE": None,
    "FWPM_CONNECTION_EVENT_TYPE": None,
    "FWPM_ENGINE_OPTION": None,
    "FWPM_FIELD_TYPE": None,
    "FWPM_NET_EVENT_TYPE": None,
    "FWPM_PROVIDER_CONTEXT_TYPE": None,
    "FWPM_SERVICE_STATE": None,
    "FWPM_SYSTEM_PORT_TYPE": None,
    "FWPM_VSWITCH_EVENT_TYPE": None,
    "FWPS_CALLOUT_NOTIFY_TYPE": None,
    "FWPS_CONNECTION_REDIRECT_STATE": None,
    "FWPS_DISCARD_MODULE0": None,
    "FWPS_GENERAL_DISCARD_REASON": None,
    "FWPS_NET_BUFFER_LIST_EVENT_TYPE0": None,
    "FWPS_PACKET_INJECTION_STATE": None,
    "FWPS_STREAM_ACTION_TYPE": None,
    "FWPS_VSWITCH_EVENT_TYPE": None,
    "FWP_AF": None,
    "FWP_CLASSIFY_OPTION_TYPE": None,
    "FWP_DATA_TYPE": None,
    "FWP_DIRECTION": None,
    "FWP_ETHER_ENCAP_METHOD": None,
    "FWP_FILTER_ENUM_TYPE": None,
    "FWP_IP_VERSION": None,
    "FWP_MATCH_TYPE": None,
    "FWP_NETWORK_CONNECTION_POLICY_SETTING_TYPE": None,
    "FWP_VSWITCH_NETWORK_TYPE": None,
    "IKEEXT_AUTHENTICATION_IMPERSONATION_TYPE": None,
    "IKEEXT_AUTHENTICATION_METHOD_TYPE": None,
    "IKEEXT_CERT_CONFIG_TYPE": None,
    "IKEEXT_CERT_CRITERIA_NAME_TYPE": None,
    "IKEEXT_CIPHER_TYPE": None,
    "IKEEXT_DH_GROUP": None,
    "IKEEXT_EM_SA_STATE": None,
    "IKEEXT_INTEGRITY_TYPE": None,
    "IKEEXT_KEY_MODULE_TYPE": None,
    "IKEEXT_MM_SA_STATE": None,
    "IKEEXT_QM_SA_STATE": None,
    "IKEEXT_SA_ROLE": None,
    "INET_DISCARD_REASON": "INET_DISCARD_REASON",
    "IP_DISCARD_REASON": "IP_DISCARD_REASON",
    "IPSEC_AUTH_TYPE": None,
    "IPSEC_CIPHER_TYPE": None,
    "IPSEC_FAILURE_POINT": None,
    "IPSEC_PFS_GROUP": None,
    "IPSEC_SA_CONTEXT_EVENT_TYPE0": None,
    "IPSEC_TOKEN_MODE": None,
    "IPSEC_TOKEN_PRINCIPAL": None,
    "IPSEC_TOKEN_TYPE": None,
    "IPSEC_TRAFFIC_TYPE": None,
    "IPSEC_TRANSFORM_TYPE": None,
}

# Constants that Windows' headers declare with a type: sources compare them with variables of it.
TYPED = {"NDIS_STATUS": "NDIS_STATUS", "WDF_STATUS": "NTSTATUS"}

# Each generated header's groups. `WS2` would clash with the host's socket headers, so it is by itself.
WS2 = ("AF",)
SKIP = ("IPPROTO",)  # the host's <netinet/in.h> has these as enumerators


def is_fwp(group):
    return group.startswith(("FWP", "IKEEXT_", "IPSEC_", "IP_DISCARD_", "INET_DISCARD_")) and group != "IPSEC_OFFLOAD_V2_OPERATION"


def number(value):
    if value > 0xFFFFFFFF:
        return "0x%xull" % value
    return "0x%08x" % value


def opening(name, text):
    guard = "WEIR_GEN_" + name.upper().replace(".", "_")
    return ["/* SPDX-License-Identifier: Apache-2.0 */",
            f"/* {name}: {text} Generated by tools/gen_wdk.py; do not edit. */",
            f"#ifndef {guard}", f"#define {guard}", ""]


def emit_enum(group, entries):
    name = ENUMS[group]
    tag = "_" + name if name else group + "_"
    name = name or group
    # Windows' enumerations are int; 0xffffffff there is -1.
    lines = [f"typedef enum {tag} {{"]
    lines += ["    %s = %s," % (n, v if v <= 0x7FFFFFFF else v - (1 << 32)) for n, v in entries]
    return lines + [f"}} {name}, *P{name};" if not is_fwp(group) else f"}} {name};", ""]


def emit_defines(group, entries):
    lines = [f"/* {group} */"]
    for n, v in entries:
        text = f"(({TYPED[group]}){number(v)})" if group in TYPED else number(v)
        lines.append(f"#define {n} {text}")
    return lines + [""]


def constants(tables, name, text, wanted):
    out = opening(name, text)
    for group, entries in tables.constants().items():
        if group in SKIP or not wanted(group):
            continue
        out += emit_enum(group, entries) if group in ENUMS else emit_defines(group, entries)
    return out + ["#endif"]


def fwp_constants(tables):
    return constants(tables, "wdk_fwp_constants.h", "the FWP, FWPM, FWPS, IKEEXT and IPSEC constants.",
                     lambda g: is_fwp(g) and g != "FWPS_FIELD_alias")


def nt_constants(tables):
    return constants(tables, "wdk_nt_constants.h", "the kernel's, NDIS' and the security constants.",
                     lambda g: not is_fwp(g) and g not in WS2 and not g.startswith("WDF_"))


def wdf_constants(tables):
    return constants(tables, "wdk_wdf_constants.h", "the framework's enumerations and status values.", lambda g: g.startswith("WDF_"))


def ws2_constants(tables):
    return constants(tables, "wdk_ws2_constants.h", "Windows' socket numbers.", lambda g: g in WS2)


def field_enums(tables):
    """FWPS_BUILTIN_LAYERS, and each layer's FWPS_FIELDS_* enumeration with the second names of its fields."""
    out = opening("wdk_fwps_fields.h", "layer identifiers and the indexes of their fields.")
    layers, fields, seen = tables.layers(), tables.fields(), set()
    out += ["typedef enum FWPS_BUILTIN_LAYERS_ {"]
    out += ["    %s = %s," % (r["fwps_name"], r["layerId"]) for r in layers]
    out += ["    FWPS_BUILTIN_LAYER_MAX = %d," % len(layers), "} FWPS_BUILTIN_LAYERS;", ""]
    for layer in layers:
        rows = fields.get(int(layer["layerId"]), [])
        named = [r for r in rows if r["fwps_field"].startswith("FWPS_FIELD_")]
        if not named or named[0]["fwps_field"] in seen:  # a discard layer shares its sibling's enumeration
            continue
        seen.add(named[0]["fwps_field"])
        base = layer["fwps_name"].replace("FWPS_LAYER_", "")
        out += [f"typedef enum FWPS_FIELDS_{base}_ {{"]
        out += ["    %s = %s," % (r["fwps_field"], r["field_index"]) for r in named]
        out += ["    FWPS_FIELD_%s_MAX = %d," % (field_prefix(base, named), len(rows)), f"}} FWPS_FIELDS_{base};", ""]
    out += ["/* Second names. */"]
    out += ["#define %s %d" % (n, v) for n, v in tables.constants()["FWPS_FIELD_alias"]]
    return out + ["", "#endif"]


def field_prefix(base, rows):
    """What all the field names of a layer begin with after FWPS_FIELD_: its own name, but for a few layers."""
    names = [r["fwps_field"][len("FWPS_FIELD_"):] for r in rows]
    if all(n.startswith(base + "_") for n in names):
        return base
    prefix = os.path.commonprefix(names)
    return prefix[: prefix.rindex("_")] if "_" in prefix else base


def named_guids(tables):
    """Two layers have no published FWPM_ name; their run-time names are numbers, not GUIDs."""
    return [r for r in tables.rows("guids") if r["name"].startswith("FWPM_")]


def guids_header(tables):
    out = opening("wdk_fwp_guids.h", "the platform's own GUIDs; the library defines them.")
    out += ['#include "guiddef.h"', ""]
    kind = None
    for row in named_guids(tables):
        if row["kind"] != kind:
            kind = row["kind"]
            out += ["", f"/* {kind} */"]
        out.append(f"EXTERN_C const GUID {row['name']};")
    return out + ["", "#endif"]


def guids_source(tables):
    out = ["/* SPDX-License-Identifier: Apache-2.0 */", "/* Generated by tools/gen_wdk.py; do not edit. */",
           '#include "wdk_fwp_guids.h"', "",
           "/* Weak, so that a source which defines one of these itself (older SDKs lack some) still links. */"]
    for row in named_guids(tables):
        out.append(f"__attribute__((weak)) const GUID {row['name']} = {guid_initializer(row['guid'])};")
    return out


def status_header(tables):
    out = opening("wdk_ntstatus.h", "NTSTATUS codes, STATUS_FWP_* among them.")
    seen = set()
    for row in tables.rows("status") + [dict(r, group="NTSTATUS") for r in tables.rows("ntstatus")]:
        if row["group"] == "FWP_E" or row["name"] in seen:
            continue
        seen.add(row["name"])
        out.append("#define %s ((NTSTATUS)%s)" % (row["name"], number(int(row["value"], 0))))
    return out + ["", "#endif"]


def error_header(tables):
    out = opening("wdk_winerror.h", "FWP_E_* and the Win32 error codes.")
    for row in tables.rows("status"):
        if row["group"] == "FWP_E":
            out.append("#define %s ((HRESULT)%s)" % (row["name"], number(int(row["value"], 0))))
    out.append("")
    for row in tables.rows("win32_errors"):
        out.append("#define %s %s" % (row["name"], row["value"]))
    return out + ["", "#endif"]


def ntddi_header(tables):
    out = opening("wdk_ntddi.h", "the numbers of Windows versions.")
    out += ["#define %s %s" % (r["name"], r["value"]) for r in tables.rows("ntddi")]
    return out + ["", "#endif"]


def parameters(row):
    """The C parameter list of a function. The table writes "[in,opt] type name; ..."."""
    out = []
    for cell in filter(None, (c.strip() for c in row["params"].split(";"))):
        m = re.fullmatch(r"\[[a-z,]*\] (.+?)(\w+)", cell)
        if not m:
            raise SystemExit(f"functions.tsv: {row['name']}: cannot read parameter {cell!r}")
        kind = m.group(1).strip().replace("wchar_t", "WCHAR")
        # Unnumbered names depend on NTDDI_VERSION; a numbered function's parameters do not.
        kind = {"FWPS_INJECT_COMPLETE": "FWPS_INJECT_COMPLETE0",
                "const FWPS_VSWITCH_EVENT_DISPATCH_TABLE*": "const FWPS_VSWITCH_EVENT_DISPATCH_TABLE0*"}.get(kind, kind)
        stars = len(kind) - len(kind.rstrip("*"))
        out.append(kind.rstrip("*").strip() + " " + "*" * stars + m.group(2))
    return out or ["void"]


def prototype(row, result, suffix=""):
    # A parameter stays on one line: its spaces are hidden from the wrapping.
    text = "%s %s(%s)%s;" % (result, row["name"], ", ".join(p.replace(" ", "\0") for p in parameters(row)), suffix)
    lines = textwrap.wrap(text, 110, subsequent_indent="    ", break_long_words=False)
    return [line.replace("\0", " ") for line in lines]


# What only user programs see of the run time; on Windows fwpsu.h, which fwpmu.h stands in for.
USER_FWPS = ("FwpsAleEndpoint", "FwpsOpenToken", "FwpsClassifyUser")


def is_user_fwps(name):
    return name.startswith(USER_FWPS)


def functions(tables):
    return [r for r in tables.rows("functions") if r["kind"] == "function"]


def fwpsk_functions(tables):
    out = opening("wdk_fwpsk_functions.h", "prototypes for fwpsk.h.")
    for row in functions(tables):
        if row["name"].startswith("Fwps") and not is_user_fwps(row["name"]):
            out += prototype(row, row["return_type"] + " NTAPI")
    return out + ["", "#endif"]


def fwpmk_functions(tables):
    out = opening("wdk_fwpmk_functions.h", "the kernel flavour's prototypes for fwpmk.h.")
    for row in functions(tables):
        if row["name"].startswith("Fwpm") and row["header"] == "fwpmk.h":
            out += prototype(row, row["return_type"] + " NTAPI")
    return out + ["", "#endif"]


def fwpmu_functions(tables):
    out = opening("wdk_fwpmu_functions.h", "the user flavour's prototypes for fwpmu.h.")
    for row in functions(tables):
        name = row["name"]
        if name.startswith("FwpmBfeState"):  # the service's state is the kernel's to ask
            continue
        if name.startswith("Fwpm") or is_user_fwps(name):
            result = "DWORD" if row["return_type"] == "NTSTATUS" else row["return_type"]
            out += prototype(row, result + " WINAPI", f" WEIR_USER_CALL({name})")
    return out + ["", "#endif"]


def version_independent(tables):
    """Unnumbered name -> its numbered versions. Macros of functions.tsv, the headers' own structures and callbacks."""
    names = {}
    for row in tables.rows("functions"):
        m = re.fullmatch(r"(Fw\w+?)(\d)", row["name"])
        if row["kind"] == "function" and m:
            names.setdefault(m.group(1), set()).add(int(m.group(2)))
    for row in tables.rows("functions"):
        if row["kind"] == "version-independent macro":
            for target in row["resolves_to"].split("|"):
                names.setdefault(row["name"], set()).add(int(target[len(row["name"]):]))
    for row in tables.rows("structs"):
        m = re.fullmatch(r"((?:FWPM|FWPS)_\w+?)(\d)", row["struct"])
        if m:
            names.setdefault(m.group(1), set()).add(int(m.group(2)))
    for name, versions in CALLBACKS.items():
        names.setdefault(name, set()).update(versions)
    for name in ("FWP_VALUE", "FWP_RANGE", "FWP_CONDITION_VALUE", "FWPS_NET_BUFFER_LIST_EVENT_TYPE"):
        names.setdefault(name, set()).add(0)
    return names


CALLBACKS = {
    "FWPS_CALLOUT_CLASSIFY_FN": (0, 1, 2, 3),
    "FWPS_CALLOUT_NOTIFY_FN": (0, 1, 2, 3),
    "FWPS_CALLOUT_FLOW_DELETE_NOTIFY_FN": (0,),
    "FWPS_INJECT_COMPLETE": (0,),
    "FWPS_STREAM_INJECT_COMPLETE": (0,),
    "FWPS_NET_BUFFER_LIST_NOTIFY_FN": (0, 1),
    "FWPS_VSWITCH_LIFETIME_EVENT_CALLBACK": (0,),
    "FWPS_VSWITCH_PORT_EVENT_CALLBACK": (0,),
    "FWPS_VSWITCH_INTERFACE_EVENT_CALLBACK": (0,),
    "FWPS_VSWITCH_FILTER_ENGINE_REORDER_CALLBACK": (0,),
    "FWPS_VSWITCH_POLICY_EVENT_CALLBACK": (0,),
    "FWPS_VSWITCH_RUNTIME_STATE_SAVE_CALLBACK": (0,),
    "FWPS_VSWITCH_RUNTIME_STATE_RESTORE_CALLBACK": (0,),
    "FWPM_PROVIDER_CHANGE_CALLBACK": (0,),
    "FWPM_PROVIDER_CONTEXT_CHANGE_CALLBACK": (0,),
    "FWPM_SUBLAYER_CHANGE_CALLBACK": (0,),
    "FWPM_CALLOUT_CHANGE_CALLBACK": (0,),
    "FWPM_FILTER_CHANGE_CALLBACK": (0,),
    "FWPM_NET_EVENT_CALLBACK": (0, 1, 2, 3, 4),
    "FWPM_CONNECTION_CALLBACK": (0,),
    "FWPM_SYSTEM_PORTS_CALLBACK": (0,),
    "FWPM_VSWITCH_EVENT_CALLBACK": (0,),
    "FWPM_DYNAMIC_KEYWORD_CALLBACK": (0,),
    "FWPM_SERVICE_STATE_CHANGE_CALLBACK": (0,),
}


def fwpvi_header(tables):
    out = opening("wdk_fwpvi.h", "unnumbered names by NTDDI_VERSION (CLS-37).")
    since = {(r["name"], int(r["version"])): r["min_ntddi"] for r in tables.rows("versions")}
    names = version_independent(tables)
    for name, version in since:
        if version not in names.get(name, ()):
            raise SystemExit(f"versions.tsv: {name}{version} is neither a function nor a structure")
    for name in sorted(names):
        keyword = "if"
        for version in sorted(names[name], reverse=True):
            if version == min(names[name]):
                lines = ["#else"] if keyword == "elif" else []
                out += lines + [f"#define {name} {name}{version}"] + (["#endif"] if lines else [])
                break
            if (name, version) not in since:
                raise SystemExit(f"versions.tsv: no row for {name}{version}")
            out += [f"#{keyword} NTDDI_VERSION >= {since[name, version]}", f"#define {name} {name}{version}"]
            keyword = "elif"
    return out + ["", "#endif"]


OUTPUTS = {
    "wdk_fwp_constants.h": fwp_constants,
    "wdk_nt_constants.h": nt_constants,
    "wdk_ws2_constants.h": ws2_constants,
    "wdk_wdf_constants.h": wdf_constants,
    "wdk_fwps_fields.h": field_enums,
    "wdk_fwp_guids.h": guids_header,
    "wdk_fwp_guids.c": guids_source,
    "wdk_ntstatus.h": status_header,
    "wdk_winerror.h": error_header,
    "wdk_ntddi.h": ntddi_header,
    "wdk_fwpsk_functions.h": fwpsk_functions,
    "wdk_fwpmk_functions.h": fwpmk_functions,
    "wdk_fwpmu_functions.h": fwpmu_functions,
    "wdk_fwpvi.h": fwpvi_header,
}


def main():
    if len(sys.argv) != 3 or os.path.basename(sys.argv[2]) not in OUTPUTS:
        raise SystemExit(__doc__)
    lines = OUTPUTS[os.path.basename(sys.argv[2])](Tables(sys.argv[1]))
    text = "\n".join(lines) + "\n"
    try:
        with open(sys.argv[2], encoding="utf-8") as f:
            if f.read() == text:
                return  # what includes it need not be built again
    except OSError:
        pass
    with open(sys.argv[2], "w", encoding="utf-8") as f:
        f.write(text)


if __name__ == "__main__":
    main()
