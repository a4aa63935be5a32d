"""One node: containerd, kubelet and kube-proxy as plain processes; ``python -m tests.e2e.cluster.node FILE``.

Rule: it has its own mount, PID and UTS namespaces and enters the network namespace that was made for it. All
that its processes write lies in memory over ``/var/lib``, ``/var/log`` and ``/run``, so that nothing of the
machine is changed; kernel settings that a kubelet insists on are shown to it as files.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from netprobe.lab import kernel

_KUBELET = Path("/var/lib/kubelet")
CONTAINERD = "/run/containerd/containerd.sock"
_PATIENCE_S = 120.0
_PR_SET_PDEATHSIG = 1
_SYSCTLS = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}
"""What a kubelet wants to find, and would otherwise set for the whole machine."""


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """Everything a node needs to know."""

    name: str
    address: str
    zone: str
    cgroup: str
    pods: str
    """The range of all pods of its cluster."""
    dns: str
    programs: str
    authority: str
    """The certificate of the cluster's authority, as PEM."""
    kubelet: str
    """A kubeconfig for the kubelet, one for kube-proxy."""
    proxy: str
    images: tuple[str, ...]
    """Archives to import before the kubelet starts."""
    pause: str
    log: str
    """A folder outside of the node's own, for the logs of its processes."""


def main() -> None:
    spec = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=NodeSpec)
    with Path(f"/run/netns/{spec.name}").open() as network:
        kernel.setns(network.fileno(), kernel.CLONE_NEWNET)
    # As systemd does on every node: every process with a group may use ping sockets.
    Path("/proc/sys/net/ipv4/ping_group_range").write_text("0\t2147483647")
    kernel.unshare(kernel.CLONE_NEWNS | kernel.CLONE_NEWPID | kernel.CLONE_NEWUTS | kernel.CLONE_NEWIPC)
    first = os.fork()
    if first:
        os._exit(os.waitstatus_to_exitcode(os.waitpid(first, 0)[1]) & 0xFF)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    socket.sethostname(spec.name)
    logs = {name: (Path(spec.log) / f"{spec.name}.{name}.log").open("ab") for name in _PROCESSES}
    _mount()
    _write_files(spec)
    running = {_start("containerd", spec, logs): "containerd"}
    _import_images(spec)
    running |= {_start(name, spec, logs): name for name in ("kubelet", "kube-proxy")}
    _reap(running, spec)


def _mount() -> None:
    kernel.make_mounts_private()
    for folder in ("/run", "/var/lib", "/var/log"):
        kernel.mount_tmpfs(Path(folder))
        subprocess.run(["mount", "--make-rshared", folder], check=True)
    kernel.mount_proc()
    shown = Path("/run/sysctl")
    shown.mkdir()
    for name, value in _SYSCTLS.items():
        file = shown / name.replace("/", ".")
        file.write_text(value)
        if (at := Path("/proc/sys") / name).exists():
            kernel.bind(file, at)
    for made in (_KUBELET, Path("/var/lib/cni"), Path("/var/lib/containerd"), Path("/run/netns")):
        made.mkdir()


def _write_files(spec: NodeSpec) -> None:
    texts = {
        _KUBELET / "kubeconfig": spec.kubelet,
        _KUBELET / "proxy.conf": spec.proxy,
        _KUBELET / "ca.crt": spec.authority,
        _KUBELET / "resolv.conf": "",
        _KUBELET / "config.json": json.dumps(_kubelet_config(spec)),
        _KUBELET / "proxy.json": json.dumps(_proxy_config(spec)),
        Path("/run/cni.template"): _CNI,
        Path("/run/containerd.toml"): _CONTAINERD_CONFIG.replace("PAUSE", spec.pause),
    }
    for path, text in texts.items():
        path.write_text(text)


