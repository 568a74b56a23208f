"""Read a database's URI before any driver does, and keep its parts out of every message.

SQLAlchemy, libpq and Python split a URI in three ways; the part that one of them takes for a host or a port
may be the password, and its error prints it. So only a URI that all of them read alike is let through.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote, unquote_to_bytes

EXAMPLE = "postgresql+psycopg2://user:password@host:5432/database"
ENCODING = "% as %25, @ as %40, : as %3A, / as %2F, ? as %3F, # as %23, [ as %5B, ] as %5D, a space as %20"

HOST = re.compile(r"[\w.-]+(?:,[\w.-]+)*|\[[0-9A-Fa-f:.]+\]", re.ASCII)
MAX_PORT = 65535
PARAMETERS = frozenset(
    # as a list it would be a page
    """host hostaddr port dbname user password require_auth channel_binding connect_timeout client_encoding options
    application_name fallback_application_name keepalives keepalives_idle keepalives_interval keepalives_count
    tcp_user_timeout gssencmode krbsrvname gssdelegation target_session_attrs load_balance_hosts requirepeer
    sslmode sslnegotiation sslcompression sslcert sslkey sslpassword sslcertmode sslrootcert sslcrl sslcrldir sslsni
    ssl_min_protocol_version ssl_max_protocol_version""".split()  # noqa: SIM905
)
"""What may follow the `?`: libpq's parameters."""

SHORTEST_SECRET = 4
"""A shorter part is only taken out of a message where it stands in quotes."""


class UriError(Exception):
    """What is wrong with a URI, in words that hold no part of it."""


def split(uri: str) -> dict[str, str]:
    """Return libpq's parameters, decoded."""
    scheme, separator, rest = uri.partition("://")
    if not separator or not re.fullmatch(r"postgres(ql)?(\+\w+)?", scheme, re.ASCII):
        raise UriError("it does not begin with postgresql+psycopg2://, and only PostgreSQL is supported")
    if re.search(r"[\x00-\x1f\x7f]", rest):
        raise UriError("it holds a line break or another control character")
    place, _, query = rest.partition("?")
    authority, _, database = place.partition("/")
    login, at, address = authority.rpartition("@")
    if "@" in login + database + query:
        raise UriError("it holds an @ that is not the one before the host")
    found = {**_login(login, at), **_address(address), "dbname": _decoded(database, r"[^/#\s\[\]]*", "database")}
    found = {name: value for name, value in found.items() if value}
    for name, value in _query(query).items():
        if name in found:
            raise UriError("it gives a parameter twice")
        found[name] = value
    if not {"host", "hostaddr"} & set(found):
        raise UriError("it names no host")
    if "dbname" not in found:
        raise UriError("it names no database")
    return found


def _login(login: str, at: str) -> dict[str, str]:
    user, colon, password = login.partition(":")
    if at and not user:
        raise UriError("its user is empty")
    if colon and not password:
        raise UriError("its password is empty")
    return {"user": _decoded(user, r"[^\[\]]*", "user"), "password": _decoded(password, r".*", "password")}


def _address(address: str) -> dict[str, str]:
    parts = re.fullmatch(r"(\[[^\]]*\]|[^:]*)(?::(.*))?", address)
    host, port = parts.groups() if parts else ("", "?")
    if port and not (port.isascii() and port.isdigit() and 0 < int(port) <= MAX_PORT):
        raise UriError("what follows the host's colon is not a port")
    if host and not HOST.fullmatch(host):
        raise UriError("its host is not a host name")
    return {"host": host.strip("[]"), "port": port or ""}


def _query(query: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in filter(None, query.split("&")):
        name, separator, value = pair.partition("=")
        if not separator or name not in PARAMETERS:
            raise UriError("what follows its question mark is not a parameter of PostgreSQL's client")
        if name in found:
            raise UriError("it gives a parameter twice")
        found[name] = _decoded(value, r"[^#\s]*", "parameters")
    return found


def _decoded(text: str, allowed: str, what: str) -> str:
    if not re.fullmatch(allowed, text):
        raise UriError(f"its {what} holds a character that must be percent-encoded")
    if re.search(r"%(?![0-9A-Fa-f]{2})", text):
        raise UriError(f"its {what} holds a % that is not followed by two hexadecimal digits")
    try:
        decoded = unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        raise UriError(f"its {what} is not UTF-8") from None
    if re.search(r"[\x00\r\n]", decoded):
        raise UriError(f"its {what} holds a line break or a zero byte")
    return decoded


def join(parameters: Mapping[str, str], scheme: str) -> str:
    """Write the parameters as a URI that every reader splits alike."""
    rest = dict(parameters)
    login = ":".join(quote(rest.pop(name), safe="") for name in ("user", "password") if name in rest)
    host = rest.pop("host", "")
    if not HOST.fullmatch(host) and ":" not in host:  # a directory of sockets
        rest["host"], host = host, ""
    address = (f"[{host}]" if ":" in host else host) + (f":{rest.pop('port')}" if host and "port" in rest else "")
    database = quote(rest.pop("dbname", ""), safe="")
    query = "&".join(f"{name}={quote(value, safe='')}" for name, value in rest.items())
    return f"{scheme}://{login}{'@' if login else ''}{address}/{database}{'?' if query else ''}{query}"


def service(parameters: Mapping[str, str], passfile: str) -> tuple[str, str]:
    """Write the parameters as a section `mlflow` of a service file, and the password as a password file.

    A service file would cut spaces off a password's end.
    """
    password = re.sub(r"([\\:])", r"\\\1", parameters.get("password", ""))
    left_out = ("password", "application_name")  # the migration knows the server by the name that the chart gives it
    lines = [f"{name}={value}" for name, value in parameters.items() if name not in left_out]
    return "\n".join(["[mlflow]", *lines, f"passfile={passfile}", ""]), f"*:*:*:*:{password}\n"


def scrub(message: str, parameters: Mapping[str, str]) -> str:
    """Take the values of a URI out of a driver's message."""
    for name, value in sorted(parameters.items(), key=lambda item: -len(item[1])):
        for text in {value, quote(value, safe="")}:
            message = message.replace(f'"{text}"', f"<{name}>")
            if len(text) < SHORTEST_SECRET:
                continue
            if name in ("password", "sslpassword"):
                message = message.replace(text, f"<{name}>")
            else:
                message = re.sub(rf"(?<![\w./-]){re.escape(text)}(?![\w./-])", f"<{name}>", message)
    return message
