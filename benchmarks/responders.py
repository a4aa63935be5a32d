"""Listeners for the far end: ``python -m benchmarks.responders tcp|udp|both PORT…``.

Prints a line when ready, and ends when its input is closed.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import sys

_IP_PKTINFO = 8


def main() -> None:
    """Listen on every port given and answer every datagram with itself (or one byte, if it is empty)."""
    protocol, *ports = sys.argv[1:]
    with contextlib.ExitStack() as opened, selectors.DefaultSelector() as selector:
        selector.register(sys.stdin, selectors.EVENT_READ)
        for port in ports:
            if protocol in {"tcp", "both"}:
                opened.enter_context(socket.create_server(("", int(port)), backlog=4096))
            if protocol in {"udp", "both"}:
                selector.register(opened.enter_context(_udp(int(port))), selectors.EVENT_READ)
        print("ready", flush=True)
        while True:
            for key, _ in selector.select():
                if not isinstance(key.fileobj, socket.socket):
                    return
                _echo(key.fileobj)


def _udp(port: int) -> socket.socket:
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
    opened.setblocking(False)
    opened.bind(("", port))
    return opened


def _echo(opened: socket.socket) -> None:
    """Answer from the address that was asked: a machine with thousands of them must say which."""
    with contextlib.suppress(BlockingIOError):
        while True:
            data, control, _, peer = opened.recvmsg(2048, 64)
            answer_from = [(level, kind, b"\0" * 4 + info[4:8] + info[8:12]) for level, kind, info in control]
            opened.sendmsg([data or b"\0"], answer_from, 0, peer)


if __name__ == "__main__":
    main()
