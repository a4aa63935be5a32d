"""The control plane of one cluster: etcd, API server, controller manager, scheduler."""

from __future__ import annotations

import subprocess
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from tests.e2e.cluster.certificates import Authority, write_key
from tests.e2e.cluster.network import Layout


class ControlPlane:
    """Starts the processes of one control plane and keeps them."""

    def __init__(self, layout: Layout, programs: Path, folder: Path) -> None:
        self.layout = layout
        self._programs = programs
        self._folder = folder
        folder.mkdir(parents=True)
        self.authority = Authority(folder, layout.name)
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        """Start etcd and the API server."""
        self._make_files()
        self.start_etcd()
        self.start_api()

    def start_controllers(self) -> None:
        """Start who serves the API, once it is ready: they wait ten seconds for their rights, then end."""
        self._start("kube-controller-manager", *self._controllers())
        self._start(
            "kube-scheduler",
            f"--kubeconfig={self._folder / 'scheduler.conf'}",
            "--leader-elect=false",
            "--bind-address=127.0.0.1",
            f"--secure-port={10_300 + self.layout.number}",
        )

    def start_etcd(self) -> None:
        client, peer = (f"http://127.0.0.1:{2000 + 10 * self.layout.number + end}" for end in (0, 1))
        self._start(
            "etcd",
            f"--data-dir={self._folder / 'etcd'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",
            "--log-level=error",
        )

    def start_api(self) -> None:
        """Start the API server; also after :meth:`stop_api`."""
        self._start("kube-apiserver", *self._api())

    def stop_api(self) -> None:
        """End the API server at once, as a crash would."""
        process = self._running.pop("kube-apiserver")
        process.kill()
        process.wait()

    def try_kubectl(self, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """Run kubectl as the administrator, from inside."""
        config = self._folder / "admin.conf"
        if not config.exists():
            config.write_text(self.authority.kubeconfig("admin", self._server, "admin", "system:masters"))
        return subprocess.run(
            ["kubectl", f"--kubeconfig={config}", "--cache-dir=/run/kubectl", *words],
            input=given, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def find_ended(self) -> list[str]:
        """What has ended although it should run, with the end of its log."""
        return [
            f"{name} of {self.layout.name} ended with {process.returncode}: {self._tail(name)}"
            for name, process in self._running.items()
            if process.poll() is not None
        ]

    def _tail(self, name: str) -> str:
        return (self._folder / f"{name}.log").read_text(errors="replace")[-1500:]

    def _make_files(self) -> None:
        write_key(self._folder / "accounts.key", ec.generate_private_key(ec.SECP256R1()))
        first = f"10.9{self.layout.number}.0.1"
        names = (self.layout.address, "127.0.0.1", first, "localhost", "kubernetes.default.svc")
        self.authority.sign("kube-apiserver", names=names)
        self.authority.sign("kubelet-client", "system:masters")
        for file, user in (("controllers", "kube-controller-manager"), ("scheduler", "kube-scheduler")):
            text = self.authority.kubeconfig(self.layout.name, self._server, f"system:{user}")
            (self._folder / f"{file}.conf").write_text(text)

    @property
    def _server(self) -> str:
        return f"https://{self.layout.address}:6443"

    def _api(self) -> list[str]:
        at = self._folder
        return [
            f"--etcd-servers=http://127.0.0.1:{2000 + 10 * self.layout.number}",
            f"--bind-address={self.layout.address}",
            f"--advertise-address={self.layout.address}",
            "--secure-port=6443",
            f"--client-ca-file={self.authority.path}",
            f"--tls-cert-file={at / 'kube-apiserver.crt'}",
            f"--tls-private-key-file={at / 'kube-apiserver.key'}",
            f"--kubelet-client-certificate={at / 'kubelet-client.crt'}",
            f"--kubelet-client-key={at / 'kubelet-client.key'}",
            f"--service-account-key-file={at / 'accounts.key'}",
            f"--service-account-signing-key-file={at / 'accounts.key'}",
            f"--service-account-issuer=https://kubernetes.default.svc.{self.layout.name}",
            f"--service-cluster-ip-range={self.layout.services}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--allow-privileged=true",
            "--kubelet-preferred-address-types=InternalIP",
        ]

    def _controllers(self) -> list[str]:
        at = self._folder
        return [
            f"--kubeconfig={at / 'controllers.conf'}",
            f"--service-account-private-key-file={at / 'accounts.key'}",
            f"--root-ca-file={self.authority.path}",
            "--use-service-account-credentials",
            "--allocate-node-cidrs",
            f"--cluster-cidr={self.layout.pods}",
            f"--service-cluster-ip-range={self.layout.services}",
            "--leader-elect=false",
            "--node-monitor-grace-period=20s",
            "--bind-address=127.0.0.1",
            f"--secure-port={10_200 + self.layout.number}",
            f"--cert-dir={at}",
        ]

    def _start(self, name: str, *flags: str) -> None:
        with (self._folder / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                [self._programs / name, *flags],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
            )
