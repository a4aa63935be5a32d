"""Evidence of packets whose path is known: one path per row, as fleets without balanced flows have it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from netprobe.analysis.localise.evidence import EvidenceMatrix, L
from netprobe.model.arrays import IntArray


def matrix_of_paths(rows: Iterable[Iterable[L]]) -> EvidenceMatrix[L]:
    """One known path per row."""
    return EvidenceMatrix.of_path_sets((path,) for path in rows)


def matrix_of_arrays(components: tuple[L, ...], indptr: IntArray, indices: IntArray) -> EvidenceMatrix[L]:
    """One known path per row, as CSR arrays."""
    return EvidenceMatrix(components, indptr, indices, np.arange(len(indptr), dtype=np.int64))
