"""Real servers for probes to ask, other people's work all of them; as a program it serves until it is killed.

====== ===================================================================================================
8080   HTTP (http.server): ``/status/503`` answers so, ``/slow`` after a third of a second
4443   the same inside TLS, HTTP/1.1 only
50051  gRPC with health checks (grpcio): services ``SERVING``, ``NOT_SERVING`` and ``UNKNOWN``
50052  gRPC without health checks
50443  gRPC with health checks inside TLS
53     DNS (dnsmasq): echo.example.org and _http._tcp.example.org, over UDP and TCP
====== ===================================================================================================

The certificate is for echo.example.org; no client trusts it.
"""

from __future__ import annotations

import shutil
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import AF_INET6

from tests.lab.namespaces import Host

NAME = "echo.example.org"
HTTP, HTTPS, GRPC, GRPC_BARE, GRPCS, DNS = 8080, 4443, 50_051, 50_052, 50_443, 53
_RECORDS = ("10.2.0.2", "fd00:2::2")


def why_not() -> str:
    """Why they cannot be run here; empty where they can."""
    missing = [tool for tool in ("openssl", "dnsmasq") if shutil.which(tool) is None]
    return f"not installed: {', '.join(missing)}" if missing else ""


@contextmanager
def serving(host: Host, folder: Path) -> Iterator[None]:
    """All of them on *host*, for the time of the block."""
    host.run(
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
        "-keyout", f"{folder}/key", "-out", f"{folder}/cert", "-days", "3650", "-subj", "/CN=echo",
        "-addext", f"subjectAltName=DNS:{NAME}",
    )  # fmt: skip
    started = [
        host.popen(sys.executable, "-m", "tests.lab.servers", str(folder), stdout=subprocess.PIPE),
        host.popen(
            "dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--no-resolv", "--no-hosts",
            "--local=/example.org/", "--pid-file=", f"--port={DNS}",
            f"--host-record={NAME},{','.join(_RECORDS)}", f"--srv-host=_http._tcp.example.org,{NAME},{HTTP}",
            stderr=subprocess.DEVNULL,
        ),
    ]  # fmt: skip
    try:
        assert started[0].stdout is not None
        assert started[0].stdout.readline() == "up\n"
        until = time.monotonic() + 15
        while f":{DNS} " not in host.run("ss", "-Hltn"):
            assert started[1].poll() is None, "dnsmasq ended"
            assert time.monotonic() < until, "dnsmasq does not listen"
            time.sleep(0.05)
        yield
    finally:
        for process in started:
            process.kill()
            process.communicate()


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/slow":
            time.sleep(0.33)
        status = int(self.path.removeprefix("/status/")) if self.path.startswith("/status/") else 200
        self.send_response(status)
        self.send_header("Content-Length", "200")
        self.end_headers()
        self.wfile.write(b"x" * 200)

    def log_message(self, *_: object) -> None:
        """Log nothing: the log is not read."""


class _Http(ThreadingHTTPServer):
    address_family = AF_INET6


def _serve_http(port: int, context: ssl.SSLContext | None) -> None:
    server = _Http(("::", port), _Handler)
    if context is not None:
        # Each connection's own thread shakes hands, so that one silent client holds up no other.
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()


def _serve_grpc(port: int, *, health: bool, credentials: tuple[bytes, bytes] | None = None) -> object:
    import grpc  # noqa: PLC0415 - only the program needs it
    from grpc_health.v1 import health as servicer  # noqa: PLC0415
    from grpc_health.v1 import health_pb2, health_pb2_grpc  # noqa: PLC0415

    server = grpc.server(ThreadPoolExecutor(2))
    if credentials:
        assert server.add_secure_port(f"[::]:{port}", grpc.ssl_server_credentials([credentials]))
    else:
        assert server.add_insecure_port(f"[::]:{port}")
    if health:
        told = servicer.HealthServicer()
        for name in ("SERVING", "NOT_SERVING", "UNKNOWN"):
            told.set(name, health_pb2.HealthCheckResponse.ServingStatus.Value(name))
        health_pb2_grpc.add_HealthServicer_to_server(told, server)
    server.start()
    return server


def main(folder: Path) -> None:
    """Serve until killed; says ``up`` when everybody listens."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert", folder / "key")
    _serve_http(HTTP, None)
    _serve_http(HTTPS, context)
    credentials = ((folder / "key").read_bytes(), (folder / "cert").read_bytes())
    kept = [
        _serve_grpc(GRPC, health=True),
        _serve_grpc(GRPC_BARE, health=False),
        _serve_grpc(GRPCS, health=True, credentials=credentials),
    ]
    print("up", flush=True)
    threading.Event().wait(300)
    del kept


if __name__ == "__main__":
    main(Path(sys.argv[1]))
