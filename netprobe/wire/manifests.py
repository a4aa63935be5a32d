"""Reader of netprobe's Kubernetes manifests, the same folders that kustomize renders.

Rule: only the features of kustomize that our folders use are supported: ``resources`` of a base, and
``resources`` and JSON patches (RFC 6902: add, replace, test) of a component. Anything else is an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import netprobe
from netprobe.errors import InputError
from netprobe.wire.documents import read_text

Manifest = dict[str, Any]
_MAX_BYTES = 1024 * 1024
_OTHER_FIELDS = {"apiVersion", "kind", "resources"}


def find_manifests() -> Path:
    """The folder of the manifests: in the package of an installed wheel, else at the root of the tree."""
    package = Path(netprobe.__file__).parent
    for folder in (package / "manifests", package.parent / "manifests"):
        if folder.is_dir():
            return folder
    raise InputError("the manifests are not part of this installation", where=str(package))


def read_manifests(folder: Path) -> tuple[Manifest, ...]:
    """Every object of a kustomize *folder*, in its order."""
    return tuple(_objects_of(folder))


@dataclass(frozen=True, slots=True)
class KustomizeComponent:
    """A component: the objects that it adds, and its patches to other objects."""

    file: Path
    resources: tuple[Manifest, ...] = ()
    patches: tuple[Manifest, ...] = ()

    def patch(self, found: Iterable[Manifest]) -> tuple[Manifest, ...]:
        """Copies of the objects with all patches that select them."""
        made = tuple(deepcopy(manifest) for manifest in found)
        for patch in self.patches:
            for manifest in made:
                if _is_selected(patch["target"], manifest):
                    for operation in _parse(patch["patch"], self.file)[0]:
                        _change(manifest, operation, self.file)
        return made


def read_component(folder: Path) -> KustomizeComponent:
    """The kustomize component in *folder*."""
    file = folder / "kustomization.yaml"
    found = _read_kustomization(
        file, _OTHER_FIELDS | {"patches"}, "a component may only have resources, patches"
    )
    resources = [manifest for name in found.get("resources", ()) for manifest in _load(folder / name)]
    return KustomizeComponent(file, tuple(resources), tuple(found.get("patches", ())))


def _is_selected(target: Manifest, found: Manifest) -> bool:
    """Whether *target* selects an object: by kind and, if given, by name or one label."""
    meta = found["metadata"]
    key, _, value = target.get("labelSelector", "").partition("=")
    return (
        target["kind"] == found["kind"]
        and target.get("name", meta["name"]) == meta["name"]
        and (not key or meta.get("labels", {}).get(key) == value)
    )


def _change(found: Manifest, operation: Manifest, file: Path) -> None:
    """Apply one operation of a JSON patch (RFC 6902, section 4) in place."""
    *parents, last = (part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:])
    place: Any = found
    try:
        for part in parents:
            place = place[int(part) if isinstance(place, list) else part]
        match operation["op"], place:
            case "add", list():
                place.insert(len(place) if last == "-" else int(last), deepcopy(operation["value"]))
            case "add" | "replace", dict():
                place[last] = deepcopy(operation["value"])
            case "replace", list():
                place[int(last)] = deepcopy(operation["value"])
            case "test", _:
                if place[int(last) if isinstance(place, list) else last] != operation["value"]:
                    raise InputError(f"{operation['path']}: is not {operation['value']!r}", where=str(file))
            case other, _:
                raise InputError(f"{other}: only add, replace and test are supported", where=str(file))
    except (KeyError, IndexError, ValueError, TypeError) as error:
        raise InputError(f"{operation['path']}: does not exist", where=str(file)) from error


def _read_kustomization(file: Path, fields: set[str], message: str) -> Manifest:
    (kustomization,) = _load(file)
    if other := sorted(set(kustomization) - fields):
        raise InputError(f"{other[0]}: {message}", where=str(file))
    return kustomization


def _objects_of(folder: Path) -> Iterator[Manifest]:
    kustomization = _read_kustomization(
        folder / "kustomization.yaml", _OTHER_FIELDS, "a base may only have resources"
    )
    for name in kustomization["resources"]:
        place = folder / name
        if place.is_dir():
            yield from _objects_of(place)
        else:
            yield from _load(place)


def _load(file: Path) -> list[Manifest]:
    return _parse(read_text(file, limit=_MAX_BYTES), file)


def _parse(text: str, file: Path) -> list[Any]:
    import yaml  # noqa: PLC0415 - as in wire.documents

    try:
        found = list(yaml.safe_load_all(text))
    except yaml.YAMLError as error:
        raise InputError(f"is not YAML: {' '.join(str(error).split())}", where=str(file)) from error
    return [manifest for manifest in found if manifest is not None]
