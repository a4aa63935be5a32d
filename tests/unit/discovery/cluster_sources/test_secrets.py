"""No secret of a declared cluster reaches a value, a log, a table or a document."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from netprobe.cli.main import cli
from netprobe.discovery.cluster_sources.registry import SOURCES
from netprobe.discovery.cluster_sources.source import ClusterSource
from netprobe.discovery.fabrics.objects import FabricObject, decode_object
from tests.unit.discovery.api_server import serve, write_kubeconfig
from tests.unit.discovery.cluster_sources import declared_objects as made
from tests.unit.discovery.cluster_sources.declared_objects import MADE, PLANTED, MadeSource, b64
from tests.unit.discovery.cluster_sources.test_sources import EACH, read

FORMS = (PLANTED, b64(PLANTED), b64(PLANTED).rstrip("="))
"""How it may be written."""


def with_more_secrets(name: str, folder: Path) -> MadeSource:
    """A system whose entries hold secrets also where a URL, a program or a file may have them."""
    server = f"https://{PLANTED}:{PLANTED}@127.0.0.1:6443/?token={PLANTED}"
    if name in {"flux", "istio", "admiral"}:
        user = made.files_that_must_stay_closed(folder)
        return MADE[name](user=user, server=server, **{"proxy-url": f"http://{PLANTED}@proxy"})
    more: dict[str, Any] = {}
    if name == "argocd":
        more = {"execProviderConfig": {"command": "x", "args": [PLANTED], "env": {"X": PLANTED}},
                "awsAuthConfig": {"roleARN": PLANTED}, "proxyUrl": f"http://{PLANTED}@proxy"}  # fmt: skip
    if name in {"kubefed", "karmada"}:
        more = {"proxyURL": f"http://{PLANTED}@proxy"}
    return MADE[name](server=server, **more)


def expect_nothing(text: str) -> None:
    for each in FORMS:
        assert each not in text


@EACH
async def test_it_is_in_no_value_that_is_kept(source: ClusterSource, tmp_path: Path) -> None:
    whole = with_more_secrets(source.name, tmp_path)
    assert PLANTED in repr(whole) or b64(PLANTED) in repr(whole)
    found = await read(source.name, whole, tmp_path)
    assert found.clusters
    expect_nothing(repr(found))
    for one in found.clusters:
        expect_nothing(repr([authority.decode("latin-1") for authority in one.address.authorities]))


def decoded(source: ClusterSource, whole: MadeSource) -> Iterator[FabricObject]:
    import json  # noqa: PLC0415 - read in this test only

    listed = {kind.resource: kind for kind in source.kinds}
    for resource, items in whole.items.items():
        for item in items:
            one = decode_object(json.dumps(item).encode(), listed[resource])
            assert one is not None
            yield one
    referred = {kind.resource: kind for kind in source.referred_kinds}
    for path, item in whole.objects.items():
        one = decode_object(json.dumps(item).encode(), referred[path.split("/")[-2]])
        assert one is not None
        yield one


@EACH
def test_it_is_gone_as_soon_as_an_object_is_decoded(source: ClusterSource, tmp_path: Path) -> None:
    objects = list(decoded(source, with_more_secrets(source.name, tmp_path)))
    assert objects
    for one in objects:
        if one.reference.resource == "secrets":
            expect_nothing(repr(one))


@EACH
@pytest.mark.parametrize(
    ("form", "is_denied"), [("table", False), ("json", False), ("yaml", False), ("table", True)]
)
async def test_it_is_in_nothing_that_the_command_prints_or_logs(
    source: ClusterSource, form: str, is_denied: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    denied = frozenset({"secrets"}) if is_denied else frozenset()
    async with serve(with_more_secrets(source.name, tmp_path).served(forbidden=denied)) as served:
        kubeconfig = write_kubeconfig(tmp_path / "config", served.url)
        words = ["-vv", "clusters", "--from", source.name, "--probe", "--kubeconfig", str(kubeconfig)]
        # An address that leads back to who asks is not asked, so nothing is sent.
        result = await asyncio.to_thread(CliRunner().invoke, cli, [*words, "-o", form])
    assert result.exit_code == 0, result.output
    expect_nothing(result.output + result.stderr + caplog.text)
    assert not (tmp_path / "executed").exists()


def test_every_source_that_asks_for_secrets_reduces_them() -> None:
    for source in SOURCES:
        for kind in (*source.kinds, *source.referred_kinds):
            assert (kind.resource == "secrets") == (kind.reduce is not None), f"{source.name} {kind}"
