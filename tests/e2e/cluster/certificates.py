"""A certificate authority for one cluster, and what it signs; everything lives as long as the clusters do."""

from __future__ import annotations

import base64
import ipaddress
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_USAGE = x509.KeyUsage(
    digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False,
    key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False,
    decipher_only=False,
)  # fmt: skip


class Authority:
    """Signs what one cluster needs into *folder*."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name, "")
        builder = _builder(self._name, self._name, self._key.public_key())
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(_USAGE, critical=True).add_extension(
            x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False
        )
        self.certificate = builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        self.path = folder / "ca.crt"
        self.path.write_bytes(self.certificate)

    def sign(self, user: str, group: str = "", *, names: tuple[str, ...] = ()) -> tuple[Path, Path]:
        """A certificate and its key for *user*; *names* are the addresses and names of a server."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(_name(user, group), self._name, key.public_key())
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
        )
        if names:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_alternative(name) for name in names]), critical=False
            )
        stem = self.folder / user.replace(":", "-")
        certificate, secret = stem.with_suffix(".crt"), stem.with_suffix(".key")
        certificate.write_bytes(
            builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        )
        write_key(secret, key)
        return certificate, secret

    def kubeconfig(self, context: str, server: str, user: str, group: str = "") -> str:
        """A kubeconfig that holds everything in itself."""
        certificate, secret = self.sign(user, group)
        entries = {
            "clusters": {"server": server, "certificate-authority-data": _encode(self.certificate)},
            "users": {
                "client-certificate-data": _encode(certificate.read_bytes()),
                "client-key-data": _encode(secret.read_bytes()),
            },
            "contexts": {"cluster": context, "user": context},
        }
        document = {
            kind: [{"name": context, kind.removesuffix("s"): value}] for kind, value in entries.items()
        }
        return json.dumps({"apiVersion": "v1", "kind": "Config", "current-context": context, **document})


def write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    """Write a private key as PEM."""
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
    )


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _name(user: str, group: str) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, user)]
    parts += [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group)] if group else []
    return x509.Name(parts)


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=2))
    )
