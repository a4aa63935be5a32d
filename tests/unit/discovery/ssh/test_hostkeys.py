"""Known hosts: what is revoked, what is spelled with capitals, and what is said when a key is refused."""

from __future__ import annotations

from pathlib import Path

import asyncssh
import pytest

from netprobe.discovery.ssh.hostkeys import TrustedKeys
from netprobe.model.ssh import SshHop

KEY, OTHER = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))
REFUSED = asyncssh.HostKeyNotVerifiable("Host key is not trusted for host gw")
REVOKED = asyncssh.HostKeyNotVerifiable("Host key is revoked for host gw")


def line(names: str, key: asyncssh.SSHKey = KEY) -> str:
    return f"{names} {key.export_public_key().decode()}"


def look_up(tmp_path: Path, text: str, host: str = "gw.example", port: int = 22) -> TrustedKeys:
    file = tmp_path / "known_hosts"
    file.write_text(text)
    trusted = TrustedKeys(SshHop(host, port=port, known_hosts=str(file)))
    trusted(host, "", None if port == 22 else port)
    return trusted


def refusal(trusted: TrustedKeys, error: asyncssh.Error = REFUSED) -> str:
    return str(trusted.refusal(error))


def test_a_host_with_revoked_keys_alone_is_not_called_unknown(tmp_path: Path) -> None:
    said = refusal(look_up(tmp_path, line("@revoked gw.example")))
    assert "ITS HOST KEY IS REVOKED" in said
    assert KEY.get_fingerprint() in said
    assert "pin it" not in said


def test_a_key_that_is_known_and_revoked_has_not_changed(tmp_path: Path) -> None:
    said = refusal(look_up(tmp_path, line("gw.example") + line("@revoked *")))
    assert "IS REVOKED" in said
    assert "CHANGED" not in said


def test_beside_another_key_only_the_library_knows_which_one_was_shown(tmp_path: Path) -> None:
    trusted = look_up(tmp_path, line("gw.example", OTHER) + line("@revoked gw.example"))
    assert "IS REVOKED" in refusal(trusted, REVOKED)
    assert "HAS CHANGED" in refusal(trusted, REFUSED)


def test_without_any_line_the_key_is_not_known(tmp_path: Path) -> None:
    assert "its host key is not known" in refusal(look_up(tmp_path, ""))


@pytest.mark.parametrize(
    ("names", "host"),
    [("gw.example", "GW.example"), ("GW.Example,10.0.0.1", "gw.example"), ("*.Example", "gw.EXAMPLE")],
)
def test_names_match_whatever_their_case(tmp_path: Path, names: str, host: str) -> None:
    keys, _, _ = look_up(tmp_path, line(names), host)(host, "", None)
    assert keys == [asyncssh.import_public_key(KEY.export_public_key())]


def test_a_hashed_name_is_left_as_it_is(tmp_path: Path) -> None:
    hashed = "|1|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wmZL7suNrYQLITLCg= "  # of 192.168.1.61, sshd(8)
    text = hashed + KEY.export_public_key().decode()
    keys, _, _ = look_up(tmp_path, text, "192.168.1.61")("192.168.1.61", "", None)
    assert len(keys) == 1


@pytest.mark.parametrize("names", ["@revoked [gw.example]:2222", "@revoked gw.example"])
def test_a_revocation_counts_for_the_port_and_for_the_name_alone(tmp_path: Path, names: str) -> None:
    text = line("gw.example") + line(names)
    _, _, revoked = look_up(tmp_path, text, port=2222)("gw.example", "", 2222)
    assert len(revoked) == 1
