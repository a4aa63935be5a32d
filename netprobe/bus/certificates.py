"""Certificates for a bus: an authority of its own, and what it signs.

Rule: pure but for fresh keys; time is an argument. Elliptic curves (P-256), as Kubernetes' own tools make.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from netprobe.errors import InputError

AUTHORITY_LASTS = timedelta(days=3_650)
CERTIFICATE_LASTS = timedelta(days=398)
_BACKDATED = timedelta(hours=1)
"""Clocks of other machines may be behind."""


@dataclass(frozen=True, slots=True)
class CertificatePair:
    """A certificate and its key, as PEM."""

    certificate: bytes
    key: bytes = field(repr=False)


def make_authority(*, now: datetime) -> CertificatePair:
    """A fresh authority that signs the certificates of one bus."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("netprobe bus")
    builder = _builder(name, name, key, now, AUTHORITY_LASTS)
    usage = x509.KeyUsage(
        digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False,
        decipher_only=False,
    )  # fmt: skip
    builder = (
        builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return CertificatePair(_pem(builder.sign(key, hashes.SHA256())), _pem_key(key))


def sign_server(authority: CertificatePair, names: Iterable[str], *, now: datetime) -> CertificatePair:
    """A server's certificate for *names* (DNS, addresses); :class:`InputError` for a bad authority."""
    try:
        signer = serialization.load_pem_private_key(authority.key, password=None)
        issuer = x509.load_pem_x509_certificate(authority.certificate)
    except ValueError as error:
        raise InputError("the bus's authority must be a certificate and its key") from error
    if not isinstance(signer, ec.EllipticCurvePrivateKey):
        raise InputError("the bus's authority has another kind of key than P-256")
    key = ec.generate_private_key(ec.SECP256R1())
    alternatives = [_alternative(name) for name in sorted(set(names))]
    usage = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    builder = (
        _builder(_name("netprobe-bus"), issuer.subject, key, now, CERTIFICATE_LASTS)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.ExtendedKeyUsage(usage), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
    )
    return CertificatePair(_pem(builder.sign(signer, hashes.SHA256())), _pem_key(key))


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime, lasts: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + lasts)
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _pem_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
