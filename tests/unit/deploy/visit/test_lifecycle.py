"""What a pod's status says about an agent that was just started."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from netprobe.deploy.visit.lifecycle import find_failure, is_up, preflight
from netprobe.discovery.k8s.client import open_api
from netprobe.discovery.k8s.kubeconfig import read_contexts
from netprobe.discovery.k8s.schema import Pod
from netprobe.errors import SystemRefusedError
from tests.unit.discovery.api_server import Served, serve, write_kubeconfig


def pod(phase: str, *containers: dict[str, Any], **status: object) -> Pod:
    document = {
        "metadata": {"name": "agent-1"},
        "spec": {"nodeName": "w1"},
        "status": {"phase": phase, "containerStatuses": list(containers), **status},
    }
    return msgspec.convert(document, Pod)


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return {"ready": False, "state": {"waiting": {"reason": reason, "message": message}}}


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param(pod("Running", {"ready": True}), True, id="ready"),
        pytest.param(pod("Running", {"ready": True}, {"ready": False}), False, id="one-of-two"),
        pytest.param(pod("Running"), False, id="no-container-yet"),
        pytest.param(pod("Pending", {"ready": True}), False, id="pending"),
    ],
)
def test_a_pod_is_up_when_every_container_is_ready(found: Pod, expected: bool) -> None:
    assert is_up(found) is expected


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param(pod("Pending", waiting("ContainerCreating")), "", id="still-creating"),
        pytest.param(
            pod("Pending", waiting("ErrImagePull", "not found")), "ErrImagePull: not found", id="no-image"
        ),
        pytest.param(pod("Pending", waiting("CrashLoopBackOff")), "CrashLoopBackOff", id="crashes"),
        pytest.param(pod("Failed", message="evicted"), "evicted", id="evicted"),
        pytest.param(pod("Running", message="evicted"), "", id="runs"),
    ],
)
def test_a_failure_is_what_waiting_does_not_cure(found: Pod, expected: str) -> None:
    assert find_failure(found) == expected


async def check(tmp_path: Path, served: Served) -> None:
    async with serve(served):
        contexts = read_contexts([write_kubeconfig(tmp_path / "cluster", served.url)])
        async with open_api(contexts.choose()[0]) as api:
            await preflight([api])


@pytest.mark.parametrize("verb", ["get", "create"])
async def test_a_visit_needs_both_rights_on_exec_because_versions_ask_for_different_ones(
    tmp_path: Path, verb: str
) -> None:
    served = Served(items={"namespaces": []}, forbidden=frozenset({f"{verb} pods/exec"}))
    with pytest.raises(SystemRefusedError, match=f"you may not {verb} pods/exec: ask its administrator"):
        await check(tmp_path, served)


async def test_the_page_lists_each_right_that_is_asked_for(tmp_path: Path) -> None:
    served = Served(items={"namespaces": []})
    await check(tmp_path, served)
    page = (Path(__file__).parents[4] / "docs/visit.md").read_text()
    rights = " ".join(page.partition("## Rights")[2].partition("Agents get no rights")[0].split())
    for asked in served.reviewed:
        verb, what = asked.split()
        assert re.search(rf"`{verb}`[^;]* on {what}\b", rights), asked
