"""Keys: fresh ones work, and a seed that others may read is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from netprobe.bus.keys import is_public_user, new_user, public_key, read_seed, write_seed
from netprobe.bus.operator import Access
from netprobe.errors import InputError


def test_a_seed_is_written_for_its_owner_only_and_reads_back(tmp_path: Path) -> None:
    seed, public = new_user()
    write_seed(tmp_path / "seed", seed)
    assert (tmp_path / "seed").stat().st_mode & 0o777 == 0o600
    assert read_seed(tmp_path / "seed") == seed
    assert public_key(seed) == public
    assert is_public_user(public)
    assert not is_public_user(seed)


def test_a_seed_that_others_may_read_is_refused(tmp_path: Path) -> None:
    seed, _ = new_user()
    write_seed(tmp_path / "seed", seed)
    (tmp_path / "seed").chmod(0o640)
    with pytest.raises(InputError, match=r"seed: others may read it \(mode 0640\); run chmod 600"):
        read_seed(tmp_path / "seed")


@pytest.mark.parametrize("text", ["", "SUAA", "no seed", "ü", "SUA" * 40, "A" * 58])
def test_what_is_no_seed_is_refused_without_repeating_it(tmp_path: Path, text: str) -> None:
    write_seed(tmp_path / "seed", text)
    with pytest.raises(InputError, match="is not an nkey seed") as caught:
        read_seed(tmp_path / "seed")
    assert not text or text not in str(caught.value)


def test_a_missing_seed_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none: cannot be read"):
        read_seed(tmp_path / "none")


def test_access_never_shows_its_seed() -> None:
    seed, _ = new_user()
    assert seed not in repr(Access("nats://127.0.0.1:4222", seed))
