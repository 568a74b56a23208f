# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Judge what PostgreSQL, its client or a pooler says: whether waiting may cure it, and otherwise what does."""

from __future__ import annotations

import re
from dataclasses import dataclass

NEVER, LONG_ENOUGH, ALWAYS = 0.0, 15.0, float("inf")
"""Seconds for which to wait: not at all, until a restart or DNS would have settled, or as long as there is time."""


@dataclass(frozen=True)
class Judgement:
    """For how many seconds a cause may go away by itself, what cures it, and the line that says it."""

    patience: float
    cure: str = ""
    line: str = ""


CONSOLE = "Connect as a database administrator and run"
ROWS: tuple[tuple[float, str, str], ...] = (
    # The login.
    (
        NEVER,
        r"authentication method requirement",
        "The database's server asks for the password in a way that gives it away, so it got nothing. Store the user's "
        "password as SCRAM in the database (password_encryption = scram-sha-256, then set it again), or accept the "
        "server's way in externalDatabase.requireAuth.",
    ),
    (
        NEVER,
        r"password authentication failed|SASL authentication failed|no such user|Tenant or user not found",
        "The Secret's user and password are not the database's. Put the right ones into the Secret that the release "
        "names; the password is case-sensitive, and in a URI it must be percent-encoded.",
    ),
    (NEVER, r"no password supplied", "The Secret holds no password under the key that the release names."),
    (NEVER, r"channel.binding", "Remove channel_binding from the URI: what answers does not support it."),
    (NEVER, r"role .* is not permitted to log in", f"{CONSOLE}: ALTER ROLE <user> LOGIN;"),
    (NEVER, r"permission denied for database", f"{CONSOLE}: GRANT CONNECT ON DATABASE <dbname> TO <user>;"),
    (
        NEVER,
        r"(database|role) .* does not exist|no such database",
        "Create it, or correct the name. MLflow's user must own MLflow's database: "
        "CREATE ROLE <user> LOGIN PASSWORD '…'; CREATE DATABASE <dbname> OWNER <user>;",
    ),
    (NEVER, r"is not currently accepting connections", f"{CONSOLE}: ALTER DATABASE <dbname> ALLOW_CONNECTIONS true;"),
    # Encryption.
    (
        NEVER,
        r"pg_hba.conf (entry|rejects).*(no encryption|SSL off)|SSL(/TLS)? required|"
        r"SSL connection is required",
        "The server only accepts encrypted connections. Set sslmode (in the URI) or externalDatabase.sslMode to "
        "verify-full, or to require.",
    ),
    (
        NEVER,
        r"pg_hba.conf (entry|rejects)",
        "Let this user, database and network in (pg_hba.conf, the provider's firewall).",
    ),
    (
        NEVER,
        r"does not support SSL",
        "Switch TLS on in the database; only in a network that you trust set externalDatabase.sslMode to prefer or "
        "disable.",
    ),
    (
        NEVER,
        r"does not match host name",
        "Connect by a name that the certificate holds, or, with an authority of your own in externalDatabase.caSecret, "
        "set externalDatabase.sslMode to verify-ca.",
    ),
    (
        NEVER,
        r"certificate has expired|not yet valid",
        "The password was not sent. Renew the database's certificate, and check the nodes' clock.",
    ),
    (
        NEVER,
        r"certificate verify failed|root certificate file",
        "The password was not sent. Give the certificate of the database's authority in externalDatabase.caSecret or "
        "externalDatabase.caConfigMap (key externalDatabase.caKey).",
    ),
    (
        NEVER,
        r"valid client certificate|certificate file .* does not exist|private key file",
        "MLflow logs in with a password, and its pod holds no client certificate. Remove sslcert and sslkey from the "
        "URI, and let the user in by password.",
    ),
    # The URI.
    (
        NEVER,
        r"unsupported startup parameter",
        "The pooler refuses a parameter of the URI. Remove it there, or add it to PgBouncer's "
        "ignore_startup_parameters. Instead of options=-csearch_path use ALTER ROLE <user> SET search_path.",
    ),
    (
        NEVER,
        r"statement pooling mode",
        "MLflow needs transactions. Set PgBouncer's pool_mode to transaction or session, or name the database itself.",
    ),
    (
        NEVER,
        r"weak sslmode|sslmode value|invalid sslmode|require_auth value|invalid connection option|"
        r"unrecognized configuration parameter|invalid value for parameter|invalid \w+ value|could not match",
        "Correct the parameters after the URI's question mark.",
    ),
    (
        NEVER,
        r"invalid response to SSL negotiation|expected authentication request|unsupported frontend protocol",
        "What listens there is not PostgreSQL. Correct host and port.",
    ),
    (
        NEVER,
        r"on socket .* failed",
        "MLflow's pod has no such socket. Give a host and a port; run a proxy, such as Cloud SQL Auth Proxy, as a "
        "Deployment with a Service.",
    ),
    # What a restart, a failover or DNS may settle soon.
    (
        LONG_ENOUGH,
        r"Name or service not known|No address associated|not known$|nodename nor servname",
        "Correct the host. A Service in another namespace is <service>.<namespace>.",
    ),
    (
        LONG_ENOUGH,
        r"session is (not )?read-only|server is (not )?in hot standby",
        "MLflow writes: name the primary (the writer's endpoint). With several hosts, set "
        "target_session_attrs=read-write.",
    ),
    (
        LONG_ENOUGH,
        r"No route to host|Network is unreachable",
        "Correct the host, or open the way from the cluster's nodes to it. An IPv6 address needs a cluster with IPv6.",
    ),
    (
        LONG_ENOUGH,
        r"server login failed|cannot connect to server",
        "The pooler itself cannot log in to the database: look at its log.",
    ),
    # What may come as long as there is time.
    (ALWAYS, r"Connection refused", "nothing listens there, or a policy refuses: check host and port"),
    (
        ALWAYS,
        r"timeout expired|timed out",
        "nothing answers: check host, port and the provider's firewall, and that externalDatabase.port is the URI's",
    ),
    (ALWAYS, r"too many|connection slots|no more connections", "raise the database's limit, or end other sessions"),
    (
        ALWAYS,
        r"closed the connection",
        "a proxy without a database behind it, or not PostgreSQL, looks like this",
    ),
    (ALWAYS, r"Temporary failure in name resolution", "the cluster's DNS does not answer"),
    (
        ALWAYS,
        r"starting up|shutting down|recovery mode|not (yet )?accepting connections|administrator command|"
        r"reset by peer|Broken pipe|SSL SYSCALL|could not (receive|send)|query_wait_timeout|"
        r"server_login_retry|connection to server was lost",
        "",
    ),
)
"""The first row whose pattern a message holds judges it."""