def _kubelet_config(spec: NodeSpec) -> dict[str, Any]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": spec.address,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(_KUBELET / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": spec.cgroup,
        "failCgroupV1": False,
        "protectKernelDefaults": True,
        "clusterDNS": [spec.dns],
        "clusterDomain": "cluster.local",
        "resolvConf": str(_KUBELET / "resolv.conf"),
        "containerRuntimeEndpoint": f"unix://{CONTAINERD}",
        "volumePluginDir": str(_KUBELET / "volume-plugins"),
        "staticPodPath": "",
        "oomScoreAdj": 0,
        "failSwapOn": False,
        "imageGCHighThresholdPercent": 100,
        "evictionHard": dict.fromkeys(
            ("nodefs.available", "nodefs.inodesFree", "imagefs.available", "imagefs.inodesFree"), "0%"
        ) | {"memory.available": "1Mi"},
        "nodeStatusUpdateFrequency": "4s",
        "syncFrequency": "10s",
        "healthzBindAddress": "127.0.0.1",
    }  # fmt: skip


def _proxy_config(spec: NodeSpec) -> dict[str, Any]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clientConnection": {"kubeconfig": str(_KUBELET / "proxy.conf")},
        "clusterCIDR": spec.pods,
        "hostnameOverride": spec.name,
        "conntrack": {"maxPerCore": 0, "min": 0},
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
        "nftables": {"minSyncPeriod": "0s"},
    }


_CNI = """{
  "cniVersion": "0.4.0", "name": "pods",
  "plugins": [
    {"type": "ptp", "ipMasq": false,
     "ipam": {"type": "host-local", "dataDir": "/var/lib/cni", "ranges": [[{"subnet": "{{.PodCIDR}}"}]],
              "routes": [{"dst": "0.0.0.0/0"}]}},
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}"""
"""Point to point and not a bridge: a pod that asks its own node's service is answered over the same way."""

_CONTAINERD_CONFIG = """version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing",
  "io.containerd.internal.v1.opt",
]
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "PAUSE"
  restrict_oom_score_adj = true
  disable_apparmor = true
  disable_hugetlb_controller = true
  tolerate_missing_hugetlb_controller = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "/run/cni"
    conf_template = "/run/cni.template"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
"""


def _command(name: str, spec: NodeSpec) -> list[str]:
    match name:
        case "containerd":
            return ["containerd", "--config=/run/containerd.toml"]
        case "kubelet":
            return [
                f"{spec.programs}/kubelet",
                f"--config={_KUBELET / 'config.json'}",
                f"--kubeconfig={_KUBELET / 'kubeconfig'}",
                f"--hostname-override={spec.name}",
                f"--node-ip={spec.address}",
                f"--node-labels=topology.kubernetes.io/zone={spec.zone}",
                f"--root-dir={_KUBELET}",
                f"--cert-dir={_KUBELET / 'pki'}",
            ]
        case _:
            return [f"{spec.programs}/kube-proxy", f"--config={_KUBELET / 'proxy.json'}"]


_PROCESSES = ("containerd", "kubelet", "kube-proxy")


def _start(name: str, spec: NodeSpec, logs: Mapping[str, Any]) -> int:
    log = logs[name]
    process = subprocess.Popen(
        _command(name, spec), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/run",
        env=os.environ | {"HOME": "/run"},
    )  # fmt: skip
    return process.pid


def _import_images(spec: NodeSpec) -> None:
    until = time.monotonic() + _PATIENCE_S
    ctr = ["ctr", f"--address={CONTAINERD}", "--namespace=k8s.io"]
    while subprocess.run([*ctr, "version"], capture_output=True, check=False).returncode:
        if time.monotonic() > until:
            sys.exit("containerd does not answer")
        time.sleep(0.1)
    for archive in spec.images:
        done = subprocess.run(
            [*ctr, "images", "import", archive], capture_output=True, text=True, check=False
        )
        if done.returncode:
            sys.exit(f"{archive} cannot be imported: {done.stderr}")


def _reap(running: dict[int, str], spec: NodeSpec) -> None:
    """Be the init of the node: end every orphan's zombie; end with the first process that must not end."""
    while True:
        pid, status = os.wait()
        if pid in running:
            sys.exit(f"{running[pid]} of {spec.name} ended with {os.waitstatus_to_exitcode(status)}")


if __name__ == "__main__":
    main()
