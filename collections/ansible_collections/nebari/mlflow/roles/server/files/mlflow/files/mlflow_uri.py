# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Read a database's URI before any driver does, and keep its parts out of every message.

SQLAlchemy, libpq and Python split a URI in three ways; the part that one of them takes for a host or a port
may be the password, and its error prints it. So only a URI that all of them read alike is let through.

The chart has this file as files/mlflow_uri.py, the collection as plugins/module_utils/database/uri.py: the same text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote, unquote_to_bytes

EXAMPLE = "postgresql://user:password@host:5432/database"
ENCODING = "% as %25, @ as %40, : as %3A, / as %2F, ? as %3F, # as %23, [ as %5B, ] as %5D, a space as %20"

HOST = re.compile(r"[\w.-]+", re.ASCII)
ADDRESS = re.compile(r"(\[[^\]]*\]|[^:]*)(?::(.*))?", re.ASCII)
BRACKETED = re.compile(r"\[[0-9A-Fa-f:.]+\]", re.ASCII)
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
OF_OTHERS = {
    "schema": "set options=-csearch_path%3Dyour_schema instead",
    "currentSchema": "set options=-csearch_path%3Dyour_schema instead",
    "ssl": "set sslmode=require or sslmode=verify-full instead",
    "unix_sock": "MLflow's pod has no such socket: run Cloud SQL Auth Proxy as a Deployment with a Service, "
    "and give the Service as host",
    **dict.fromkeys(
        "pgbouncer connection_limit pool_timeout socket_timeout statement_cache_size prepareThreshold "  # noqa: SIM905
        "prepared_statement_cache_size sslaccept supa pool_mode tcpKeepAlive loginTimeout".split(),
        "remove it, it is for another client",
    ),
}
"""Parameters of other clients, which consoles and other programs put into a URI, and what to do about each."""
WORD = re.compile(r"\s*(\w+)\s*=\s*('(?:[^'\\]|\\.)*'|(?:[^\s'\\]|\\.)*)(?=\s|$)", re.ASCII)
"""One of `host=… port=…`, as libpq reads it."""

SHORTEST_SECRET = 4
"""A shorter part is only taken out of a message where it stands in quotes."""


class UriError(Exception):
    """What is wrong with a URI, in words that hold no part of it."""


def split(uri: str) -> dict[str, str]:
    """Return libpq's parameters, decoded. Takes every form that consoles print, with white space around it."""
    wrapped = re.fullmatch(r"(?:jdbc:|psql\s+)([\"']?)(.*)\1", uri.strip(), re.ASCII | re.DOTALL)
    uri = wrapped[2] if wrapped else uri.strip()
    return _complete(_words(uri) if re.match(r"\w+\s*=", uri, re.ASCII) else _split(uri))


