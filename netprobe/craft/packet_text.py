"""Packets as experts write them, ``IP(ttl=9)/UDP(dport=53)/"text"``, read without running any of it.

The text is parsed as a Python expression and then read node by node: layers of :data:`LAYERS` with keyword
arguments that are literals, layers or lists of these, joined by ``/``; text or bytes are payload. Nothing
else is accepted, and nothing is evaluated.

Rule: reading sends nothing. Scapy would look up names, routes and MAC addresses that a
layer leaves out, so addresses are literals, and inner layers have to name theirs.
"""

from __future__ import annotations

import ast
import importlib
import ipaddress
import re
from typing import Any, TypeAlias

from scapy.fields import IP6Field, IPField, MACField, MultipleTypeField
from scapy.packet import Packet, Raw

from netprobe.errors import InputError

MAX_TEXT, MAX_LAYERS = 2_000, 16
WHERE = "--packet"
LAYERS = {
    "AH": "ipsec", "ARP": "l2", "DNS": "dns", "DNSQR": "dns", "Dot1Q": "l2", "ESP": "ipsec", "Ether": "l2",
    "GRE": "l2", "ICMP": "inet", "ICMPv6EchoRequest": "inet6", "IP": "inet", "IPv6": "inet6", "Raw": "",
    "SCTP": "sctp", "SCTPChunkInit": "sctp", "TCP": "inet", "UDP": "inet", "VXLAN": "vxlan",
}  # fmt: skip
"""The layers that may be written, and Scapy's module of each."""
_NAMED = {
    "Ether": ("src", "dst"), "ARP": ("hwsrc", "psrc", "pdst"), "IP": ("src", "dst"), "IPv6": ("src", "dst"),
}  # fmt: skip
"""What inner layers have to say themselves."""
_MAC = re.compile(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}")
Value: TypeAlias = "int | str | bytes | Packet | list[Value] | tuple[Value, ...] | None"


def parse_packet(text: str, *, source: str, target: str) -> Packet:
    """The packet that *text* writes, from *source* to *target*; :class:`InputError` for what cannot be read.

    >>> parse_packet("IP()/UDP(dport=53)/'q'", source="10.1.0.1", target="10.2.0.2").summary()
    'IP / UDP 10.1.0.1:domain > 10.2.0.2:domain / Raw'
    """
    if len(text) > MAX_TEXT:
        raise InputError(f"is longer than {MAX_TEXT} characters", where=WHERE)
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise InputError("is not layers such as IP()/UDP(dport=53)", where=WHERE) from error
    nodes = _split(tree)
    if len(nodes) > MAX_LAYERS:
        raise InputError(f"has more than {MAX_LAYERS} layers", where=WHERE)
    outer, *inner = nodes
    packet = _read_outer(outer, source=source, target=target)
    for node in inner:
        packet = packet / _read_layer(node)
    return packet


def _split(node: ast.expr) -> list[ast.expr]:
    """The layers of ``a/b/c``, from left to right."""
    layers: list[ast.expr] = []
    while isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        layers.append(node.right)
        node = node.left
    return [node, *reversed(layers)]


def _read_outer(node: ast.expr, *, source: str, target: str) -> Packet:
    expected = "IPv6" if ":" in target else "IP"
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.func.id != expected:
        raise InputError(f"begins with {expected}(), as {target} is asked", where=WHERE)
    name, fields = _read_call(node)
    for key, own in (("src", source), ("dst", target)):
        if fields.setdefault(key, own) != own:
            raise InputError(f"{key} is not {own}: {fields[key]!r}", where=WHERE)
    return _make(name, fields)


def _read_layer(node: ast.expr) -> Packet:
    if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
        return Raw(node.value.encode() if isinstance(node.value, str) else node.value)
    name, fields = _read_call(node)
    missing = [key for key in _NAMED.get(name, ()) if key not in fields]
    if missing:
        raise InputError(f"an inner {name} needs {' and '.join(missing)}", where=WHERE)
    return _make(name, fields)


def _read_call(node: ast.expr) -> tuple[str, dict[str, Value]]:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        raise InputError(f"{ast.unparse(node)[:60]} is not a layer, text or bytes", where=WHERE)
    name = node.func.id
    if name not in LAYERS:
        raise InputError(f"unknown layer {name}; known are {', '.join(LAYERS)}", where=WHERE)
    fields: dict[str, Value] = {}
    for keyword in node.keywords:
        if keyword.arg is None or keyword.arg in fields:
            raise InputError(f"{name}() takes each field once, as name=value", where=WHERE)
        fields[keyword.arg] = _read_value(keyword.value)
    if node.args:
        raise InputError(f"{name}() takes fields as name=value only", where=WHERE)
    return name, fields


def _read_value(node: ast.expr) -> Value:
    match node:
        case ast.Constant(value=bool()) | ast.Constant(value=float()):
            pass
        case ast.Constant(value=int() | str() | bytes() | None as value):
            return value
        case ast.List(elts=elements):
            return [_read_value(each) for each in elements]
        case ast.Tuple(elts=elements):
            return tuple(_read_value(each) for each in elements)
        case ast.Call():
            return _read_layer(node)
    raise InputError(f"{ast.unparse(node)[:60]} is not a number, text, bytes, list or layer", where=WHERE)


def _make(name: str, values: dict[str, Value]) -> Packet:
    layer: Any = (
        Raw if not LAYERS[name] else getattr(importlib.import_module(f"scapy.layers.{LAYERS[name]}"), name)
    )
    known = {field.name: _bare(field) for field in layer.fields_desc}
    for key, value in values.items():
        if key not in known:
            raise InputError(f"{name} has no field {key}; it has {', '.join(known)}", where=WHERE)
        if isinstance(value, str) and isinstance(
            known[key], IPField | IP6Field | MACField | MultipleTypeField
        ):
            _expect_address(name, key, value)
    try:
        made = layer(**values)
        bytes(made)
    except Exception as error:  # Scapy raises whatever its fields do
        raise InputError(
            f"{name} cannot be built: {type(error).__name__}: {error}"[:200], where=WHERE
        ) from error
    assert isinstance(made, Packet)
    return made


def _bare(field: Any) -> Any:  # noqa: ANN401 - Scapy's fields have no common class
    """A field without what Scapy wraps around it, such as ``Emph``."""
    while hasattr(field, "fld") and not isinstance(field, MultipleTypeField):
        field = field.fld
    return field


def _expect_address(name: str, key: str, text: str) -> None:
    """Names and ranges would be looked up and expanded."""
    if _MAC.fullmatch(text):
        return
    try:
        ipaddress.ip_address(text)
    except ValueError as error:
        raise InputError(f"{name}.{key}: {text!r} is not an address", where=WHERE) from error
