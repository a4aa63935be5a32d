"""Kubeconfig files as people have them: several, wrong ones, and credentials that programs give."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from netprobe.cli.main import cli
from netprobe.discovery.inventory.context_names import ClusterPlace, read_pattern, read_place
from netprobe.discovery.k8s.client import ApiError, open_api
from netprobe.discovery.k8s.clusters import name_clusters
from netprobe.discovery.k8s.kubeconfig import (
    Context,
    find_kubeconfigs,
    open_client,
    read_contexts,
)
from netprobe.discovery.k8s.schema import Version
from netprobe.errors import InputError, SystemRefusedError

CREDENTIAL = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential"}


def write_config(
    path: Path, context: str, *, server: str = "http://127.0.0.1:1", current: bool = True, **user: object
) -> Path:
    """One file with one context; its cluster and user are always called ``same``."""
    document = {
        "clusters": [{"name": "same", "cluster": {"server": server}}],
        "users": [{"name": "same", "user": user}],
        "contexts": [{"name": context, "context": {"cluster": "same", "user": "same"}}],
    }
    path.write_text(yaml.safe_dump(document | ({"current-context": context} if current else {})))
    return path


def write_plugin(path: Path, script: str) -> dict[str, object]:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return {"apiVersion": "client.authentication.k8s.io/v1", "command": str(path), "interactiveMode": "Never"}


def closed_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


async def test_equal_names_in_two_files_never_share_a_server_or_a_token(tmp_path: Path) -> None:
    one = write_config(tmp_path / "one", "a", server="http://127.0.0.1:1", token="token-of-a")
    two = write_config(tmp_path / "two", "b", server="http://127.0.0.1:2", token="token-of-b")
    found = read_contexts([one, two])
    seen = {}
    for context in found.all:
        client = await open_client(context)
        seen[context.name] = (client.configuration.host, client.configuration.api_key["BearerToken"])
        await client.close()
    assert seen == {
        "a": ("http://127.0.0.1:1", "Bearer token-of-a"),
        "b": ("http://127.0.0.1:2", "Bearer token-of-b"),
    }


def test_the_first_file_with_a_current_context_says_which(tmp_path: Path) -> None:
    files = [
        write_config(tmp_path / "1", "x", current=False),
        write_config(tmp_path / "2", "y"),
        write_config(tmp_path / "3", "z"),
    ]
    assert [context.name for context in read_contexts(files).choose()] == ["y"]


def test_of_two_contexts_of_one_name_the_first_counts(tmp_path: Path) -> None:
    files = [write_config(tmp_path / str(number), "x", server=f"http://h{number}") for number in (1, 2)]
    assert [context.server for context in read_contexts(files).all] == ["http://h1"]


def test_kubeconfig_is_read_when_asked_and_missing_files_are_left_out(tmp_path: Path) -> None:
    there = write_config(tmp_path / "there", "x")
    environ = {"KUBECONFIG": os.pathsep.join([str(tmp_path / "gone"), str(there)])}
    assert find_kubeconfigs(environ, home=tmp_path) == (there,)
    assert find_kubeconfigs({}, home=tmp_path) == ()


def test_a_context_that_does_not_exist_names_those_that_do(tmp_path: Path) -> None:
    found = read_contexts([write_config(tmp_path / "c", "east")])
    with pytest.raises(InputError, match=r"^--context: no context is called 'west'; there are: east$"):
        found.choose(["west"])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("contexts: [", r"c:1:12: is not YAML: "),
        ("contexts: 3", r"c: is not a kubeconfig: Expected `array .*`, got `int` - at `\$.contexts`"),
        ("contexts: [{name: x}]", r"c: is not a kubeconfig: .*missing required field `context`"),
        ("- 1", r"c: is not a kubeconfig: Expected `object`, got `array`"),
        ("\x00", r"c: is not YAML: "),
    ],
)
def test_a_broken_file_is_one_line_with_its_place(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "c").write_text(text)
    with pytest.raises(InputError, match=told) as caught:
        read_contexts([tmp_path / "c"])
    assert "\n" not in str(caught.value)


async def test_a_context_without_its_cluster_is_an_error(tmp_path: Path) -> None:
    path = write_config(tmp_path / "c", "x")
    path.write_text(path.read_text().replace("cluster: same", "cluster: gone"))
    with pytest.raises(InputError, match=r"context 'x' of .*gone"):
        await open_client(read_contexts([path]).all[0])


async def test_a_plugin_gives_the_token(tmp_path: Path) -> None:
    told = json.dumps(CREDENTIAL | {"status": {"token": "fresh"}})
    plugin = write_plugin(tmp_path / "plugin", f"echo '{told}'")
    client = await open_client(read_contexts([write_config(tmp_path / "c", "x", exec=plugin)]).all[0])
    assert client.configuration.api_key["BearerToken"] == "Bearer fresh"
    await client.close()


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("echo 'session has expired' >&2; exit 3", "process returned 3. 'session has expired'"),
        ("echo nonsense", "failed to decode process output"),
        (f"echo '{json.dumps(CREDENTIAL | {'status': {}})}'", "missing token or clientCertificateData"),
    ],
)
async def test_a_plugin_that_fails_is_an_error_and_no_anonymous_client(
    tmp_path: Path, script: str, told: str, capfd: pytest.CaptureFixture[str]
) -> None:
    plugin = write_plugin(tmp_path / "plugin", script)
    context = read_contexts([write_config(tmp_path / "c", "x", exec=plugin)]).all[0]
    with pytest.raises(
        SystemRefusedError, match=r"context 'x' of .*: the exec plug-in '.*' failed: "
    ) as caught:
        await open_client(context)
    assert told in str(caught.value)
    assert capfd.readouterr().err == ""


async def test_a_plugin_that_is_not_installed_is_an_error(tmp_path: Path) -> None:
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": "no-such-plug-in"}
    context = read_contexts([write_config(tmp_path / "c", "x", exec=plugin)]).all[0]
    with pytest.raises(SystemRefusedError, match=r"'no-such-plug-in' failed: .*No such file"):
        await open_client(context)


async def test_a_token_file_may_end_with_a_newline(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("abc\n")
    client = await open_client(read_contexts([write_config(tmp_path / "c", "x", tokenFile="token")]).all[0])
    assert client.configuration.api_key["BearerToken"] == "Bearer abc"
    await client.close()


async def test_an_unreachable_api_is_one_line(tmp_path: Path) -> None:
    server = f"http://127.0.0.1:{closed_port()}"
    context = read_contexts([write_config(tmp_path / "c", "x", server=server)]).all[0]
    async with open_api(context) as api:
        with pytest.raises(
            ApiError, match=f"context 'x' of .*: {server} cannot be reached: Connection refused"
        ):
            await api.get("/version", Version)


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words], env={"COLUMNS": "80"})


def test_one_unreachable_cluster_hides_no_other_and_exits_1(tmp_path: Path) -> None:
    server = f"http://127.0.0.1:{closed_port()}"
    plugin = write_plugin(tmp_path / "plugin", "exit 1")
    one = write_config(tmp_path / "one", "prod-us-west-1", server=server)
    two = write_config(tmp_path / "two", "staging-eu-central-1", exec=plugin)
    result = run("clusters", "--all-contexts", "--kubeconfig", one, "--kubeconfig", two, "-o", "json")
    assert result.exit_code == 1
    clusters = json.loads(result.output)["clusters"]
    assert [(found["name"], found["reachable"], found["region"]) for found in clusters] == [
        ("prod-us-west-1", False, "us-west-1"),
        ("staging-eu-central-1", False, "eu-central-1"),
    ]
    table = run("clusters", "--all-contexts", "--kubeconfig", one, "--kubeconfig", two).output
    assert table.startswith("2 of 2 clusters cannot be read")
    assert "Connection refused" in " ".join(table.split())


def test_two_ways_to_choose_exclude_each_other(tmp_path: Path) -> None:
    found = run("clusters", "--all-contexts", "--context", "x", "--kubeconfig", tmp_path)
    assert str(found.exception) == "--context and --all-contexts exclude each other"


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("prod-us-west-1", ClusterPlace("prod", "us-west-1")),
        ("prod-us-west-1-2", ClusterPlace("prod", "us-west-1", "2")),
        ("eu-central-1-staging", ClusterPlace("staging", "eu-central-1")),
        ("prod-westeurope-02", ClusterPlace("prod", "westeurope", "02")),
        ("gke_my-project_europe-west4-a_dev-3", ClusterPlace("dev", "europe-west4", "3")),
        ("arn:aws:eks:us-gov-west-1:123456789012:cluster/prod", ClusterPlace("prod", "us-gov-west-1")),
        ("admin@prod-7", ClusterPlace("prod", "", "7")),
        ("kind-one", ClusterPlace()),
        ("product-catalogue", ClusterPlace()),
    ],
)
def test_a_name_tells_environment_region_and_ordinal(name: str, place: ClusterPlace) -> None:
    assert read_place(name) == place


def test_a_pattern_overrides_the_rule() -> None:
    pattern = read_pattern(r"(?P<region>[a-z-]+)(?P<ordinal>\d+)$")
    assert read_place("us-west-1", pattern) == ClusterPlace("", "us-west-", "1")


@pytest.mark.parametrize("text", ["(", "no-groups"])
def test_a_wrong_pattern_is_one_line(text: str) -> None:
    with pytest.raises(InputError, match=re.escape(repr(text))):
        read_pattern(text)


def test_short_names_only_where_they_are_unique() -> None:
    contexts = [Context(name, None) for name in ("admin@kubernetes", "root@kubernetes", "root@east")]
    assert list(name_clusters(contexts).values()) == ["admin-kubernetes", "root-kubernetes", "east"]


async def test_a_plugin_beside_the_file_is_found_from_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "config"
    (folder / "bin").mkdir(parents=True)
    told = json.dumps(CREDENTIAL | {"status": {"token": "from-beside"}})
    plugin = write_plugin(folder / "bin" / "sign-in", f"echo '{told}'") | {"command": "./bin/sign-in"}
    file = write_config(folder / "kubeconfig", "x", exec=plugin)
    monkeypatch.chdir(tmp_path)
    client = await open_client(read_contexts([file]).choose()[0])
    assert client.configuration.api_key["BearerToken"] == "Bearer from-beside"
    await client.close()


@pytest.mark.parametrize(
    ("field", "value"),
    [("as", "admin"), ("as-uid", "7"), ("as-groups", ["ops"]), ("as-user-extra", {"scope": ["x"]})],
)
async def test_impersonation_is_refused_and_not_left_out(tmp_path: Path, field: str, value: object) -> None:
    file = write_config(tmp_path / "one", "x", token="t")
    document = yaml.safe_load(file.read_text())
    document["users"][0]["user"][field] = value
    file.write_text(yaml.safe_dump(document))
    with pytest.raises(InputError, match=rf"context 'x' of .*: {field} is not supported: without it"):
        await open_client(read_contexts([file]).choose()[0])


@pytest.mark.parametrize("scheme", ["socks5", "socks5h", "SOCKS5"])
async def test_a_socks_proxy_is_refused_in_one_line(tmp_path: Path, scheme: str) -> None:
    file = write_config(tmp_path / "one", "x", token="t")
    document = yaml.safe_load(file.read_text())
    document["clusters"][0]["cluster"]["proxy-url"] = f"{scheme}://name:secret@127.0.0.1:1080"
    file.write_text(yaml.safe_dump(document))
    with pytest.raises(InputError, match=f"proxy-url {scheme}: SOCKS is not supported") as caught:
        await open_client(read_contexts([file]).choose()[0])
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("place", ["token", "/absolute"])
async def test_a_token_file_goes_before_a_token(tmp_path: Path, place: str) -> None:
    (tmp_path / "token").write_text("from-the-file\n")
    named = "token" if place == "token" else str(tmp_path / "token")
    file = write_config(tmp_path / "one", "x", token="from-the-config", tokenFile=named)
    client = await open_client(read_contexts([file]).choose()[0])
    assert client.configuration.api_key["BearerToken"] == "Bearer from-the-file"
    await client.close()


async def test_fresh_credentials_are_a_fresh_token_or_a_fresh_certificate(tmp_path: Path) -> None:
    """A plug-in may give either."""
    told = tmp_path / "told.json"
    plugin = write_plugin(tmp_path / "plugin", f"cat {told}")
    file = write_config(tmp_path / "one", "x", exec=plugin)

    def say(**status: str) -> None:
        told.write_text(json.dumps(CREDENTIAL | {"status": status}))

    pairs = [make_pair(tmp_path / str(number)) for number in range(2)]
    say(**pairs[0])
    async with open_api(read_contexts([file]).choose()[0]) as api:
        assert not await api._renew()
        say(**pairs[1])
        assert await api._renew()
        assert not await api._renew()
        say(token="t")
        assert await api._renew()
        assert not await api._renew()


def make_pair(folder: Path) -> dict[str, str]:
    """A certificate and its key, as a plug-in gives them."""
    folder.mkdir()
    key, certificate = folder / "key", folder / "certificate"
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-subj", "/CN=me", "-keyout", str(key), "-out", str(certificate)]  # fmt: skip
    subprocess.run(made, check=True, capture_output=True)
    return {"clientCertificateData": certificate.read_text(), "clientKeyData": key.read_text()}
