"""Every notebook runs from top to bottom, offline, on the evidence that lies beside it."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from netprobe.store.bundle import read_bundle

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
_MAX_BYTES = 200_000


def _read(path: Path) -> nbformat.NotebookNode:
    node: nbformat.NotebookNode = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    return node


@pytest.mark.timeout(300)
@pytest.mark.filterwarnings("default")  # what Jupyter's own parts warn of is not ours to repair
@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
async def test_a_notebook_runs_and_draws(path: Path) -> None:
    notebook = _read(path)
    client = NotebookClient(notebook, timeout=240, resources={"metadata": {"path": str(path.parent)}})
    ran = await client.async_execute()
    outputs = [output for cell in ran.cells if cell.cell_type == "code" for output in cell.outputs]
    assert sum("image/svg+xml" in output.get("data", {}) for output in outputs) == 2
    assert any("# " in output.get("data", {}).get("text/markdown", "") for output in outputs)


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_is_kept_without_outputs(path: Path) -> None:
    cells = _read(path).cells
    assert [cell.id for cell in cells if cell.cell_type == "code" and cell.outputs] == []


def test_the_evidence_beside_the_notebooks_is_whole_and_small() -> None:
    bundle = read_bundle(NOTEBOOKS / "evidence")
    assert bundle.snapshot.findings
    assert sum(file.stat().st_size for file in (NOTEBOOKS / "evidence").iterdir()) < _MAX_BYTES
