"""Manifests, read strictly: files or directories of YAML and JSON, lists too.

Rule: a mistake in what decides a verdict is one :class:`InputError` with file, line and column, by the API
server's own rules. What is left out (other kinds, pods without an address) is said in a note, never silently.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from netprobe.analysis.netpol.conversion import PolicyReader, read_pod
from netprobe.analysis.netpol.policy import Namespace, Policy, PolicyPod
from netprobe.errors import InputError
from netprobe.wire.documents import Located, read_text
from netprobe.wire.networkpolicy import NamespaceDoc, PodDoc, PolicyDoc

MAX_BYTES = 16 * 1024 * 1024
_SUFFIXES = {".yaml", ".yml", ".json"}
_API = {"NetworkPolicy": "networking.k8s.io/v1", "Namespace": "v1", "Pod": "v1"}
_NAME_LABEL = "kubernetes.io/metadata.name"
_ENDED = {"Succeeded", "Failed"}

Step = str | int


@dataclass(frozen=True, slots=True)
class Manifests:
    """What some manifests say, sorted by name."""

    policies: tuple[Policy, ...]
    namespaces: tuple[Namespace, ...]
    """Every one that is described or that a pod or policy is in; each has the label with its own name."""
    pods: tuple[PolicyPod, ...]
    notes: tuple[str, ...] = ()
    """What was left out or assumed, one sentence each."""


def load_manifests(paths: Iterable[Path]) -> Manifests:
    """Read files, and of directories every ``.yaml``, ``.yml`` and ``.json`` below them."""
    return read_manifests((str(path), read_text(path, limit=MAX_BYTES)) for path in _files(paths))


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in dict.fromkeys(paths):
        if not path.is_dir():
            yield path
            continue
        below = sorted(each for each in path.rglob("*") if each.suffix in _SUFFIXES and each.is_file())
        if not below:
            raise InputError("holds no .yaml, .yml or .json file", where=str(path))
        yield from below


def read_manifests(texts: Iterable[tuple[str, str]]) -> Manifests:
    """Read pairs of a name for errors and a text of YAML or JSON."""
    reader = _ManifestReader()
    for source, text in texts:
        for located in Located.each(text, source=source):
            reader.read(located, located.data, ())
    return reader.result()


class _ManifestReader:
    """Collects objects; knows where each was found."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str, str], str] = {}
        self._policies: list[Policy] = []
        self._labels: dict[str, dict[str, str]] = {}
        self._pods: list[PolicyPod] = []
        self._notes: list[str] = []
        self._others: Counter[str] = Counter()

    def read(self, located: Located, data: object, at: tuple[Step, ...], kind: str = "") -> None:
        """Read one object; *kind* is what the list around it says, where the object itself does not."""
        if not isinstance(data, dict):
            raise located.error("is not a Kubernetes object", *at)
        kind = data.get("kind") or kind
        if not isinstance(kind, str) or not kind:
            raise located.error("has no 'kind'", *at)
        if kind.endswith("List") and "items" in data:
            self._read_list(located, data, at, kind.removesuffix("List"))
            return
        api = data.get("apiVersion") or _API.get(kind)
        if kind not in _API or api != _API[kind]:
            self._others[f"{kind} ({api})" if kind in _API else kind] += 1
            return
        self._read_object(located, data, at, kind)

    def _read_list(self, located: Located, data: dict[str, object], at: tuple[Step, ...], kind: str) -> None:
        items = data.get("items") or []
        if not isinstance(items, list):
            raise located.error("is not a list", *at, "items")
        for index, item in enumerate(items):
            self.read(located, item, (*at, "items", index), kind)

    def _read_object(self, located: Located, data: object, at: tuple[Step, ...], kind: str) -> None:
        match kind:
            case "NetworkPolicy":
                document = located.convert(data, PolicyDoc, *at)
                policy = PolicyReader(located, at).read(document)
                self._expect_once(located, at, kind, policy.namespace, policy.name)
                self._policies.append(policy)
            case "Namespace":
                meta = located.convert(data, NamespaceDoc, *at).metadata
                self._expect_once(located, at, kind, "", meta.name)
                self._labels[meta.name] = dict(meta.labels or {})
            case _:
                self._read_pod(located, located.convert(data, PodDoc, *at), at)

    def _read_pod(self, located: Located, document: PodDoc, at: tuple[Step, ...]) -> None:
        try:
            pod = read_pod(document)
        except ValueError as error:
            raise located.error(str(error), *at, "status") from error
        self._expect_once(located, at, "Pod", pod.namespace, pod.name)
        if document.status is not None and document.status.phase in _ENDED:
            self._notes.append(f"pod {pod.qualified} has ended and is left out")
        elif not pod.addresses:
            self._notes.append(f"pod {pod.qualified} has no address yet and is left out")
        else:
            self._pods.append(pod)

    def _expect_once(
        self, located: Located, at: tuple[Step, ...], kind: str, namespace: str, name: str
    ) -> None:
        place = located.place(*at)
        first = self._found.setdefault((kind, namespace, name), place)
        if first != place:
            full = f"{namespace}/{name}" if namespace else name
            raise located.error(f"{kind} {full} stands already at {first}", *at)

    def result(self) -> Manifests:
        used = {policy.namespace for policy in self._policies} | {pod.namespace for pod in self._pods}
        for name in sorted(used - self._labels.keys()):
            self._notes.append(f"namespace {name} is not described: taken to have no label but its name")
        for kind, count in sorted(self._others.items()):
            self._notes.append(f"{count} of kind {kind} not read: the verdicts leave it out")
        namespaces = tuple(
            Namespace(name, tuple(sorted({**self._labels.get(name, {}), _NAME_LABEL: name}.items())))
            for name in sorted(used | self._labels.keys())
        )
        policies = tuple(sorted(self._policies, key=lambda each: each.qualified))
        pods = tuple(sorted(self._pods, key=lambda each: each.qualified))
        return Manifests(policies, namespaces, pods, tuple(self._notes))
