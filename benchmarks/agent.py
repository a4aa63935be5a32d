"""What an agent costs where it runs: processor time and memory of the real process, beside a peer's.

Two agents (``netprobe-agent run``) stand in two network namespaces joined by a veth cable. Each has N checks
per ten seconds (10,000 of them are thus 1,000 a second), all of kind ``udp``: the far end's kernel answers an
echo request by itself, a STAMP request costs an agent on both sides. The near agent's targets are N addresses
of the far end; the far agent asks the near one as often, so the near agent sends N probes and answers N
requests in every ten seconds.

- ``cpu_percent_N``: user and system time of the near agent over whole intervals, after its first ones, in
  percent of one processor. What the kernel does for its packets inside its system calls is in it.
- ``rss_mib_N``: its resident memory at the end of that time (``VmRSS``).
- ``answered_share_N``: answers over probes that were measured; ``measured_share_N``: those over all probes.
  On a machine with too much else to do an agent knows that it stood still, and does not blame the network;
  so that the figures are about the agent and not about the machine, everything that is measured runs before
  all others (``chrt --fifo``). ``load`` tells how busy the machine was: code that other programs have pushed
  out of the processor's caches takes about twice as much time. ``interpreter`` is the Python that ran
  them: one built with profile-guided optimisation, as a distribution's is, takes about a tenth less.
- ``serve_…_N``: the same for a near agent that serves (``netprobe-agent serve``): it has its plan from a real
  ``nats-server`` and publishes a report of every interval, which is taken and acknowledged as the collector
  does. The server and the consumer are processes of their own and are not counted.
- ``peer_…``: Debian's ``prometheus-blackbox-exporter``, asked over HTTP for one icmp probe of each of the
  same addresses, N in ten seconds and evenly spread. That is half of an agent's work: it answers no
  probes, and the processor time of the Prometheus that asks it is not counted.

A peer that is not installed gives a notice on standard error and null figures.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from benchmarks.namespaces import NEAR_V4, NamespacePair, joined, why_not
from netprobe.errors import SystemRefusedError
from netprobe.lab.network_namespace import NetworkNamespace
from netprobe.model.check import Check, Layer, Plan, Probe, Target, TargetKind, check_id
from netprobe.model.names import AgentId
from netprobe.model.window import Measured
from netprobe.wire.measured_json import decode_measured
from netprobe.wire.pair_keys import derive_asker_key, derive_responder_key
from netprobe.wire.stamp import short_name

INTERVAL_S = 10
NEAR, FAR = AgentId.parse("bench/near/pod"), AgentId.parse("bench/far/pod")
_PORT, _PEER_PORT = 9771, 9115
_MASTER = b"the secret of one benchmark".ljust(32)
_PROGRAM = (sys.executable, "-c", "from netprobe_agent.main import main; main()")
_PEER = "prometheus-blackbox-exporter"
_ASKERS = 32
_BEFORE_ALL_OTHERS = ("chrt", "--fifo", "1")
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Cost:
    """What one process took."""

    rss_mib: float
    cpu_percent: float
    answered_share: float
    """Of its probes, less those of which it says itself that it was not fit to see the answer."""
    measured_share: float = 1.0


def run(arguments: list[str]) -> dict[str, object]:
    """Measure the agent and the peer with 1,000 and with 10,000 targets."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks agent", description=__doc__)
    parser.add_argument("--targets", type=int, nargs="+", default=[1_000, 10_000], metavar="N")
    parser.add_argument("--intervals", type=int, default=3, metavar="N", help="of ten seconds, measured")
    parser.add_argument("--without-peer", action="store_true")
    parser.add_argument("--without-bus", action="store_true")
    chosen = parser.parse_args(arguments)
    if why_not():
        raise SystemRefusedError(f"no network namespaces: {why_not()}")
    figures: dict[str, object] = {}
    for targets in chosen.targets:
        figures |= _named("", targets, measure_agent(targets, intervals=chosen.intervals))
        served = None if chosen.without_bus else measure_serving(targets, intervals=chosen.intervals)
        figures |= _named("serve_", targets, served)
    figures["targets_are_asked_every_s"] = INTERVAL_S
    figures["load"] = round(os.getloadavg()[0], 1)
    figures["interpreter"] = sys.version
    figures["peer"] = f"{_PEER}: icmp probes over HTTP; answers no probes"
    for targets in chosen.targets:
        peer = None if chosen.without_peer else measure_peer(targets, intervals=chosen.intervals)
        figures |= _named("peer_", targets, peer)
    return figures


def _named(prefix: str, targets: int, cost: Cost | None) -> dict[str, object]:
    return {
        f"{prefix}rss_mib_{targets}": cost and round(cost.rss_mib, 1),
        f"{prefix}cpu_percent_{targets}": cost and round(cost.cpu_percent, 2),
        f"{prefix}answered_share_{targets}": cost and round(cost.answered_share, 5),
        f"{prefix}measured_share_{targets}": cost and round(cost.measured_share, 5),
    }


