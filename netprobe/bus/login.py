"""Who we are when we connect, and whom we trust to be the bus.

Rules: a secret is read when it is used and never shown. A token's file is read again for each connection,
because the kubelet renews it in place. The inbox is part of the login: rights name it, and both sides derive
it.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from netprobe.bus.keys import public_key
from netprobe.bus.subjects import inbox_of, inbox_of_agent
from netprobe.errors import InputError, SystemRefusedError
from netprobe.model.names import AgentId

_MAX_TOKEN_BYTES = 6_144
"""The server reads a login of at most 8 KiB."""


@dataclass(frozen=True, slots=True)
class SeedLogin:
    """An nkey: plain hosts, the lab, people, the collector itself."""

    seed: str = field(repr=False)
    """The secret seed (``SU…``)."""

    @property
    def inbox(self) -> str:
        """Below which we hear replies; :class:`InputError` where the seed is none."""
        return inbox_of(public_key(self.seed))

    @property
    def what(self) -> str:
        """What the bus has to know, for errors."""
        return "key"


@dataclass(frozen=True, slots=True)
class TokenLogin:
    """The projected ServiceAccount token of an agent's pod."""

    agent: AgentId
    file: Path

    @property
    def inbox(self) -> str:
        """Below which we hear replies."""
        return inbox_of_agent(self.agent)

    @property
    def what(self) -> str:
        """What the bus has to know, for errors."""
        return "token (the collector's log says why)"

    def read(self) -> str:
        """The token as it is now.

        Raises :class:`SystemRefusedError` naming the file, never its content.
        """
        try:
            text = self.file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "is not a token"
            raise SystemRefusedError(f"{self.file}: cannot be read: {reason}") from error
        if text.count(".") != 2 or len(text) > _MAX_TOKEN_BYTES:
            raise SystemRefusedError(f"{self.file}: is not a ServiceAccount token")
        return text


Login: TypeAlias = SeedLogin | TokenLogin


@dataclass(frozen=True, slots=True)
class ServerTrust:
    """TLS as a client: whom we believe, and what we show where the bus asks for it (mutual TLS)."""

    ca: Path | None = None
    """Certificates that may have signed the bus's; None for those of the system."""
    certificate: Path | None = None
    key: Path | None = None
    pinned: Path | None = None
    """The bus's own certificate, for who reads it from the same disk: then its names do not matter."""

    def context(self) -> ssl.SSLContext:
        """What TLS is spoken with; :class:`InputError` names a file that cannot be used."""
        context = ssl.create_default_context()
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.pinned is not None:
            context.check_hostname = False
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        for file in (self.ca, self.pinned):
            if file is not None:
                _use(file, lambda file=file: context.load_verify_locations(cafile=file))
        if self.certificate is not None:
            certificate, key = self.certificate, self.key
            _use(certificate, lambda: context.load_cert_chain(certificate, key))
        return context


def _use(file: Path, load: object) -> None:
    assert callable(load)
    try:
        load()
    except ssl.SSLError as error:
        raise InputError(f"holds no usable certificate or key: {error.reason}", where=str(file)) from error
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=str(file)) from error
