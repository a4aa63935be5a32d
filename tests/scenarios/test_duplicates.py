"""A part that sends packets twice is named, though nothing is lost."""

from __future__ import annotations

import pytest

from netprobe.model.component import Component, gateway_out, overlay, pod_in, pod_out, tunnel
from netprobe.model.finding import Cause
from netprobe.model.names import ClusterName, NodeId
from netprobe.model.status import PathState
from netprobe.simulate.effects import Duplicate
from tests.scenarios.player import play_effects

PROD, STAGING = ClusterName("prod-us-west-1"), ClusterName("staging-eu-central-1")
WORKER, OTHER = NodeId(PROD, "w1"), NodeId(PROD, "w2")  # type: ignore[arg-type] # names of the default fleet


@pytest.mark.parametrize(
    "part",
    [
        pod_in(WORKER),
        pod_out(WORKER),
        tunnel(PROD, STAGING),
        overlay(WORKER, OTHER),
        gateway_out(NodeId.parse(f"{PROD}/gw")),
    ],
    ids=str,
)
def test_a_part_that_duplicates_is_named_and_no_path_is_called_broken(part: Component) -> None:
    said = play_effects((Duplicate(part),), intervals=12)
    (finding,) = said.findings
    assert finding.cause is Cause.DUPLICATED
    assert part in {*finding.components, *finding.indistinguishable}
    assert {path.state for path in said.paths} == {PathState.UP}


def test_what_no_longer_duplicates_is_closed() -> None:
    assert play_effects((Duplicate(pod_in(WORKER)),), intervals=30, end_s=15).findings == ()
