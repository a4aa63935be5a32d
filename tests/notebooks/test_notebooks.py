"""Every notebook runs from top to bottom, offline, on the evidence that lies beside it."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from netprobe.store.bundle import read_bundle

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


def _read(path: Path) -> nbformat.NotebookNode:
    node: nbformat.NotebookNode = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    return node


SHOWS = {
    "topology": (("tunnel prod ↔ staging is down",), 2),
    "reachability": (("6 leaks, 6 broken, 6 unproven of 22 cells",), 2),
    "fleet": (("'tunnel(c01→c42)'", "136 of 136 explained, 0 left"), 2),
    "incident": (("tunnel c01 → c02 drops large packets",), 2),
}
"""What each notebook must have said in some output, and how many pictures it draws."""


@pytest.mark.timeout(400)
@pytest.mark.filterwarnings("default")  # what Jupyter's own parts warn of is not ours to repair
@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
async def test_a_notebook_runs_and_draws(path: Path) -> None:
    notebook = _read(path)
    client = NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(path.parent)}})
    ran = await client.async_execute()
    outputs = [output for cell in ran.cells if cell.cell_type == "code" for output in cell.outputs]
    told, pictures = SHOWS[path.stem]
    assert [output for output in outputs if output.get("name") == "stderr"] == []
    assert sum(_is_picture(output.get("data", {})) for output in outputs) == pictures
    said = "".join(str(output.get("data", output.get("text"))) for output in outputs)
    assert [words for words in told if words not in said] == []


def _is_picture(data: dict[str, str]) -> bool:
    drawn = {"image/svg+xml", "image/png"} & set(data)
    return bool(drawn) or 'role="img"' in data.get("text/html", "")


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_is_kept_without_outputs(path: Path) -> None:
    cells = _read(path).cells
    assert [cell.id for cell in cells if cell.cell_type == "code" and cell.outputs] == []


@pytest.mark.parametrize(
    ("name", "most"), [("evidence", 200_000), ("data/incident", 250_000), ("data/fleet", 1_500_000)]
)
def test_the_evidence_beside_the_notebooks_is_whole_and_small(name: str, most: int) -> None:
    bundle = read_bundle(NOTEBOOKS / name)
    assert bundle.snapshot.findings
    assert sum(file.stat().st_size for file in (NOTEBOOKS / name).iterdir()) < most
