"""Decide how a connection to an external database is encrypted, and by whose certificates it is checked."""

from __future__ import annotations

import importlib.util
import os
import socket
import ssl
import struct
from collections.abc import Mapping
from pathlib import Path

import mlflow_uri

ROOTS = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Alpine
    "/etc/pki/tls/certs/ca-bundle.crt",  # Red Hat
)


class TlsError(Exception):
    """There is nothing to check a certificate with."""


def system_roots() -> str:
    """Find the authorities that this image trusts; libpq's own `system` looks where psycopg2's builder had them."""
    found = [ssl.get_default_verify_paths().cafile, *ROOTS]
    if spec := importlib.util.find_spec("certifi"):
        found.append(str(Path(str(spec.origin)).with_name("cacert.pem")))
    for path in found:
        if path and Path(path).is_file():
            return path
    raise TlsError(
        "This image has no certificate authorities to check the database's certificate with. "
        "Fix: put the authority's certificate into a Secret (ca.crt) and name it in externalDatabase.caSecret."
    )


REQUEST, SECONDS = struct.pack("!II", 8, 80877103), 5.0
"""PostgreSQL's question for TLS, and the time for its answer."""


def fault(parameters: Mapping[str, str]) -> str:
    """Say what is wrong with the server's certificate, which libpq does not; "" if that cannot be found out."""
    host, port = next(iter(mlflow_uri.addresses(parameters)), ("", 0))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    try:
        context.load_verify_locations(parameters.get("sslrootcert"))
        with socket.create_connection((parameters.get("hostaddr") or host, port), SECONDS) as plain:
            plain.sendall(REQUEST)
            if plain.recv(1) == b"S":
                context.wrap_socket(plain, server_hostname=host).close()
    except ssl.SSLCertVerificationError as error:
        return error.verify_message
    except OSError:
        pass
    return ""


def settle(given: Mapping[str, str]) -> dict[str, str]:
    """Return mode and authorities: the URI's, otherwise the chart's. PGSSLROOTCERT follows.

    DATABASE_ROOTS is the path that stands for the system's authorities. Only the image knows where they are,
    so a link is put there.
    """
    mode = given.get("sslmode") or os.environ.get("PGSSLMODE", "")
    roots = given.get("sslrootcert") or os.environ.get("PGSSLROOTCERT", "")
    system = os.environ.get("DATABASE_ROOTS", "")
    elsewhere = given.get("sslrootcert", "system")
    if system and elsewhere not in ("system", system) and not Path(elsewhere).is_file():
        roots = _instead_of_a_file_elsewhere(system)
    if system:
        if roots == "system":
            mode, roots = "verify-full", system
        checked = mode.startswith("verify-")
        if checked and not roots:
            roots = system
        if roots == system and not checked:
            roots = ""  # with authorities at hand libpq would check after all
        if roots == system:
            _link(Path(system), system_roots())
    if mode in ("disable", "allow", "prefer", "require") and not roots:
        print(f"WARNING: sslmode is {mode}: the database's certificate is not checked.", flush=True)
    os.environ["PGSSLROOTCERT"] = roots
    return {name: value for name, value in (("sslmode", mode), ("sslrootcert", roots)) if value}


def _link(place: Path, roots: str) -> None:
    if not place.exists():
        place.unlink(missing_ok=True)
        place.symlink_to(roots)


def _instead_of_a_file_elsewhere(system: str) -> str:
    """Return the chart's authorities if the URI names a file of the machine that it was written for."""
    own = os.environ.get("PGSSLROOTCERT", "")
    if own in ("", system) or not Path(own).is_file():
        raise TlsError(
            "The URI's sslrootcert names a file that MLflow's pod does not have. Fix: put that certificate into a "
            "Secret or a ConfigMap, and name it in externalDatabase.caSecret or externalDatabase.caConfigMap."
        )
    return own
