"""The bill of materials names every library of a lock with its hashes, the same way each time."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest

from release.__main__ import LOCKS, main
from release.bases import read_bases
from release.sbom import make_bill, read_lock

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("image", LOCKS)
def test_every_library_of_the_lock_is_in_the_bill_and_nothing_else(image: str) -> None:
    text = (ROOT / LOCKS[image][0]).read_text()
    bill = json.loads(make_bill(image, "1.0", read_lock(text), read_bases()))
    listed = {(one["name"], one["version"]) for one in bill["components"] if one["type"] == "library"}
    assert listed == set(re.findall(r"^([\w.-]+)==([^\s;]+)", text, re.MULTILINE))
    hashes = [
        each["content"]
        for one in bill["components"]
        if one["type"] == "library"
        for each in one["externalReferences"][0]["hashes"]
    ]
    assert sorted(hashes) == sorted(re.findall(r"sha256:([0-9a-f]{64})", text))
    refs = [one["bom-ref"] for one in bill["components"]]
    assert len(refs) == len(set(refs))
    assert bill["dependencies"][0]["dependsOn"] == refs


def test_the_same_lock_gives_the_same_bytes() -> None:
    libraries = read_lock("h11==0.16.0 \\\n    --hash=sha256:" + "a" * 64 + "\n")
    one, other = (make_bill("netprobe", "1.0", libraries, ()) for _ in range(2))
    assert one == other
    assert make_bill("netprobe", "1.1", libraries, ()) != one


def test_sums_are_those_that_sha256sum_reads(tmp_path: Path) -> None:
    main(["bills", str(tmp_path)])
    main(["sums", str(tmp_path)])
    lines = (tmp_path / "SHA256SUMS").read_text().splitlines()
    assert [line.partition("  ")[2] for line in lines] == ["netprobe-agent.cdx.json", "netprobe.cdx.json"]
    for line in lines:
        digest, _, name = line.partition("  ")
        assert hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() == digest


def test_a_part_that_cannot_be_done_is_one_line_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["sums", str(tmp_path)])
    assert ended.value.code == 2
    assert capsys.readouterr().err == f"release: {tmp_path}: there is nothing\n"
