"""A file is read if only this user and root could have written it."""

from __future__ import annotations

import grp
import os
import pwd
from pathlib import Path

import pytest
from ansible_collections.nebari.mlflow.plugins.module_utils.kube.kubeconfig import read
from ansible_collections.nebari.mlflow.plugins.module_utils.kube.owned import NotOwned, read_owned

from tests.support import give_away


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "config"
    path.write_text("text")
    path.chmod(0o640)
    return path


def test_an_own_file_and_an_own_link_are_read(file: Path, tmp_path: Path) -> None:
    assert read_owned(file) == ("text", 0o640)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/second").symlink_to("../config")
    (tmp_path / "first").symlink_to("folder/second")
    assert read_owned(tmp_path / "first")[0] == "text"


def test_another_user_s_file_is_refused(file: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(file)
    give_away(file)
    for path in (file, tmp_path / "link"):
        with pytest.raises(NotOwned, match=f"The file {file} belongs to the user nobody"):
            read_owned(path)
    with pytest.raises(NotOwned):
        read(file)


def test_another_user_s_link_to_an_own_file_is_refused(file: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(file)
    give_away(link)
    with pytest.raises(NotOwned, match=f"The link {link} belongs to the user nobody"):
        read_owned(link)


@pytest.mark.parametrize("mode", [0o606, 0o622, 0o777])
def test_a_file_that_all_may_write_is_refused(file: Path, mode: int) -> None:
    file.chmod(mode)
    with pytest.raises(NotOwned, match="Other users of this machine can write to") as caught:
        read_owned(file)
    assert caught.value.fix.endswith(f"chmod go-w {file}")


def test_a_group_of_one_is_no_other_user(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.chmod(0o660)
    me = pwd.getpwuid(os.geteuid())
    for name, members, allowed in ((me.pw_name, [], True), (me.pw_name, ["other"], False), ("staff", [], False)):
        monkeypatch.setattr(grp, "getgrgid", lambda gid, n=name, m=members: grp.struct_group((n, "x", gid, m)))
        monkeypatch.setattr(pwd, "getpwuid", lambda _uid: pwd.struct_passwd((*me[:3], file.stat().st_gid, *me[4:])))
        if allowed:
            assert read_owned(file)[0] == "text"
        else:
            with pytest.raises(NotOwned):
                read_owned(file)


def test_pipes_and_loops_of_links_do_not_make_it_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(NotOwned, match="not an ordinary file"):
        read_owned(tmp_path / "pipe")
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match="symbolic links"):
        read_owned(tmp_path / "a")
