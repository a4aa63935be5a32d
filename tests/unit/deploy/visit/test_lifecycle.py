"""What a pod's status says about an agent that was just started."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from netprobe.deploy.visit.lifecycle import find_failure, is_up
from netprobe.discovery.k8s.schema import Pod


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
