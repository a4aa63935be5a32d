"""A small DNS server for one cluster of the lab: ``python -m netprobe.lab.dns_server``.

It answers A, AAAA and SRV for the names in its zone file over UDP and TCP, and NXDOMAIN otherwise. Zones in
the
*denied* file, which is read for each query, are answered with NXDOMAIN too, like a server that does not
forward them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

_TTL = 5
_PORT = 53
_TCP_IDLE_S = 5.0
_MAX_UDP = 1232


@dataclass(frozen=True, slots=True)
class Zone:
    """The server's records: addresses and port by absolute name."""

    records: dict[str, tuple[tuple[str, ...], int]]

    @classmethod
    def read(cls, path: Path) -> Zone:
        """Read the zone file."""
        raw = json.loads(path.read_text())
        return cls({f"{name}.": (tuple(entry["addresses"]), entry["port"]) for name, entry in raw.items()})


def answer(wire: bytes, zone: Zone, *, denied: tuple[str, ...]) -> bytes | None:
    """The answer to one query, or None if the bytes are not a query."""
    try:
        query = dns.message.from_wire(wire)
    except (dns.exception.DNSException, ValueError):
        return None
    if query.flags & dns.flags.QR or len(query.question) != 1:
        return None
    response = dns.message.make_response(query, recursion_available=True)
    question = query.question[0]
    name = question.name.to_text().lower()
    is_denied = any(name == f"{denied_zone}." or name.endswith(f".{denied_zone}.") for denied_zone in denied)
    if is_denied or (name not in zone.records and not _is_inside(name, zone)):
        response.set_rcode(dns.rcode.NXDOMAIN)
        return response.to_wire()
    if name in zone.records:
        addresses, port = zone.records[name]
        texts = _texts(question.rdtype, addresses, port, name)
        if texts:
            response.answer.append(dns.rrset.from_text(question.name, _TTL, "IN", question.rdtype, *texts))
    return response.to_wire()


def _is_inside(name: str, zone: Zone) -> bool:
    """Whether *name* is a parent of a known name: it exists, though it has no records (RFC 8020)."""
    return any(known.endswith(f".{name}") for known in zone.records)


def _texts(kind: dns.rdatatype.RdataType, addresses: tuple[str, ...], port: int, name: str) -> list[str]:
    if kind == dns.rdatatype.A:
        return [address for address in addresses if ":" not in address]
    if kind == dns.rdatatype.AAAA:
        return [address for address in addresses if ":" in address]
    if kind == dns.rdatatype.SRV:
        return [f"0 100 {port} {name}"]
    return []


class DnsServer:
    """Reads queries from sockets and answers them with :func:`answer`."""

    def __init__(self, zone: Zone, denied: Path) -> None:
        self._zone = zone
        self._denied = denied

    def reply(self, wire: bytes) -> bytes | None:
        """The answer with the zones that are denied now."""
        try:
            denied = tuple(self._denied.read_text().split())
        except FileNotFoundError:
            denied = ()
        return answer(wire, self._zone, denied=denied)

    async def serve_stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve queries over TCP, each prefixed with its length (RFC 1035 section 4.2.2)."""
        try:
            async with asyncio.timeout(_TCP_IDLE_S):
                while True:
                    (length,) = struct.unpack("!H", await reader.readexactly(2))
                    reply = self.reply(await reader.readexactly(length))
                    if reply is None:
                        break
                    writer.write(struct.pack("!H", len(reply)) + reply)
                    await writer.drain()
        except (TimeoutError, asyncio.IncompleteReadError, ConnectionError):
            pass  # the client is done, or too slow
        finally:
            writer.close()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: DnsServer) -> None:
        self._server = server
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        reply = self._server.reply(data)
        if reply is not None and self._transport is not None:
            self._transport.sendto(reply[:_MAX_UDP], addr)


async def serve(server: DnsServer, addresses: list[str]) -> None:
    """Listen on port 53 of every address until cancelled."""
    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as tasks:
        for address in addresses:
            await loop.create_datagram_endpoint(lambda: _Datagrams(server), local_addr=(address, _PORT))
            stream = await asyncio.start_server(server.serve_stream, address, _PORT)
            tasks.create_task(stream.serve_forever())


def main() -> None:
    """Run the server."""
    parser = argparse.ArgumentParser(prog="netprobe.lab.dns_server")
    parser.add_argument("--listen", action="append", required=True)
    parser.add_argument("--zone", type=Path, required=True)
    parser.add_argument("--denied", type=Path, required=True)
    chosen = parser.parse_args()
    asyncio.run(serve(DnsServer(Zone.read(chosen.zone), chosen.denied), chosen.listen))


if __name__ == "__main__":
    main()
