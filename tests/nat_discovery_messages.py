"""Messages of Submariner's NAT discovery by the protobuf library, as natdiscovery.proto describes them."""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PACKAGE = "natdiscovery"
_FIELD = descriptor_pb2.FieldDescriptorProto
_TYPES = {
    "int32": _FIELD.TYPE_INT32, "uint32": _FIELD.TYPE_UINT32, "uint64": _FIELD.TYPE_UINT64,
    "bool": _FIELD.TYPE_BOOL, "string": _FIELD.TYPE_STRING,
}  # fmt: skip
MESSAGES = {
    "Message": (("version", "int32", 1), ("request", "Request", 2), ("response", "Response", 3)),
    "Request": (
        ("request_number", "uint64", 1), ("sender", "Details", 2), ("receiver", "Details", 3),
        ("using_src", "Pair", 4), ("using_dst", "Pair", 5),
    ),
    "Response": (
        ("request_number", "uint64", 1), ("response", "int32", 2), ("sender", "Details", 3),
        ("receiver", "Details", 4), ("src_ip_nat_detected", "bool", 5), ("src_port_nat_detected", "bool", 6),
        ("dst_ip_nat_detected", "bool", 7), ("received_src", "Pair", 8),
    ),
    "Pair": (("IP", "string", 1), ("port", "uint32", 2)),
    "Details": (("cluster_id", "string", 1), ("endpoint_id", "string", 2)),
}  # fmt: skip
"""Name, type and number of each field; an enumeration travels as a number."""
OK, NAT_DETECTED, UNKNOWN_DST_CLUSTER, UNKNOWN_DST_ENDPOINT, MALFORMED = range(5)


def make_message_class() -> Any:
    """The class of the outer message."""
    file = descriptor_pb2.FileDescriptorProto(name="natdiscovery.proto", package=PACKAGE, syntax="proto3")
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, kind, number in fields:
            added = message.field.add(name=field, number=number, label=_FIELD.LABEL_OPTIONAL)
            added.type = _TYPES.get(kind, _FIELD.TYPE_MESSAGE)
            if kind not in _TYPES:
                added.type_name = f".{PACKAGE}.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.Message"))


def answer(
    message_class: Any,
    data: bytes,
    address: str,
    port: int,
    *,
    cluster: str,
    cable: str,
    private: str,
) -> bytes:
    """What a gateway answers to a request that came from *address* and *port*."""
    request = message_class.FromString(data).request
    message = message_class()
    response = message.response
    response.request_number = request.request_number
    response.sender.cluster_id, response.sender.endpoint_id = cluster, cable
    response.receiver.CopyFrom(request.sender)
    response.received_src.IP, response.received_src.port = address, port
    if not all(request.HasField(name) for name in ("sender", "receiver", "using_src", "using_dst")):
        response.response = MALFORMED
    elif request.receiver.cluster_id != cluster:
        response.response = UNKNOWN_DST_CLUSTER
    elif request.receiver.endpoint_id != cable:
        response.response = UNKNOWN_DST_ENDPOINT
    else:
        response.src_ip_nat_detected = request.using_src.IP not in {"", address}
        response.src_port_nat_detected = request.using_src.port != port
        response.dst_ip_nat_detected = private != request.using_dst.IP
        changed = (
            response.src_ip_nat_detected or response.src_port_nat_detected or response.dst_ip_nat_detected
        )
        response.response = NAT_DETECTED if changed else OK
    return bytes(message.SerializeToString())
