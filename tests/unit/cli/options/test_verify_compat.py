"""``netprobe verify``: options that do not go together are one line, and nothing is asked."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from netprobe.cli.main import cli
from netprobe.errors import InputError, SystemRefusedError
from tests.unit.discovery.api_server import write_kubeconfig

NOWHERE = "http://127.0.0.1:1"
INTENT = """\
version: 1
groups:
  here: {clusters: ["x*"]}
  there: {clusters: [x, "prod-*"]}
rules: [{verdict: allow, from: here, to: there, ports: [icmp]}]
"""
A_VISIT, AN_INTENT = ("--context", "x"), ("-f", "intent.yaml")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KUBECONFIG", str(write_kubeconfig(tmp_path / "config", NOWHERE)))
    monkeypatch.setenv("NETPROBE_AGENT_IMAGE", "registry.example.com/netprobe-agent:1")
    (tmp_path / "intent.yaml").write_text(INTENT)
    return tmp_path


def verify(*words: str, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(cli, ["verify", *words], env=env)


def refusal(told: Result) -> str:
    """What the command line prints as one line, with exit code 2; nothing else was said."""
    assert isinstance(told.exception, InputError), told
    assert told.output == ""
    line = str(told.exception)
    assert "\n" not in line
    return line


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ((), "give an intent (-f FILE), clusters to visit (--context, --all-contexts), or both"),
        ((*A_VISIT, "--bus", "nats://a:1"), "--bus: cannot be used with --context, which starts"),
        ((*A_VISIT, *AN_INTENT, "--bus", "nats://a:1"), "--bus: cannot be used with --context, which starts"),
        ((*A_VISIT, *AN_INTENT, "--lab", "demo"), "--lab: cannot be used with --context, which starts"),
        ((*A_VISIT, *AN_INTENT, "--from", "b"), "--from: cannot be used with --context, which starts"),
        ((*A_VISIT, *AN_INTENT, "--rounds", "5"), "--rounds: cannot be used with an intent"),
        ((*A_VISIT, *AN_INTENT, "--report", "r"), "--report: cannot be used with an intent"),
        (
            (*A_VISIT, *AN_INTENT, "--watch", "9"),
            "--watch: cannot be used with --context, whose agents do not stay",
        ),
        ((*A_VISIT, "--watch", "9"), "--watch: needs an intent (-f FILE)"),
        ((*A_VISIT, "--exhaustive"), "--exhaustive: needs an intent (-f FILE)"),
        ((*AN_INTENT, "--image", "i"), "--image: needs clusters to visit (--context, --all-contexts)"),
        ((*AN_INTENT, "--report", "r"), "--report: needs clusters to visit (--context, --all-contexts)"),
    ],
)
def test_an_option_that_would_be_ignored_is_named(folder: Path, words: tuple[str, ...], why: str) -> None:
    assert folder.exists()
    assert why in refusal(verify(*words))


@pytest.mark.parametrize("words", [A_VISIT, (*A_VISIT, *AN_INTENT)])
def test_what_the_environment_says_of_a_collector_hinders_no_visit(
    folder: Path, words: tuple[str, ...]
) -> None:
    (folder / "intent.yaml").write_text(INTENT.replace('[x, "prod-*"]', "[x]"))
    told = verify(*words, env={"NETPROBE_BUS": "nats://a:1", "NETPROBE_LAB": "demo"})
    assert isinstance(told.exception, SystemRefusedError)
    assert f"{NOWHERE} cannot be reached" in str(told.exception)


def test_a_group_that_names_another_cluster_is_told_before_anything_is_asked(folder: Path) -> None:
    assert folder.exists()
    line = refusal(verify(*A_VISIT, *AN_INTENT))
    why = "the group 'there' names the cluster 'prod-*'; there are: x"
    assert line.endswith(f"intent.yaml:4:3: {why}")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ((), "--image: name an image that you have built and pushed, such as registry.example.com/"),
        (("--image", "netprobe-agent:1"), "--image: 'netprobe-agent:1' names no registry: write REGISTRY/"),
        (("--image", "netprobe/agent:1"), "--image: 'netprobe/agent:1' names no registry: write REGISTRY/"),
    ],
)
def test_no_image_is_started_that_was_not_named_with_its_registry(
    folder: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], why: str
) -> None:
    """What has no registry comes from Docker Hub, where every name may be a stranger's."""
    assert folder.exists()
    monkeypatch.delenv("NETPROBE_AGENT_IMAGE")
    assert refusal(verify(*A_VISIT, *words)).startswith(why)
