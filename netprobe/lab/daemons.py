"""Tunnels made by a daemon: OpenVPN, and strongSwan with ESP in user space.

Rules: both take interface name, addresses and routes from the plan and write none themselves, so that faults
and rules work as with WireGuard. Keys are made for the lab and stay in its folder.
"""

from __future__ import annotations

import secrets
import shutil
import subprocess
import time
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path

from netprobe.errors import SystemRefusedError
from netprobe.lab.builder import find_links, netlink
from netprobe.lab.namespaces import Namespaces
from netprobe.lab.plan import Tunnel, TunnelEnd
from netprobe.lab.processes import ProcessSpec
from netprobe.lab.tunnels import raise_interface

_WAIT_S = 60.0
_CHARON = "/usr/lib/ipsec/charon"
_PACKAGES = {
    "openvpn": ("openvpn", "openvpn"),
    "ipsec": (
        _CHARON,
        "strongswan-charon strongswan-swanctl libcharon-extra-plugins libstrongswan-standard-plugins",
    ),
}
_STRONGSWAN = """\
charon {
  load = random nonce aes sha1 sha2 hmac gmp kdf gcm openssl kernel-libipsec kernel-netlink \
    socket-default vici
  install_routes = no
  plugins { kernel-libipsec { allow_peer_ts = yes } }
}
"""
_SWANCTL = """\
connections {{ link {{
  local_addrs = {outer}
  remote_addrs = {far_outer}
  encap = yes
  version = 2
  dpd_delay = 2s
  keyingtries = 0
  local {{
    auth = psk
    id = {cluster}
  }}
  remote {{
    auth = psk
    id = {far_cluster}
  }}
  children {{ net {{
    local_ts = {ranges}
    remote_ts = {far_ranges}
    start_action = trap|start
    dpd_action = restart
  }} }}
}} }}
secrets {{ ike-link {{ secret = "{secret}"
}} }}
"""
_START_IPSEC = """\
mount -t tmpfs run /run
for address in {addresses}; do ip addr add $address dev lo; done
export STRONGSWAN_CONF={folder}/strongswan.conf
{charon} & daemon=$!
trap 'kill $daemon' TERM INT
while [ ! -S /run/charon.vici ]; do sleep 0.1; kill -0 $daemon || exit 1; done
swanctl --load-all --file {config}
wait $daemon
"""
"""Each gateway has its own charon with its own /run, because the path of its socket is fixed. Its interface
is always called ipsec0, and it needs a local address in every range that it protects."""


def daemon_name(tunnel: Tunnel, end: TunnelEnd) -> str:
    """The name of the daemon process of *tunnel* at *end*."""
    return f"{end.cluster}/{tunnel.mechanism}-{tunnel.far_end(end.cluster).cluster}"


def plan_daemon(tunnel: Tunnel, end: TunnelEnd, folder: Path) -> ProcessSpec:
    """The process of one end; writes its configuration below *folder*.

    Raises `SystemRefusedError` if the daemon is not installed.
    """
    program, packages = _PACKAGES[tunnel.mechanism]
    if shutil.which(program) is None:
        raise SystemRefusedError(f"{program} is not installed (Debian packages {packages})")
    folder.mkdir(mode=0o700, exist_ok=True)
    write = _openvpn if tunnel.mechanism == "openvpn" else _ipsec
    return ProcessSpec(daemon_name(tunnel, end), end.gateway, write(tunnel, end, folder))


def _openvpn(tunnel: Tunnel, end: TunnelEnd, folder: Path) -> tuple[str, ...]:
    """Two ends that verify each other by certificate fingerprints, without a certificate authority."""
    far = tunnel.far_end(end.cluster)
    key, certificate, _ = _identity(folder, tunnel, end)
    _, _, fingerprint = _identity(folder, tunnel, far)
    role = ("--tls-server", "--dh", "none") if end is tunnel.source else ("--tls-client",)
    port = str(tunnel.port)
    return (
        "openvpn", "--dev", end.interface, "--dev-type", "tun", "--proto", "udp",
        "--local", end.outer, "--lport", port, "--remote", far.outer, "--rport", port, *role,
        "--key", str(key), "--cert", str(certificate), "--peer-fingerprint", fingerprint,
        "--tun-mtu", str(tunnel.mtu), "--ifconfig-noexec", "--route-noexec",
        "--persist-tun", "--persist-key", "--ping", "1", "--ping-restart", "5",
    )  # fmt: skip


def _identity(folder: Path, tunnel: Tunnel, end: TunnelEnd) -> tuple[Path, Path, str]:
    """Key, certificate and its SHA-256 fingerprint, made on the first call."""
    key, certificate = (folder / f"openvpn-{tunnel.index}-{end.cluster}.{kind}" for kind in ("key", "crt"))
    if not key.exists():
        kind = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30")
        made = ("-keyout", str(key), "-out", str(certificate), "-subj", f"/CN={end.cluster}")
        _openssl("req", "-x509", *kind, *made)
    output = _openssl("x509", "-fingerprint", "-sha256", "-noout", "-in", str(certificate))
    return key, certificate, output.strip().partition("=")[2]


def _openssl(*words: str) -> str:
    done = subprocess.run(["openssl", *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemRefusedError(
            f"openssl {words[0]} failed: {(done.stderr.strip().splitlines() or [''])[-1]}"
        )
    return done.stdout


def _ipsec(tunnel: Tunnel, end: TunnelEnd, folder: Path) -> tuple[str, ...]:
    secret = folder / f"ipsec-{tunnel.index}.key"
    if not secret.exists():
        secret.write_text(secrets.token_hex(32))
    far = tunnel.far_end(end.cluster)
    (folder / "strongswan.conf").write_text(_STRONGSWAN)
    config = folder / f"swanctl-{tunnel.index}-{end.cluster}.conf"
    config.write_text(
        _SWANCTL.format(
            outer=end.outer, far_outer=far.outer, cluster=end.cluster, far_cluster=far.cluster,
            ranges=",".join(end.inner_ranges), far_ranges=",".join(far.inner_ranges),
            secret=secret.read_text(),
        )
    )  # fmt: skip
    script = _START_IPSEC.format(
        folder=folder, charon=_CHARON, config=config, addresses=" ".join(_find_anchors(end))
    )
    return ("unshare", "--mount", "sh", "-c", script)


def _find_anchors(end: TunnelEnd) -> list[str]:
    """The first address, which is unused, of each range except that of the nodes, which has the gateway."""
    return [str(ip_network(text)[1]) for text in end.inner_ranges[2:]]


def wait_for_interface(
    tunnel: Tunnel, end: TunnelEnd, namespaces: Namespaces, *, is_dead: Callable[[], bool]
) -> None:
    """Wait for the daemon's interface and set it up; `SystemRefusedError` if none appears."""
    deadline = time.monotonic() + _WAIT_S
    while True:
        with netlink(namespaces, end.gateway) as ipr:
            if end.interface in find_links(ipr):
                break
        if is_dead() or time.monotonic() > deadline:
            raise SystemRefusedError(f"{daemon_name(tunnel, end)} made no interface; see its log")
        time.sleep(0.05)
    raise_interface(end, namespaces, mtu=tunnel.mtu)
