"""The last lines of the demonstration say why its exit code is what it is."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import Mock

import pytest

from netprobe.cli.actions.demo import _print_summary
from netprobe.lab.fault_drill import FaultDrill
from netprobe.model.ground_truth import GroundTruth
from netprobe.model.units import SECOND_NS
from netprobe.simulate.effects import Lose
from tests.scenarios.test_selective import THERE, play


@pytest.mark.parametrize(("after_s", "is_late"), [(3, False), (5, True)])
def test_a_fault_that_was_named_late_is_said(
    after_s: int, is_late: bool, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (finding,) = play(Lose(THERE))
    drill = FaultDrill(Mock(), Mock(), SECOND_NS)
    drill.scorer.inject("cut", GroundTruth(finding.cause, finding.components), at_ns=0)
    drill.scorer.read((finding,), at_ns=after_s * SECOND_NS)
    drill.scorer.conclude("cut")
    _print_summary(drill, tmp_path, 0.0)
    said = capsys.readouterr().out
    assert "1 of 1 faults named right" in said
    assert ("after more than 4 s" in said) is is_late
    assert drill.is_flawless is not is_late
