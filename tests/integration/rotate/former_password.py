"""In the server's container: what its pools do with a connection that the other password opened."""

import os
import time

import psycopg2
import sitecustomize
import sqlalchemy

first = psycopg2.connect


def connect(*arguments: object, **named: object) -> object:
    """Refuse what does not give the other password, as a database does that has not got the new one yet."""
    if named.pop("password", "") != "the other one":
        raise psycopg2.OperationalError(sitecustomize.REFUSED)
    return first(*arguments, **named)


psycopg2.connect = sitecustomize.trying(connect, psycopg2.OperationalError, "the other one")
sitecustomize.USED_SECONDS = 2.0
engine = sqlalchemy.create_engine(os.environ["MLFLOW_BACKEND_STORE_URI"], pool_pre_ping=True)


def backend() -> int:
    """Which process of the database serves a connection from the pool."""
    with engine.connect() as connection:
        return int(connection.execute(sqlalchemy.text("SELECT pg_backend_pid()")).scalar_one())


opened = backend()
print("same" if backend() == opened else "another")
time.sleep(2.5)
print("same" if backend() == opened else "another")
psycopg2.connect = sitecustomize.trying(first, psycopg2.OperationalError, "no other one")
engine.dispose()
opened = backend()
time.sleep(2.5)
print("first" if backend() == opened else "another")