def measure_agent(targets: int, *, intervals: int) -> Cost:
    """The near agent, while it asks and answers *targets* checks per ten seconds."""
    with tempfile.TemporaryDirectory() as folder, joined() as pair:
        near = _agent(pair.near, NEAR, _plan_of_near(targets), Path(folder))
        return _measure(pair, near, targets, intervals=intervals, folder=Path(folder))


def measure_serving(targets: int, *, intervals: int) -> Cost:
    """The same, while it is connected to a bus."""
    with tempfile.TemporaryDirectory() as folder, joined() as pair:
        near = _serving(pair.near, _plan_of_near(targets), Path(folder))
        return _measure(pair, near, targets, intervals=intervals, folder=Path(folder))


def _plan_of_near(targets: int) -> list[Check]:
    return [_check(NEAR, FAR, _address(number)) for number in range(targets)]


def _measure(
    pair: NamespacePair,
    starting: contextlib.AbstractContextManager[_Running],
    targets: int,
    *,
    intervals: int,
    folder: Path,
) -> Cost:
    # One address, many checks: the near agent keeps a session for each of them.
    back = [_check(FAR, NEAR, NEAR_V4, number) for number in range(targets)]
    with _agent(pair.far, FAR, back, folder) as far, starting as near:
        _wait_for_intervals(near.output, 2)
        cpu_percent = _watch(near.pid, seconds=intervals * INTERVAL_S)
        rss_mib = _rss_mib(near.pid)
        measured, heard = _read(near.output)[2:], _read(far.output)
    windows = [window for one in measured for window in one.windows]
    sent = sum(window.sent for window in windows)
    if any(len(one.windows) != targets for one in (*measured, *heard[1:])):
        raise RuntimeError(f"an agent did not ask all of its {targets} checks")
    measurements = sum(window.measured for window in windows)
    answered = sum(window.answered for window in windows)
    return Cost(rss_mib, cpu_percent, answered / max(1, measurements), measurements / sent)


def measure_peer(targets: int, *, intervals: int) -> Cost | None:
    """The exporter, while it is asked for *targets* icmp probes per ten seconds; None where it is missing."""
    program = shutil.which(_PEER)
    if program is None:
        print(f"{_PEER} is not installed (apt-get install {_PEER}): no peer_ figures", file=sys.stderr)
        return None
    with tempfile.TemporaryDirectory() as folder, joined() as pair:
        settings = Path(folder) / "blackbox.yml"
        settings.write_text(
            "modules: {icmp: {prober: icmp, timeout: 2s, icmp: {preferred_ip_protocol: ip4}}}\n"
        )
        listen = f"127.0.0.1:{_PEER_PORT}"
        where = (f"--config.file={settings}", f"--web.listen-address={listen}")
        with _process(pair.near, program, *where, "--log.level=error") as pid:
            _wait_until_open(pair.near, _PEER_PORT)
            asking = _Asking(pair, targets)
            asking.ask(seconds=INTERVAL_S)
            asking.forget()
            started = threading.Thread(target=asking.ask, kwargs={"seconds": intervals * INTERVAL_S})
            started.start()
            cpu_percent = _watch(pid, seconds=intervals * INTERVAL_S)
            started.join()
            return Cost(_rss_mib(pid), cpu_percent, asking.reached / max(1, asking.asked))


