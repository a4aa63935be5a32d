"""Registered clusters: one file each, in one folder; read again when a file changes.

Rule: an invalid file is named in the log and does not affect others; its last valid content stays in use.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from netprobe.bus.tokens import MAX_KEYS, TrustedCluster, expect_key, key_material
from netprobe.collector.file_stamp import FileStamp, stamp_of
from netprobe.discovery.k8s.kubeconfig import IN_CLUSTER, Context, read_contexts
from netprobe.errors import InputError
from netprobe.model.names import ClusterName
from netprobe.wire.clusters import RegisteredDoc, read_registered_document
from netprobe.wire.inventory import NAME_PATTERN

logger = logging.getLogger(__name__)

Stamp: TypeAlias = tuple[FileStamp | None, ...]


@dataclass(frozen=True, slots=True)
class RegisteredCluster:
    """One cluster, as its file describes it."""

    trusted: TrustedCluster
    access: Context | None
    """How to reach its API; None if we have no access."""
    stamp: Stamp
    """Differs when one of its files does."""
    account: str = ""
    """The ServiceAccount whose token in the kubeconfig we renew; empty for none."""

    @property
    def name(self) -> ClusterName:
        """The cluster's name."""
        return self.trusted.name

    @property
    def is_home(self) -> bool:
        """Whether the collector itself runs in it."""
        return self.access is not None and self.access.name == IN_CLUSTER


class ClusterRegistry:
    """The folder of registrations."""

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise InputError("is not a folder", where=str(folder))
        self._folder = folder
        self._good: dict[Path, RegisteredCluster] = {}
        self._refused_stamps: dict[Path, Stamp] = {}
        self._is_read = False
        self.refused = 0
        """Files that could not be used, each counted once per change."""

    def read(self) -> tuple[RegisteredCluster, ...]:
        """Every registered cluster, by name."""
        # A mounted Secret holds its real files in folders that begin with two dots.
        files = sorted(path for path in self._folder.glob("*.yaml") if not path.name.startswith("."))
        self._good = {file: found for file, found in self._good.items() if file in files}
        for file in files:
            self._read(file)
        self._is_read = True
        named: dict[ClusterName, RegisteredCluster] = {}
        for found in self._good.values():
            named.setdefault(found.name, found)
        return tuple(named[name] for name in sorted(named))

    def _expect_own_keys(self, found: RegisteredCluster, file: Path) -> None:
        """Raise :class:`InputError` where a cluster comes with a key of one that is registered.

        Only for those that come later: of those that are there at the start, which one copied is not known.
        """
        for other in self._good.values():
            taken = {key_material(key) for key in other.trusted.keys} if other.name != found.name else set()
            for index, key in enumerate(found.trusted.keys):
                if key_material(key) in taken:
                    raise InputError(f"keys[{index}]: is a key of cluster {other.name}", where=str(file))

    def _read(self, file: Path) -> None:
        stamp = stamp_of(file), stamp_of(file.with_suffix(".kubeconfig"))
        known = self._good.get(file)
        if (known is not None and known.stamp == stamp) or self._refused_stamps.get(file) == stamp:
            return
        try:
            found = read_registered(file, stamp)
            if self._is_read:
                self._expect_own_keys(found, file)
            self._good[file] = found
            self._refused_stamps.pop(file, None)
        except InputError as error:
            self.refused += 1
            self._refused_stamps[file] = stamp
            logger.warning("a registration is refused: %s", error)


def read_registered(file: Path, stamp: Stamp = ()) -> RegisteredCluster:
    """Read one file; :class:`InputError` names what is wrong."""
    doc = read_registered_document(file)
    where = str(file)
    if not re.fullmatch(NAME_PATTERN, doc.name):
        raise InputError(f"name: {doc.name!r} is not a valid cluster name", where=where)
    access = _access_of(doc, file)
    if access is None and not (doc.issuer and doc.keys):
        raise InputError("needs issuer and keys, or a kubeconfig to ask for them", where=where)
    if len(doc.keys) > MAX_KEYS:
        raise InputError(f"keys: has {len(doc.keys)} keys; the limit is {MAX_KEYS}", where=where)
    for index, key in enumerate(doc.keys):
        expect_key(key, where=f"{where}: keys[{index}]")
    if doc.account and not doc.kubeconfig:
        raise InputError("account: needs a kubeconfig, whose token is renewed", where=where)
    if doc.account and not re.fullmatch(NAME_PATTERN, doc.account):
        raise InputError(f"account: {doc.account!r} is not a name", where=where)
    trusted = TrustedCluster(ClusterName(doc.name), doc.issuer, doc.keys, doc.namespace)
    return RegisteredCluster(trusted, access, stamp, doc.account)


def _access_of(doc: RegisteredDoc, file: Path) -> Context | None:
    if doc.in_cluster:
        if doc.kubeconfig:
            raise InputError("in_cluster and kubeconfig exclude each other", where=str(file))
        return Context(IN_CLUSTER, None)
    if not doc.kubeconfig:
        return None
    contexts = read_contexts([file.parent / doc.kubeconfig])
    chosen = contexts.choose([doc.context] if doc.context else [])[0]
    if chosen.plugin:  # a file that adds a cluster must not be one that runs a program here
        raise InputError(f"{chosen}: has an exec plug-in; use a token or a certificate", where=str(file))
    return chosen
