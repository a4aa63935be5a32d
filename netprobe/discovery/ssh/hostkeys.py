"""Which server keys are trusted: the pinned one, else those of a known-hosts file; never any other.

Rules: asyncssh asks us for the keys of each server, so that no line of ``~/.ssh/config`` can switch the
check off. Names match as OpenSSH matches them, in lower case. A revoked key is never called unknown or
changed: the advice for those would be to trust it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import asyncssh

from netprobe.discovery.ssh.errors import HostKeyError, SshError

if TYPE_CHECKING:
    from netprobe.model.ssh import SshHop

DEFAULT_KNOWN_HOSTS = "~/.ssh/known_hosts"


@dataclass(slots=True)
class TrustedKeys:
    """The keys of one server that we trust; called by asyncssh, remembers why it refused."""

    hop: SshHop
    _told: list[asyncssh.SSHKey] = field(default_factory=list)
    _revoked: list[asyncssh.SSHKey] = field(default_factory=list)

    def __call__(self, host: str, addr: str, port: int | None) -> tuple[list[asyncssh.SSHKey], ...]:
        """Trusted keys, trusted certificate authorities, revoked keys."""
        if self.hop.host_key:
            keys, authorities, revoked = [asyncssh.import_public_key(self.hop.host_key)], [], []
        else:
            known, host = self._read(), host.lower()
            keys, authorities, revoked = (list(part) for part in known.match(host, addr, port or None)[:3])
            if port:  # falling back to the name alone, it forgets what is revoked for the port
                exact, alone = (known._match(host, addr, each)[2] for each in (port, None))
                revoked = list(dict.fromkeys((*exact, *alone)))
        self._told, self._revoked = [*keys, *authorities], revoked
        return keys, authorities, revoked

    def refusal(self, error: asyncssh.Error) -> SshError | None:
        """What a failed handshake says about the server's key; None where it was about something else."""
        mismatch = isinstance(error, asyncssh.KeyExchangeFailed) and "host key" in str(error).lower()
        if not isinstance(error, asyncssh.HostKeyNotVerifiable) and not mismatch:
            return None
        left = [key for key in self._told if key not in self._revoked]
        if self._revoked and (not left or "revoked" in str(error).lower()):
            revoked = ", ".join(key.get_fingerprint() for key in self._revoked)
            return HostKeyError(
                f"{self.hop}: ITS HOST KEY IS REVOKED: {self._path()} revokes {revoked}; nothing was sent, "
                "do not trust it, ask who runs the host for its new key"
            )
        if not self._told:
            return HostKeyError(
                f"{self.hop}: its host key is not known: compare it on the host, then pin it as host_key "
                f"or add it to {self._path()}"
            )
        known = ", ".join(key.get_fingerprint() for key in self._told)
        where = "the pinned host_key" if self.hop.host_key else str(self._path())
        return HostKeyError(
            f"{self.hop}: ITS HOST KEY HAS CHANGED: it is not {known} of {where}; "
            "nothing was sent, find out why before you trust it"
        )

    def _path(self) -> Path:
        return Path(self.hop.known_hosts or DEFAULT_KNOWN_HOSTS).expanduser()

    def _read(self) -> asyncssh.SSHKnownHosts:
        path = self._path()
        try:
            return asyncssh.import_known_hosts(_with_small_names(path.read_text()))
        except FileNotFoundError:
            return asyncssh.import_known_hosts("")
        except (OSError, ValueError) as error:
            raise HostKeyError(f"{path}: cannot be read as known hosts: {type(error).__name__}") from error


def _with_small_names(text: str) -> str:
    """The same file with its names in lower case; hashed ones were hashed so."""
    return "".join(_with_small_name(line) for line in text.splitlines(keepends=True))


def _with_small_name(line: str) -> str:
    words = line.split(None, 2)
    at = 1 if words and words[0].startswith("@") else 0
    if len(words) <= at or words[at].startswith(("#", "|")):
        return line
    return line.replace(words[at], words[at].lower(), 1)
