"""A process that has imported Nebari once and forks for each command: the import takes longer than most commands.

`warm.py SOCKET` says a line when it listens there; it ends with its standard input, and takes its folder along.
A request is one line of JSON, {code, argv, cwd, env, output}; the answer is the exit code.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import socketserver
import sys
import threading
import traceback
from pathlib import Path
from typing import Any


def run(request: dict[str, Any]) -> int:
    """Become the program `code`, and return its exit code."""
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    output = os.open(request["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    for source, target in ((os.open(os.devnull, os.O_RDONLY), 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    sys.argv = request["argv"]
    try:
        exec(request["code"], {"__name__": "__main__"})  # noqa: S102 (the tests' own)
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except Exception:
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


class Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self.wfile.write(f"{run(json.loads(self.rfile.readline()))}\n".encode())


class Server(socketserver.ForkingMixIn, socketserver.UnixStreamServer):
    """One process for each request, any number at once."""


def end_with_stdin(path: Path) -> None:
    while os.read(0, 1):
        pass
    shutil.rmtree(path.parent)
    os._exit(0)


if __name__ == "__main__":
    for name in ("nebari.__main__", "_nebari.stages.infrastructure", "_nebari.stages.kubernetes_services"):
        importlib.import_module(name)

    with Server(sys.argv[1], Handler) as server:
        threading.Thread(target=end_with_stdin, args=[Path(sys.argv[1])], daemon=True).start()
        print("listening", flush=True)
        server.serve_forever()
