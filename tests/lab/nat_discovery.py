"""A responder of Submariner's NAT discovery: ``python -m tests.lab.nat_discovery CLUSTER CABLE ADDRESS``.

It follows the published format (github.com/submariner-io/submariner, pkg/natdiscovery: natdiscovery.proto and
request_handle.go), read and written by the protobuf library, not by our own codec.
"""

from __future__ import annotations

import socket
import sys

from tests.nat_discovery_messages import answer, make_message_class

PORT = 4490


def main() -> None:
    """Answer every request at the port of both families, until the process is ended."""
    cluster, cable, private = sys.argv[1:]
    message_class = make_message_class()
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as opened:
        opened.bind(("::", PORT))
        while True:
            data, (address, port, *_) = opened.recvfrom(2_048)
            seen = address.removeprefix("::ffff:")
            response = answer(message_class, data, seen, port, cluster=cluster, cable=cable, private=private)
            opened.sendto(response, (address, port))


if __name__ == "__main__":
    main()
