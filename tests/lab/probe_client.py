"""A program that lab tests run inside a host: it asks questions and prints one line for each answer.

``python probe_client.py serve NAME`` answers TCP and UDP on port 9771 with NAME and the asker's address.
``python probe_client.py ask 'ping ADDRESS SIZE' 'udp ADDRESS PORT' 'dns SERVER NAME TYPE' 'hops ADDRESS' …``
asks all at once; every question waits at most a second.
"""

from __future__ import annotations

import re
import socket
import struct
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import dns.exception
import dns.message
import dns.query
import dns.rcode

PORT = 9771
WAIT_S = 1.0
_RECVERR = {socket.AF_INET: (socket.SOL_IP, 11), socket.AF_INET6: (socket.IPPROTO_IPV6, 25)}


def serve(name: str) -> None:
    with (
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as datagrams,
        socket.create_server(("::", PORT), family=socket.AF_INET6, dualstack_ipv6=True) as streams,
        ThreadPoolExecutor(2) as pool,
    ):
        datagrams.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        datagrams.bind(("::", PORT))
        pool.submit(_serve_datagrams, datagrams, name)
        print("ready", flush=True)
        while True:
            stream, peer = streams.accept()
            with stream:
                stream.sendall(_greeting(name, peer[0]))


def _serve_datagrams(datagrams: socket.socket, name: str) -> None:
    while True:
        _, peer = datagrams.recvfrom(2048)
        datagrams.sendto(_greeting(name, peer[0]), peer)


def _greeting(name: str, peer: str) -> bytes:
    return f"{name} {peer.removeprefix('::ffff:')}".encode()


def ask(question: str) -> str:
    kind, *rest = question.split()
    kinds: dict[str, Callable[..., str]] = {
        "ping": ping, "udp": udp, "tcp": tcp, "connect": connect, "dns": name, "hops": hops,
    }  # fmt: skip
    try:
        return kinds[kind](*rest)
    except TimeoutError:
        return "silent"
    except ConnectionRefusedError:
        return "refused"
    except OSError as error:
        return f"error {error.strerror}"


def ping(address: str, size: str = "100", count: str = "2") -> str:
    """*size* of the whole IP packet; the packet may not be fragmented."""
    payload = int(size) - (48 if ":" in address else 28)
    command = [
        "ping",
        "-n",
        "-q",
        "-M",
        "do",
        "-i",
        "0.1",
        "-c",
        count,
        "-W",
        "1",
        "-s",
        str(payload),
        address,
    ]
    text = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    received = re.search(r"(\d+) received", text)
    return f"answered {received[1] if received else 0}/{count}"


def udp(address: str, port: str, size: str = "20", source_port: str = "0") -> str:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as asking:
        asking.bind(("", int(source_port)))
        asking.settimeout(WAIT_S)
        asking.setsockopt(*_RECVERR[family], 1)
        asking.connect((address, int(port)))
        try:
            asking.send(b"?" * int(size))
            return f"reached {asking.recv(2048).decode()}"
        except TimeoutError:
            return "silent"
        except OSError as error:
            return _icmp_error(asking) or f"error {error.strerror}"


def _icmp_error(asking: socket.socket) -> str:
    """What the socket's error queue tells (ip(7), IP_RECVERR): ICMP type and code, and who sent it."""
    try:
        _, ancillary, _, _ = asking.recvmsg(2048, 512, socket.MSG_ERRQUEUE)
    except OSError:
        return ""
    for _, _, data in ancillary:
        _, origin, kind, code = struct.unpack_from("=IBBB", data)
        if origin in (2, 3):  # SO_EE_ORIGIN_ICMP, SO_EE_ORIGIN_ICMP6
            family = struct.unpack_from("=H", data, 16)[0]
            raw = data[20:24] if family == socket.AF_INET else data[24:40]
            return f"icmp {kind}/{code} {socket.inet_ntop(family, raw)}"
    return ""


def tcp(address: str, port: str) -> str:
    with socket.create_connection((address, int(port)), timeout=WAIT_S) as asking:
        return f"reached {asking.recv(2048).decode()}"


def connect(address: str, port: str) -> str:
    with socket.create_connection((address, int(port)), timeout=WAIT_S):
        return "connected"


def name(server: str, asked: str, kind: str, transport: str = "udp") -> str:
    query = dns.message.make_query(asked, kind)
    try:
        send = dns.query.udp if transport == "udp" else dns.query.tcp
        answer = send(query, server, timeout=WAIT_S)
    except dns.exception.Timeout:
        return "silent"
    except ConnectionRefusedError:
        return "refused"
    texts = sorted(record.to_text() for group in answer.answer for record in group)
    return " ".join([dns.rcode.to_text(answer.rcode()), *texts])


def hops(address: str, most: str = "8") -> str:
    """Which routers tell that the hop limit is used up, by UDP with rising hop limits."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    seen = []
    option = (
        (socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS) if ":" in address else (socket.SOL_IP, socket.IP_TTL)
    )
    for limit in range(1, int(most) + 1):
        with socket.socket(family, socket.SOCK_DGRAM) as asking:
            asking.settimeout(WAIT_S)
            asking.setsockopt(*_RECVERR[family], 1)
            asking.setsockopt(*option, limit)
            asking.connect((address, 33434))
            try:
                asking.send(b"?")
                asking.recv(100)
            except TimeoutError:
                seen.append("*")
            except OSError:
                told = _icmp_error(asking)
                seen.append(told.rpartition(" ")[2])
                if not told.startswith(("icmp 11/0", "icmp 3/0 ")) or seen[-1] == address:
                    break
    return " ".join(seen)


def main() -> None:
    verb, *rest = sys.argv[1:]
    if verb == "serve":
        serve(rest[0])
    with ThreadPoolExecutor(len(rest)) as pool:
        for answer in pool.map(ask, rest):
            print(answer)


if __name__ == "__main__":
    main()
