"""What is looked at is read as it is meant."""

from __future__ import annotations

import json
import socket
import threading
from pathlib import Path

import pytest

from .loading import CLUSTER, load

survey = load("library/survey.py")

GO_MOD = "require k8s.io/kubernetes v1.34.4\n"
TARGETS = """\
Debian|Debian|http://mirror.example/debian/
Debian|Debian|http://mirror.example/debian/
Debian|Debian-Security|http://mirror.example/debian-security/
Node|Node|https://node.example
"""


def test_debian_comes_from_where_this_machine_gets_it() -> None:
    lines = survey.mirrors(TARGETS)
    assert lines["trixie"] == [
        "deb http://mirror.example/debian/ trixie main",
        "deb http://mirror.example/debian/ trixie-updates main",
        "deb http://mirror.example/debian-security/ trixie-security main",
    ]


@pytest.mark.parametrize("targets", ["", "Ubuntu|Ubuntu|http://mirror.example/ubuntu\n"])
def test_another_distribution_says_nothing_about_debian(targets: str) -> None:
    assert survey.mirrors(targets) == {"bookworm": [], "trixie": []}


def test_proxies_of_apt_are_kept_and_nothing_else() -> None:
    dump = 'APT::Architecture "amd64";\nAcquire::http::Proxy "http://proxy.example:3128";\nAcquire::Retries "3";\n'
    assert survey.apt_options(dump) == ['--aptopt=Acquire::http::Proxy "http://proxy.example:3128";']


def test_versions_are_those_of_go_mod() -> None:
    found = survey.versions((CLUSTER / "tools/go.mod").read_text())
    assert found["k8s.io/kubernetes"].startswith("v1.")
    assert found["helm.sh/helm/v3"].startswith("v3.")
    assert found["sigs.k8s.io/kind"].startswith("v0.")


PROGRAMS = {
    "helm": ("v3.15.0+g1", {"v3.14.4": False, "v3.15.0+g1": True, "v4.0.1": False, "": False}),
    "kind": ("kind v0.33.0 go1.26 linux/amd64", {"kind v0.29.0 go1.24": False, "kind v0.30.0 go1.24": True}),
    "kubectl": ("Client Version: v1.34.4", {"Client Version: v1.32.4-x": False, "Client Version: v1.35.0": True}),
}


@pytest.mark.parametrize(
    ("name", "said", "used"),
    [(name, said, used) for name, (_, cases) in PROGRAMS.items() for said, used in cases.items()],
)
def test_programs_on_path_are_used_if_their_version_is_suitable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, said: str, used: bool
) -> None:
    def program(folder: Path, said: str) -> str:
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(f"#!/bin/sh\necho '{said}'\n")
        (folder / name).chmod(0o755)
        return str(folder / name)

    found = program(tmp_path / "bin", said)
    program(tmp_path / "ours", PROGRAMS[name][0])  # what an earlier run linked says nothing about the machine
    monkeypatch.setenv("PATH", f"{tmp_path}/ours:{tmp_path}/bin")
    assert survey.tools("v1.34.4", tmp_path / "ours") == ({name: found} if used else {})


def test_each_clone_has_a_cluster_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # no docker: nothing runs
    found = []
    for name in ("one", "two"):
        (tmp_path / name / "molecule/cluster/tools").mkdir(parents=True)
        (tmp_path / name / "molecule/cluster/tools/go.mod").write_text(GO_MOD)
        found.append(survey.look(tmp_path / name, tmp_path / "cache", {}))
    assert found[0]["name"] != found[1]["name"]
    assert found[0]["folder"] != found[1]["folder"]
    assert found[0]["docker"]["run"] == found[1]["docker"]["run"], "they share one daemon"


def test_a_cluster_keeps_its_cache_whatever_the_environment_says_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else `make test` would start a second daemon and a second cluster, and `make down` would leave the first."""
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "molecule/cluster/tools").mkdir(parents=True)
    (tmp_path / "molecule/cluster/tools/go.mod").write_text(GO_MOD)
    (tmp_path / ".cluster").mkdir()
    (tmp_path / ".cluster/state").write_text(json.dumps({"node": "n", "cache": str(tmp_path / "first")}))
    assert survey.look(tmp_path, tmp_path / "second", {})["cache"] == str(tmp_path / "first")


class TestDigest:
    """A digest changes with the contents and names of files, and with nothing else."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        (tmp_path / "inner").mkdir()
        (tmp_path / "inner/a").write_text("1")
        (tmp_path / "b").write_text("2")
        return tmp_path

    def test_where_the_clone_is_does_not_matter(self, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
        other = tmp_path_factory.mktemp("elsewhere")
        (other / "inner").mkdir()
        (other / "b").write_text("2")
        (other / "inner/a").write_text("1")
        assert survey.digest([str(folder)]) == survey.digest([str(other)])

    @pytest.mark.parametrize("change", ["contents", "name", "word"])
    def test_every_input_matters(self, folder: Path, change: str) -> None:
        before = survey.digest([str(folder), "word"])
        if change == "contents":
            (folder / "inner/a").write_text("3")
        elif change == "name":
            (folder / "inner/a").rename(folder / "inner/c")
        assert survey.digest([str(folder), "other" if change == "word" else "word"]) != before


class TestDocker:
    """Which daemon is used."""

    def serve(self, path: Path, answer: bytes) -> None:
        server = socket.socket(socket.AF_UNIX)
        server.bind(str(path))
        server.listen()

        def run() -> None:
            connection, _ = server.accept()
            connection.recv(1000)
            connection.sendall(answer)
            connection.close()

        threading.Thread(target=run, daemon=True).start()

    def test_a_daemon_that_answers_is_known(self, tmp_path: Path) -> None:
        self.serve(tmp_path / "socket", b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nOK")
        assert survey.answers(tmp_path / "socket")

    def test_a_socket_that_a_reboot_left_is_no_daemon(self, tmp_path: Path) -> None:
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(tmp_path / "socket"))
        assert not survey.answers(tmp_path / "socket")
        assert not survey.answers(tmp_path / "missing")


@pytest.mark.parametrize(("written", "read"), [('{"node": "1"}', {"node": "1"}), ("", {}), ('{"no', {}), (None, {})])
def test_half_written_state_is_no_state(tmp_path: Path, written: str | None, read: dict[str, str]) -> None:
    if written is not None:
        (tmp_path / "state").write_text(written)
    assert survey.saved_state(tmp_path) == read


class TestNode:
    """Docker's answers are a small program's here: what counts is what is made of them."""

    @pytest.fixture
    def docker(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        program = tmp_path / "docker"
        program.write_text(f"#!/bin/sh\ncase $1 in ps) cat {tmp_path}/ps;; inspect) cat {tmp_path}/inspect;; esac\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        (tmp_path / "inspect").write_text(json.dumps([{"State": {"Status": "exited"}, "Config": {"Image": "node:1"}}]))
        return tmp_path

    @pytest.mark.parametrize(
        ("listed", "state", "status"),
        [
            ("", {}, "missing"),
            ("abc\n", {}, "broken"),  # killed before the cluster was whole
            ("abc\n", {"node": "other"}, "broken"),  # another run replaced it and was killed
            ("abc\ndef\n", {"node": "abc"}, "broken"),
            ("abc\n", {"node": "abc"}, "exited"),
        ],
    )
    def test_only_a_node_that_was_finished_is_kept(
        self, docker: Path, listed: str, state: dict[str, str], status: str
    ) -> None:
        (docker / "ps").write_text(listed)
        found = survey.node("name", {}, docker, state)
        assert found["status"] == status
        assert found["ready"] is False
