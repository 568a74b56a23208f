"""A certificate for a server in the cluster, by an authority that nobody else trusts."""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Certified:
    """What a server shows, and by what others know that it is right; all in PEM."""

    authority: str
    certificate: str
    key: str


def certified(*hosts: str) -> Certified:
    """Make an authority, and have it sign one certificate for host names and 127.0.0.1."""
    root, own = (rsa.generate_private_key(65537, 2048) for _ in range(2))
    issuer, subject = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in ("tests", hosts[0]))
    names = [x509.DNSName(host) for host in hosts]
    names_ = x509.SubjectAlternativeName([*names, x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    usage = {"digital_signature": True, "key_cert_sign": True, "crl_sign": True}
    others = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only")
    signs = x509.KeyUsage(**usage, **dict.fromkeys((*others, "decipher_only"), False))
    top = _begin(issuer, issuer, root.public_key()).add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
    top = top.add_extension(signs, critical=True)
    key_of_root = x509.AuthorityKeyIdentifier.from_issuer_public_key(root.public_key())
    leaf = _begin(subject, issuer, own.public_key()).add_extension(names_, critical=False)
    leaf = leaf.add_extension(key_of_root, critical=False)
    pem = serialization.Encoding.PEM
    private = own.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    authority, shown = (each.sign(root, hashes.SHA256()).public_bytes(pem).decode() for each in (top, leaf))
    return Certified(authority, shown, private.decode())


def _begin(subject: x509.Name, issuer: x509.Name, key: rsa.RSAPublicKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    made = x509.CertificateBuilder(issuer, subject, key, x509.random_serial_number())
    made = made.not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(now + datetime.timedelta(days=1))
    return made.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