class _Asking:
    """Plays the Prometheus: asks for every target once in ten seconds, over connections that stay open."""

    def __init__(self, pair: NamespacePair, targets: int) -> None:
        self._pair = pair
        self._targets = targets
        self.forget()

    def forget(self) -> None:
        """Count from zero."""
        self.asked = 0
        self.reached = 0
        self._lock = threading.Lock()

    def ask(self, *, seconds: int) -> None:
        """Ask for *seconds*, evenly spread over as many threads as it takes."""
        begun = time.monotonic() + 0.2
        threads = [
            threading.Thread(target=self._ask_some, args=(first, begun, seconds)) for first in range(_ASKERS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _ask_some(self, first: int, begun: float, seconds: int) -> None:
        with self._pair.near.entered():
            connection = http.client.HTTPConnection("127.0.0.1", _PEER_PORT, timeout=5)
            connection.connect()
        reached = asked = 0
        for number in range(first, self._targets * seconds // INTERVAL_S, _ASKERS):
            due = begun + number * INTERVAL_S / self._targets
            time.sleep(max(0.0, due - time.monotonic()))
            connection.request("GET", f"/probe?module=icmp&target={_address(number % self._targets)}")
            reached += b"probe_success 1" in connection.getresponse().read()
            asked += 1
        connection.close()
        with self._lock:
            self.asked += asked
            self.reached += reached


@dataclass(frozen=True, slots=True)
class _Running:
    pid: int
    output: Path


def _check(source: AgentId, target: AgentId, address: str, number: int = 0) -> Check:
    asked = Target(TargetKind.AGENT, address, str(target))
    probe = Probe("udp", _PORT)
    identity = check_id(source, asked, Probe("udp", _PORT, name=str(number)))
    return Check(identity, source, asked, probe, Layer.POD)


def _plan_of(agent: AgentId, checks: list[Check]) -> Plan:
    """A plan with a key for each target, as if they were as many agents; one agent answers for all."""
    far = FAR if agent == NEAR else NEAR
    own = derive_responder_key(_MASTER, str(agent), key_epoch=1)
    others = (str(far), *(f"bench/other{number}/pod" for number in range(1, len(checks))))
    keys = tuple(
        (name, derive_asker_key(derive_responder_key(_MASTER, name, key_epoch=1), short_name(str(agent))))
        for name in others
    )
    return Plan(
        agent, 1, tuple(checks), INTERVAL_S * 1_000_000_000,
        peers=((far, (NEAR_V4,) if far == NEAR else tuple(_address(number) for number in range(3))),),
        own_keys=((str(agent), (own,)),), target_keys=keys,
    )  # fmt: skip


def _address(number: int) -> str:
    """One of the far end's many."""
    return f"10.9.{number // 250}.{number % 250 + 1}"


@contextlib.contextmanager
def _agent(
    namespace: NetworkNamespace, agent: AgentId, checks: list[Check], folder: Path
) -> Iterator[_Running]:
    name = str(agent).replace("/", "-")
    plan, output = folder / f"{name}.json", folder / f"{name}.jsonl"
    plan.write_bytes(msgspec.json.encode(_plan_of(agent, checks)))
    with _process(namespace, *_PROGRAM, "run", "--plan", str(plan), "--output", str(output)) as pid:
        _wait_until_open(namespace, _PORT)
        yield _Running(pid, output)


@contextlib.contextmanager
def _serving(namespace: NetworkNamespace, checks: list[Check], folder: Path) -> Iterator[_Running]:
    """The near agent on a bus of its own."""
    plan = _plan_of(NEAR, checks)
    (folder / "plan.json").write_bytes(msgspec.json.encode(plan))
    bus = namespace.command(sys.executable, "-m", "benchmarks.bus", str(folder))
    with subprocess.Popen(bus, stdin=subprocess.PIPE) as process:
        try:
            _wait_for(folder / "url")
            where = ("--bus", (folder / "url").read_text(), "--seed", str(folder / "seed"))
            who = ("--agent", str(NEAR), "--spool", str(folder / "spool"))
            with _process(namespace, *_PROGRAM, "serve", *who, *where) as pid:
                _wait_until_open(namespace, _PORT)
                yield _Running(pid, folder / "reports.jsonl")
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait()


def _wait_for(file: Path) -> None:
    until = time.monotonic() + 60
    while not (file.exists() and file.read_bytes()):
        if time.monotonic() > until:
            raise RuntimeError(f"{file.name} does not come")
        time.sleep(0.1)


@contextlib.contextmanager
def _process(namespace: NetworkNamespace, *words: str) -> Iterator[int]:
    # nsenter without --fork becomes the program itself, so that the process id is the program's.
    with subprocess.Popen(namespace.command(*_BEFORE_ALL_OTHERS, *words)) as process:
        try:
            yield process.pid
        finally:
            process.kill()


def _wait_until_open(namespace: NetworkNamespace, port: int) -> None:
    until = time.monotonic() + 20
    command = namespace.command("ss", "-Hltn", f"sport = :{port}")
    while not subprocess.run(command, capture_output=True, check=True).stdout:
        if time.monotonic() > until:
            raise RuntimeError(f"no process listens on port {port}")
        time.sleep(0.1)


def _wait_for_intervals(output: Path, count: int) -> None:
    until = time.monotonic() + (count + 2) * INTERVAL_S
    while len(_read(output)) < count:
        if time.monotonic() > until:
            raise RuntimeError("the agent does not deliver its intervals")
        time.sleep(0.2)


def _read(output: Path) -> list[Measured]:
    """The whole lines of a file that may be being written."""
    if not output.exists():
        return []
    whole = output.read_bytes().rpartition(b"\n")[0]
    return [decode_measured(line) for line in whole.splitlines()]


def _watch(pid: int, *, seconds: int) -> float:
    """Percent of one processor that the process takes in the coming *seconds*."""
    began, ticks = time.monotonic(), _ticks(pid)
    time.sleep(seconds)
    return 100 * (_ticks(pid) - ticks) / _TICKS_PER_S / (time.monotonic() - began)


def _ticks(pid: int) -> int:
    """User and system time (proc(5), fields 14 and 15), counted behind the name in brackets."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def _rss_mib(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith("VmRSS:")]
    return int(line.split()[1]) / 1024
