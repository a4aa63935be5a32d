"""Kubernetes manifests as they are written: the folders that kustomize renders too, so there is one source.

Rule: only what the base folders use of kustomize is understood, ``resources``; anything else is an error,
never ignored.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import netprobe
from netprobe.errors import InputError
from netprobe.wire.documents import read_text

Manifest = dict[str, Any]
_MAX_BYTES = 1024 * 1024
_OTHER_FIELDS = {"apiVersion", "kind", "resources"}


def find_manifests() -> Path:
    """The folder of the manifests: beside the package in an installed wheel, else at the root of the tree."""
    package = Path(netprobe.__file__).parent
    for folder in (package / "manifests", package.parent / "manifests"):
        if folder.is_dir():
            return folder
    raise InputError("the manifests are not part of this installation", where=str(package))


def read_manifests(folder: Path) -> tuple[Manifest, ...]:
    """Every object of a kustomize *folder*, in its order."""
    return tuple(_objects_of(folder))


def _objects_of(folder: Path) -> Iterator[Manifest]:
    file = folder / "kustomization.yaml"
    (kustomization,) = _load(file)
    if other := sorted(set(kustomization) - _OTHER_FIELDS):
        raise InputError(f"{other[0]}: a base may only have resources", where=str(file))
    for name in kustomization["resources"]:
        place = folder / name
        if place.is_dir():
            yield from _objects_of(place)
        else:
            yield from _load(place)


def _load(file: Path) -> list[Manifest]:
    import yaml  # noqa: PLC0415 - as in wire.documents

    try:
        found = list(yaml.safe_load_all(read_text(file, limit=_MAX_BYTES)))
    except yaml.YAMLError as error:
        raise InputError(f"is not YAML: {' '.join(str(error).split())}", where=str(file)) from error
    return [one for one in found if one is not None]
