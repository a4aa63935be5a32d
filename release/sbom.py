"""A bill of materials of one image or package, from its lock file: CycloneDX 1.6, JSON.

Rule: pure; the same lock gives the same bytes, so a bill can be checked by making it again. It lists what we
install ourselves. What the bases bring (Debian's packages, Python, nats-server) is in the base's digest, and
syft lists it from the finished image.
"""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import dataclass

from release.bases import Base

_ENTRY = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Locked:
    """One library of a lock file."""

    name: str
    version: str
    sha256: tuple[str, ...]
    """Of every file of that version: pip takes one of them."""

    @property
    def purl(self) -> str:
        """Its package URL (purl specification).

        >>> Locked("Ruamel.yaml", "1.0", ()).purl
        'pkg:pypi/ruamel-yaml@1.0'
        """
        return f"pkg:pypi/{re.sub(r'[-_.]+', '-', self.name).lower()}@{self.version}"


def read_lock(text: str) -> tuple[Locked, ...]:
    """Every library of a lock file; pure."""
    entries = re.split(r"\n(?=[A-Za-z0-9._-]+==)", text)
    found = ((_ENTRY.match(entry), _HASH.findall(entry)) for entry in entries)
    return tuple(Locked(name[1], name[2], tuple(hashes)) for name, hashes in found if name is not None)


def make_bill(name: str, version: str, libraries: tuple[Locked, ...], bases: tuple[Base, ...]) -> str:
    """The bill of *name*; its serial number is made from its content."""
    components: list[dict[str, object]] = [
        {
            "type": "library", "bom-ref": one.purl, "name": one.name, "version": one.version,
            "purl": one.purl,
            "externalReferences": [
                {"type": "distribution", "url": f"https://pypi.org/project/{one.name}/{one.version}/",
                 "hashes": [{"alg": "SHA-256", "content": content} for content in one.sha256]}
            ],
        }
        for one in libraries
    ]  # fmt: skip
    components += [
        {"type": "container", "bom-ref": f"base:{base.argument}", "name": base.tag, "version": base.digest}
        for base in bases
    ]
    purl = f"pkg:generic/{name}@{version}"
    subject = {"type": "application", "bom-ref": purl, "name": name, "version": version, "purl": purl}
    refs = [str(one["bom-ref"]) for one in components]
    told = {
        "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
        "metadata": {"component": subject},
        "components": components,
        "dependencies": [{"ref": purl, "dependsOn": refs}],
    }  # fmt: skip
    serial = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(told, sort_keys=True))
    return json.dumps({"serialNumber": f"urn:uuid:{serial}"} | told, indent=1, sort_keys=True) + "\n"
