"""Certificates of a relay at 127.0.0.1, and of such as nobody should believe."""

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

TODAY: Final = datetime(2026, 1, 1, tzinfo=UTC)
LONG: Final = timedelta(days=3650)


@dataclass(frozen=True, slots=True)
class Signed:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class Certificates:
    folder: Path

    @property
    def authority(self) -> Path:
        return self.folder / "authority.pem"

    def server(self, name: str) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.folder / f"{name}.pem")
        return context

    def old_server(self) -> ssl.SSLContext:
        """One that speaks TLS 1.0 alone."""
        context = self.server("good")
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1
        return context


def make_certificates(folder: Path) -> Certificates:
    ours = [x509.IPAddress(ip_address("127.0.0.1"))]
    authority = _signed(folder, "authority", [], by=None)
    _signed(folder, "good", ours, by=authority)
    _signed(folder, "wrong_name", [x509.DNSName("relay.example")], by=authority)
    _signed(folder, "expired", ours, by=authority, until=TODAY - timedelta(days=1))
    _signed(folder, "self_signed", ours, by=None)
    return Certificates(folder)


def _signed(
    folder: Path,
    name: str,
    alternatives: Sequence[x509.GeneralName],
    *,
    by: Signed | None,
    until: datetime = TODAY + LONG,
) -> Signed:
    """Write a key and its certificate into one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{name}.example")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(TODAY - LONG)
        .not_valid_after(until)
        .add_extension(x509.BasicConstraints(ca=by is None, path_length=None), critical=True)
    )
    if alternatives:
        certificate = certificate.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    made = certificate.sign(by.key if by else key, hashes.SHA256())
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / f"{name}.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM) + secret)
    return Signed(made, key)