def _words(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    at = 0
    while at < len(text.rstrip()):
        word = WORD.match(text, at)
        if not word:
            raise UriError("it is not a list of name=value")
        at = word.end()
        name, value = word.groups()
        _check_name(name, found, len(found) + 1)
        value = value[1:-1] if value.startswith("'") else value
        found[name] = re.sub(r"\\(.)", r"\1", value)
        if re.search(r"[\x00-\x1f\x7f]", found[name]):
            raise UriError("it holds a line break or another control character")
    return {name: value for name, value in found.items() if value}


def _split(uri: str) -> dict[str, str]:
    scheme, separator, rest = uri.partition("://")
    if not separator or not re.fullmatch(r"postgres(ql)?(\+\w+)?", scheme, re.ASCII):
        raise UriError("it does not begin with postgresql://, and only PostgreSQL is supported")
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
    return found


def _complete(found: dict[str, str]) -> dict[str, str]:
    if not {"host", "hostaddr"} & set(found):
        raise UriError("it names no host")
    if "dbname" not in found:
        raise UriError("it names no database")
    if any(re.fullmatch(r"[{<].*[}>]", found.get(name, "")) for name in ("host", "dbname", "user", "password")):
        raise UriError("it still holds a placeholder of the console, in braces")
    hosts, ports = (found.get(name, "").split(",") for name in ("host", "port"))
    for port in filter(None, ports):
        if not (port.isascii() and port.isdigit() and 0 < int(port) <= MAX_PORT):
            raise UriError("one of its ports is not a number from 1 to 65535")
    if len(ports) not in (1, len(hosts)):
        raise UriError("it has another number of ports than of hosts")
    return found


def _login(login: str, at: str) -> dict[str, str]:
    user, colon, password = login.partition(":")
    if at and not user:
        raise UriError("its user is empty")
    if colon and not password:
        raise UriError("its password is empty")
    return {"user": _decoded(user, r"[^\[\]]*", "user"), "password": _decoded(password, r".*", "password")}


def _address(address: str) -> dict[str, str]:
    """Split `host`, `host:port`, or several of them with commas between."""
    hosts, ports = [], []
    for each in address.split(","):
        parts = ADDRESS.fullmatch(each)
        host, port = parts.groups() if parts else ("", "?")
        if port and not re.fullmatch(r"[0-9]{1,5}", port, re.ASCII):
            raise UriError("what follows the host's colon is not a port")
        if (host or "," in address) and not (HOST.fullmatch(host) or BRACKETED.fullmatch(host)):
            raise UriError("its host is not a host name")
        hosts.append(host.strip("[]"))
        ports.append(port or "")
    return {"host": ",".join(hosts), "port": ",".join(ports) if any(ports) else ""}


def _query(query: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for place, pair in enumerate(filter(None, query.split("&")), 1):
        name, separator, value = pair.partition("=")
        if not separator:
            raise UriError("what follows its question mark is not a parameter of PostgreSQL's client")
        if (name, value) == ("ssl", "true"):  # libpq itself takes it, for the sake of JDBC
            name, value = "sslmode", "require"
        _check_name(name, found, place)
        found[name] = _decoded(value, r"[^#\s]*", "parameters")
    return found


def _check_name(name: str, found: Mapping[str, str], place: int) -> None:
    """Refuse what libpq would; a name is only repeated if it is one that we know."""
    if name in OF_OTHERS:
        raise UriError(f"its parameter {name} is not one of PostgreSQL's own client ({OF_OTHERS[name]})")
    if name not in PARAMETERS:
        raise UriError(f"its parameter number {place} is not a parameter of PostgreSQL's client")
    if name in found:
        raise UriError("it gives a parameter twice")


def addresses(parameters: Mapping[str, str]) -> list[tuple[str, int]]:
    """List the hosts with their ports. They are no secret, and the network must let them through."""
    hosts = (parameters.get("host") or parameters.get("hostaddr") or "").split(",")
    ports = (parameters.get("port") or "").split(",")
    ports = ports * len(hosts) if len(ports) == 1 else ports
    return [(host, int(port or 5432)) for host, port in zip(hosts, ports, strict=True) if not host.startswith("/")]


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
    hosts = rest.get("host", "").split(",")
    address = ""
    if len(hosts) == 1 and (
        HOST.fullmatch(hosts[0]) or ":" in hosts[0]
    ):  # otherwise several, or a directory of sockets
        host, port = rest.pop("host"), rest.pop("port", "")
        address = (f"[{host}]" if ":" in host else host) + (f":{port}" if port else "")
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
    parts = {(name, part) for name, value in parameters.items() for part in (value, *_list(name, value)) if part}
    for name, value in sorted(parts, key=lambda item: (-len(item[1]), item)):
        for text in {value, quote(value, safe="")}:
            message = message.replace(f'"{text}"', f"<{name}>")
            if len(text) < SHORTEST_SECRET:
                continue
            if name in ("password", "sslpassword"):
                message = message.replace(text, f"<{name}>")
            else:
                message = re.sub(rf"(?<![\w./-]){re.escape(text)}(?![\w./-])", f"<{name}>", message)
    return message


def _list(name: str, value: str) -> list[str]:
    """Split hosts and ports: libpq's messages name one of them."""
    return value.split(",") if name in ("host", "hostaddr", "port") else []
