# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""Read a file only if nobody but this user and root could have written it.

A kubeconfig names a login program, so whoever writes it runs programs as its reader. What is checked is the open
file, not the path: another user cannot exchange one for the other in between.
"""

from __future__ import annotations

import errno
import grp
import os
import pwd
import stat
from pathlib import Path

from ..errors import ClusterUnusable

LINKS = 8
FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # a FIFO must not make us wait


class NotOwned(ClusterUnusable):
    """Another user could have written the file."""

    code = "NML307"


def read_owned(path: Path) -> tuple[str, int]:
    """Return the text and the mode of a file of this user's or root's.

    Raises:
        NotOwned: Another user owns the file or a link to it, or may write to it.
        OSError: The file cannot be opened or read.
        UnicodeDecodeError: The file is not text.
    """
    if path.is_relative_to(f"/proc/{os.getpid()}/fd"):  # what this process made in memory
        return path.read_text(encoding="utf-8"), stat.S_IRUSR | stat.S_IWUSR
    descriptor, path = _open(path)
    with os.fdopen(descriptor, encoding="utf-8") as stream:
        found = os.fstat(stream.fileno())
        if stat.S_ISDIR(found.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(found.st_mode):
            raise NotOwned(f"{path} is not an ordinary file.", "Give the path of a kubeconfig.")
        _check_owner(path, found)
        if _open_to_others(found):
            raise NotOwned(
                f"Other users of this machine can write to {path}, and a kubeconfig can name programs to run.",
                f"Check its content, then run: chmod go-w {path}",
            )
        return stream.read(), stat.S_IMODE(found.st_mode)


def check_owned(path: Path) -> None:
    """Raise NotOwned if another user could have put a program, or the directory that it is in, there."""
    found = path.lstat()
    owner = found.st_uid
    if owner not in (0, os.geteuid()) or stat.S_ISLNK(found.st_mode):
        raise NotOwned(f"{path} belongs to the user {_user(owner)}, and it would be run.", "Use a program of your own.")
    if _open_to_others(found):
        raise NotOwned(f"Other users of this machine can write to {path}, and it would be run.", f"chmod go-w {path}")


def _open_to_others(found: os.stat_result) -> bool:
    by_group = bool(found.st_mode & stat.S_IWGRP) and not _is_own_group(found.st_gid)
    return bool(found.st_mode & stat.S_IWOTH) or by_group


def _open(path: Path) -> tuple[int, Path]:
    """Open the file behind links of this user or root, such as those of a mounted Secret; return its path too."""
    for _ in range(LINKS):
        try:
            return os.open(path, FLAGS), path
        except OSError as error:
            if error.errno != errno.ELOOP or not path.is_symlink():
                raise
        _check_owner(path, path.lstat())
        path = path.parent / path.readlink()
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))


def _check_owner(path: Path, found: os.stat_result) -> None:
    if found.st_uid not in (0, os.geteuid()):
        what = "The link" if stat.S_ISLNK(found.st_mode) else "The file"
        raise NotOwned(
            f"{what} {path} belongs to the user {_user(found.st_uid)}, and a kubeconfig can name programs to run.",
            "Give another kubeconfig with `--kubeconfig` or KUBECONFIG. If you trust this one, copy it to a folder of "
            "your own first.",
        )


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _is_own_group(gid: int) -> bool:
    """Whether this user is the only member of the group, as where every user has a group of the same name."""
    try:
        group, user = grp.getgrgid(gid), pwd.getpwuid(os.geteuid())
    except KeyError:
        return False
    return gid == user.pw_gid and group.gr_name == user.pw_name and set(group.gr_mem) <= {user.pw_name}
