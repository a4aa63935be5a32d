"""Certificates for tests, in files, signed by an authority made on the spot."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from netprobe.bus.certificates import CERTIFICATE_LASTS, make_authority, sign_server


class Authority:
    """Signs certificates into *folder*; *file* is its own."""

    def __init__(self, folder: Path, name: str = "test") -> None:
        self._folder = folder
        self._pair = make_authority(now=datetime.now(UTC))
        self.file = folder / f"{name}-ca.crt"
        self.file.write_bytes(self._pair.certificate)

    def sign(self, stem: str, *, host: str, lasts: timedelta = timedelta(hours=1)) -> tuple[Path, Path]:
        """A certificate and key for server and client at *host*, in files; it ends after *lasts*."""
        made = datetime.now(UTC) - CERTIFICATE_LASTS + lasts
        signed = sign_server(self._pair, [host], now=made)
        certificate, secret = self._folder / f"{stem}.crt", self._folder / f"{stem}.key"
        certificate.write_bytes(signed.certificate)
        secret.write_bytes(signed.key)
        return certificate, secret