STATES = {
    "25006": Judgement(LONG_ENOUGH, "The database is read-only. Name the primary, or the writer's endpoint."),
    "42501": Judgement(
        NEVER,
        "Let MLflow's user own MLflow's database and tables. As its administrator: GRANT <owner> TO <user>; where "
        "<owner> is the role that owns them.",
    ),
    "53100": Judgement(NEVER, "Give the database's server more disk."),
    "57014": Judgement(NEVER, f"{CONSOLE}: ALTER ROLE <user> SET statement_timeout = 0;"),
}
PASSING = ("08", "40", "53", "55P03", "57P")
"""Classes of SQLSTATE that another try may cure: connection, transaction, resources, locks, an operator's stop."""


def judge(causes: str) -> Judgement:
    """Judge why there is no connection. A name with several addresses has a cause, and a line, for each.

    What nothing cures ends it. Otherwise the longest patience counts: one of several hosts may be about to come.
    """
    found = [_judge_line(line) for line in _lines(causes) or [""]]
    return min(found, key=lambda each: (each.patience != NEVER, -each.patience))


def _judge_line(line: str) -> Judgement:
    found = ((patience, cure) for patience, sign, cure in ROWS if re.search(sign, line))
    patience, cure = next(found, (LONG_ENOUGH, "Correct what it names in the database or in the URI."))
    return Judgement(patience, cure, line)


def _lines(causes: str) -> list[str]:
    """Drop libpq's hints, which begin with a tab, and the server's details."""
    return [line.strip() for line in causes.splitlines() if re.match(r"(?!DETAIL|HINT)\S", line)]


def judge_statement(sqlstate: str | None) -> Judgement:
    """Judge a statement that failed; without a state the connection was lost."""
    if sqlstate in STATES:
        return STATES[sqlstate]
    return Judgement(ALWAYS if not sqlstate or sqlstate.startswith(PASSING) else NEVER)
