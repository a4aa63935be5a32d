"""What each system says about the clusters that it knows, read from a server that has its objects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from netprobe.discovery.cluster_sources.api_addresses import read_address, read_embedded_kubeconfig
from netprobe.discovery.cluster_sources.registry import SOURCES
from netprobe.discovery.cluster_sources.source import ClusterSource
from netprobe.discovery.k8s.client import open_api
from netprobe.discovery.k8s.declared_clusters import read_declared, read_sources
from netprobe.discovery.k8s.kubeconfig import Context, read_contexts
from netprobe.model.declared_cluster import DeclaredClusters
from netprobe.model.fabric import ClaimState
from tests.unit.discovery.api_server import Served, serve, write_kubeconfig
from tests.unit.discovery.cluster_sources import declared_objects as made
from tests.unit.discovery.cluster_sources.declared_objects import MADE, SERVER, MadeSource

BY_NAME = {source.name: source for source in SOURCES}
EACH = pytest.mark.parametrize("source", SOURCES, ids=list(BY_NAME))
CONDITIONS = [name for name in BY_NAME if name not in {"argocd", "istio", "admiral"}]
"""Sources that claim by a condition: Argo CD claims by health, two say nothing about their clusters."""


def context_of(folder: Path, served: Served) -> Context:
    return read_contexts([write_kubeconfig(folder / "config", served.url)]).choose()[0]


async def read(name: str, whole: MadeSource, folder: Path, **more: Any) -> DeclaredClusters:
    async with serve(whole.served(**more)) as served, open_api(context_of(folder, served)) as api:
        return await read_declared(api, BY_NAME[name])


def test_every_source_is_made_here() -> None:
    assert list(MADE) == list(BY_NAME)


@EACH
async def test_it_names_the_cluster_its_server_and_its_authority(
    source: ClusterSource, tmp_path: Path
) -> None:
    found = await read(source.name, MADE[source.name](), tmp_path)
    (one,) = found.clusters
    assert (one.name, one.source, one.address.server) == ("prod", source.title, SERVER)
    assert one.address.fingerprints == (made.FINGERPRINT,)
    assert (one.address.problem, one.address.refused, found.unread) == ("", (), ())


@EACH
async def test_a_cluster_without_the_system_says_so(source: ClusterSource, tmp_path: Path) -> None:
    found = await read(source.name, MadeSource({made.CORE: ["secrets"]}, {}), tmp_path)
    assert found.clusters == ()
    own = [kind for kind in source.kinds if kind.group]
    assert [str(one) for one in found.unread] == ([f"{source.title}: is not installed there"] if own else [])


@EACH
async def test_what_may_not_be_listed_is_named_and_stops_nothing(
    source: ClusterSource, tmp_path: Path
) -> None:
    denied = frozenset(kind.resource for kind in source.kinds)
    found = await read(source.name, MADE[source.name](), tmp_path, forbidden=denied)
    assert found.clusters == ()
    assert {one.problem for one in found.unread} == {"cannot be listed"}


@pytest.mark.parametrize("name", CONDITIONS)
@pytest.mark.parametrize(
    ("status", "state"),
    [("True", ClaimState.UP), ("False", ClaimState.DOWN), ("Unknown", ClaimState.UNKNOWN)],
)
async def test_a_condition_is_a_claim_with_its_time(
    name: str, status: str, state: ClaimState, tmp_path: Path
) -> None:
    ((claim,),) = [one.claims for one in (await read(name, MADE[name](status=status), tmp_path)).clusters]
    assert (claim.value, claim.state, claim.since_ns) == (status, state, made.TIME_NS)
    heard = {"flux": made.LATER_NS, "kubefed": made.LATER_NS, "ocm": made.LATER_NS}
    assert claim.heard_ns == heard.get(name)


@pytest.mark.parametrize(
    ("health", "sync", "states"),
    [
        ("Healthy", "Synced", [ClaimState.UP]),
        ("Healthy", "Unknown", [ClaimState.UNVERIFIED]),
        ("Unknown", "Unknown", [ClaimState.UNKNOWN]),
        ("Degraded", "Synced", []),
    ],
)
async def test_argocd_claims_by_the_health_of_what_it_delivered(
    health: str, sync: str, states: list[ClaimState], tmp_path: Path
) -> None:
    (one,) = (await read("argocd", made.argocd(health=health, sync=sync), tmp_path)).clusters
    assert [claim.state for claim in one.claims] == states
    assert all(claim.heard_ns == made.LATER_NS for claim in one.claims)


async def test_one_cluster_that_many_objects_deliver_to_is_one_cluster(tmp_path: Path) -> None:
    whole = made.flux()
    again = whole.items["kustomizations"][0] | {"metadata": made.meta("more", "flux-system")}
    whole.items["kustomizations"].append(again)
    (one,) = (await read("flux", whole, tmp_path)).clusters
    assert [claim.object.name for claim in one.claims] == ["more", "shop"]


async def test_a_config_map_may_say_where_flux_delivers(tmp_path: Path) -> None:
    whole = made.flux()
    whole.items["kustomizations"][0]["spec"]["kubeConfig"] = {"configMapRef": {"name": "prod"}}
    data = {"provider": "generic", "address": SERVER, "ca.crt": made.PEM}
    whole.objects[f"{made.CORE}/namespaces/flux-system/configmaps/prod"] = {
        "metadata": made.meta("prod", "flux-system"), "data": data,
    }  # fmt: skip
    (one,) = (await read("flux", whole, tmp_path)).clusters
    assert (one.name, one.address.server, one.address.fingerprints) == ("prod", SERVER, (made.FINGERPRINT,))


@pytest.mark.parametrize(
    "name", ["../../../version", "x/../y", "x?limit=1", "x%2e", "UPPER", "-x", "x" * 254, "sécrèt"]
)
async def test_a_name_that_is_not_one_is_never_put_into_a_path(name: str, tmp_path: Path) -> None:
    whole = made.flux(name=name)
    served = whole.served()
    async with serve(served), open_api(context_of(tmp_path, served)) as api:
        found = await read_declared(api, BY_NAME["flux"])
    assert not [path for path in served.asked if "/namespaces/" in path]
    assert [one.address.problem for one in found.clusters] in (["its Secret could not be read"], [])
    assert found.unread


@pytest.mark.parametrize("name", ["flux", "karmada"])
async def test_a_secret_that_cannot_be_read_leaves_the_rest(name: str, tmp_path: Path) -> None:
    whole = MADE[name]()
    found = await read(name, MadeSource(whole.resources, whole.items), tmp_path)
    (one,) = found.clusters
    assert one.address.problem in {"its Secret could not be read", "its CA could not be read"}
    assert len(one.claims) == 1
    assert [line.problem for line in found.unread] == ["does not exist"]


@pytest.mark.parametrize("name", ["flux", "istio", "admiral"])
async def test_programs_and_files_of_a_kubeconfig_are_named_and_never_followed(
    name: str, tmp_path: Path
) -> None:
    (tmp_path / "ca.crt").write_text(made.PEM)
    user = made.files_that_must_stay_closed(tmp_path)
    files: dict[str, Any] = {
        "certificate-authority": str(tmp_path / "ca.crt"),
        "certificate-authority-data": None,
    }
    (one,) = (await read(name, MADE[name](user=user, **files), tmp_path)).clusters
    assert one.address.refused == (
        "the exec plug-in 'touch'", "the auth provider 'oidc'", "the file in certificate-authority",
        "the file in tokenFile", "the file in client-certificate", "the file in client-key",
    )  # fmt: skip
    assert (one.address.authorities, one.address.problem) == ((), "its CA is in a file, which is not read")
    assert not (tmp_path / "executed").exists()


async def test_programs_that_argocd_would_run_are_named(tmp_path: Path) -> None:
    config: dict[str, Any] = {
        "execProviderConfig": {"command": "aws", "args": ["x"]},
        "awsAuthConfig": {"clusterName": "x"},
    }
    (one,) = (await read("argocd", made.argocd(**config), tmp_path)).clusters
    assert one.address.refused == ("the exec plug-in 'aws'", "the AWS login")


@pytest.mark.parametrize("name", ["argocd", "clusterprofile", "kubefed", "karmada", "ocm"])
@pytest.mark.parametrize(
    ("server", "kept", "problem"),
    [
        ("https://a:b@prod.example.com/x?y=z", "https://prod.example.com/x", ""),
        ("http://prod.example.com", "http://prod.example.com", "it is declared without TLS"),
        (
            "https://127.0.0.1:6443",
            "https://127.0.0.1:6443",
            "its address leads back to who asks, or nowhere",
        ),
        ("https://[::1]:6443", "https://[::1]:6443", "its address leads back to who asks, or nowhere"),
        ("https://localhost:1", "https://localhost:1", "its name leads back to who asks"),
        ("file:///etc/passwd", "", "its API server is not a URL"),
        ("prod.example.com:6443", "", "its API server is not a URL"),
        ("https://h:99999", "", "its API server is not a URL"),
        ("https://[bad", "", "its API server is not a URL"),
        ("", "", "no API server is declared"),
    ],
)
async def test_a_server_that_cannot_be_asked_says_why(
    name: str, server: str, kept: str, problem: str, tmp_path: Path
) -> None:
    (one,) = (await read(name, MADE[name](server=server), tmp_path)).clusters
    assert (one.address.server, one.address.problem) == (kept, problem)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "its kubeconfig does not say which cluster is current"),
        ("[", "its value is not a kubeconfig"),
        ("clusters: 5", "its value is not a kubeconfig"),
        ("!!python/object/apply:os.system ['true']", "its value is not a kubeconfig"),
        ("[" * 20_000, "its value is not a kubeconfig"),
        ("x: " + "9" * 10_000, "its value is not a kubeconfig"),
        ("a: &a [x]\nb: &b [*a,*a]\nclusters: [*b,*b]", "its value is not a kubeconfig"),
        ("x" * 100_000, "its kubeconfig has more than 49,152 characters"),
    ],
    ids=[
        "empty",
        "no YAML",
        "another shape",
        "a program",
        "too deep",
        "a long number",
        "aliases",
        "too long",
    ],
)
def test_what_is_not_a_kubeconfig_is_one_line(text: str, problem: str) -> None:
    assert read_embedded_kubeconfig(text).problem == problem


def test_a_proxy_is_named_and_not_used() -> None:
    found = read_embedded_kubeconfig(made.kubeconfig(None, **{"proxy-url": "http://u:p@proxy:3128"}))
    assert (found.is_proxied, found.problem) == (True, "it is reached through a proxy")
    assert "3128" not in repr(found)


def test_a_bundle_without_a_certificate_is_not_taken_for_none() -> None:
    found = read_address(SERVER, authority="bm9uc2Vuc2U=")
    assert (found.authorities, found.problem) == ((), "its CA cannot be read")


async def test_one_context_that_cannot_be_reached_hides_no_other(tmp_path: Path) -> None:
    async with serve(made.istio().served()) as served:
        away = Context(
            "away", write_kubeconfig(tmp_path / "away", "http://127.0.0.1:1"), "http://127.0.0.1:1"
        )
        contexts = [context_of(tmp_path, served), away]
        good, bad = await read_sources(contexts, [BY_NAME["istio"]], timeout_s=60)
    assert [one.name for one in good.declared.clusters] == ["prod"]
    assert good.why == ""
    assert "away" in bad.why
