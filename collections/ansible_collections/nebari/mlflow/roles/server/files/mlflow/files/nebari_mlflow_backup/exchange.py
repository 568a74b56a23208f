"""The programs of PostgreSQL, which are in the other container: asked through one pipe, fed or read through another.

The other container ends when this process does, because the kernel closes the pipe that it reads.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import mlflow_uri

FOLDER = Path(os.environ.get("EXCHANGE", "/mlflow/exchange/open"))
PATIENCE = 60.0  # seconds for the other container to answer


class ProgramError(Exception):
    """A program of PostgreSQL failed; the message is its own, without the parts of a URI."""


class Exchange:
    """Open it before anything that takes time: the other container waits for it."""

    def __init__(self, folder: Path = FOLDER, patience: float = PATIENCE) -> None:
        self._folder, self._patience = folder, patience
        self._requests = os.open(folder / "requests", os.O_WRONLY)
        self.hidden: Mapping[str, str] = {}

    def connect_to(self, parameters: Mapping[str, str]) -> None:
        """Leave the connection that just worked for the other container, in memory."""
        self.hidden = parameters
        given = dict(parameters)
        password = given.pop("password", os.environ.get("PGPASSWORD", ""))
        roots = given.get("sslrootcert", "")
        if roots and Path(roots).exists():
            copy = self._folder / "roots.crt"  # the link leads into an image that the other container does not have
            copy.write_bytes(Path(roots).read_bytes())
            given["sslrootcert"] = str(copy)
        service, _ = mlflow_uri.service(given, "/dev/null")
        for name, content in (("service.conf", service), ("password", password)):
            file = self._folder / name
            file.touch(mode=0o640)  # for the group of the pod
            file.write_text(content, encoding="utf-8")

    def ask(self, verb: str, argument: str = "-") -> None:
        """Ask for one program. Its output or input is the pipe `data`."""
        for name in ("status", "errors"):
            (self._folder / name).unlink(missing_ok=True)
        try:
            os.write(self._requests, f"{verb} {argument}\n".encode())
        except BrokenPipeError:
            raise ProgramError("The container of PostgreSQL's programs has ended.") from None

    def reader(self) -> _Reader:
        """Open the pipe that the program writes into."""
        pipe = os.open(self._folder / "data", os.O_RDONLY | os.O_NONBLOCK)
        waiting = select.poll()
        waiting.register(pipe, select.POLLIN)
        end = time.monotonic() + self._patience
        while not waiting.poll(100):
            if (self._folder / "status").exists():  # it ended before it opened the pipe
                self.settle()
            if time.monotonic() < end:
                continue
            os.close(pipe)
            raise ProgramError(f"The container of PostgreSQL's programs did not answer within {self._patience:.0f} s.")
        os.set_blocking(pipe, True)
        return _Reader(pipe)

    def feed(self, pieces: Iterable[bytes]) -> None:
        """Write into the pipe that the program reads. A program that ends early says why in its status."""
        pipe = self._writer()
        try:
            for piece in pieces:
                rest = memoryview(piece)
                while rest:
                    rest = rest[os.write(pipe, rest) :]
        except BrokenPipeError:
            pass
        finally:
            os.close(pipe)

    def _writer(self) -> int:
        end = time.monotonic() + self._patience
        while True:
            try:
                pipe = os.open(self._folder / "data", os.O_WRONLY | os.O_NONBLOCK)
            except OSError as error:
                if error.errno != errno.ENXIO or time.monotonic() > end:  # nobody reads it yet
                    raise ProgramError("The container of PostgreSQL's programs did not answer.") from None
                time.sleep(0.05)
                continue
            os.set_blocking(pipe, True)
            return pipe

    def settle(self, patience: float | None = None) -> None:
        """Wait until the program has ended; raise ProgramError unless it ended well."""
        end = time.monotonic() + (self._patience if patience is None else patience)
        status = self._folder / "status"
        while not status.exists():
            if time.monotonic() > end:
                raise ProgramError("PostgreSQL's program was killed: it ended without a status.")
            time.sleep(0.05)
        if (code := status.read_text(encoding="utf-8").strip()) != "0":
            raise ProgramError(f"{self._said()} (exit code {code})")

    def _said(self) -> str:
        lines: list[str] = []
        with contextlib.suppress(OSError):
            lines = (self._folder / "errors").read_text(encoding="utf-8", errors="replace").strip().splitlines()
        telling = [line for line in lines if "error" in line.lower() or "fatal" in line.lower()] or lines
        return mlflow_uri.scrub((telling or ["no message"])[0][:600], self.hidden)


class _Reader:
    """A pipe as a file that is read to its end."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe

    def read(self, size: int) -> bytes:
        return os.read(self._pipe, min(size, 1 << 20))

    def close(self) -> None:
        os.close(self._pipe)
