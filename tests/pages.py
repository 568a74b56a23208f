"""The commands that pages print, run as they are printed.

Comments in front of a block's fence say how the block is treated:

    <!-- not run: why -->            nobody can run it here
    <!-- campaign: why -->           `make campaign` runs it, `make test` does not
    <!-- first: COMMAND: why -->     COMMAND runs before it
    <!-- instead: COMMAND: why -->   COMMAND runs in its place
    <!-- not compared: why -->       in front of what is shown: it is an example

A block without a comment is run as it is. A block of another language whose paragraph says "Save this as `NAME`"
becomes that file. A block without a language, right behind one that is run, is what it prints; in a `console` block
that stands below the command. In what is shown, `…` stands for anything, and numbers may differ.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .support import ROOT

SHELLS = {"bash", "sh", "console"}
KINDS = "not run|campaign|first|instead|not compared"
COMMENT = re.compile(rf"\s*<!-- ({KINDS}): (.+) -->$")
MARK = "@@ block of line"


class PageError(AssertionError):
    """What is wrong, with page and line."""


@dataclass
class Block:
    """A fenced block of a page."""

    page: str
    line: int
    language: str
    lines: list[str]
    said: dict[str, str] = field(default_factory=dict)
    """What its comments say, by kind."""
    file: str = ""
    shown: list[tuple[int, str]] = field(default_factory=list)
    output_of: Block | None = None

    @property
    def is_run(self) -> bool:
        """Whether it is commands that a test runs."""
        return self.language in SHELLS and "not run" not in self.said

    def commands(self) -> list[tuple[int, str]]:
        """What the shell gets, each line with its number on the page."""
        first = [(self.line, _command(self.said["first"]))] if "first" in self.said else []
        if "instead" in self.said:
            return [*first, (self.line, _command(self.said["instead"]))]
        numbered = list(enumerate(self.lines, self.line + 1))
        if self.language == "console":
            numbered = [(number, line[2:]) for number, line in numbered if line.startswith("$ ")]
        return first + numbered


def _command(said: str) -> str:
    return said.rpartition(": ")[0]


def blocks(page: str, text: str) -> list[Block]:
    """Return the blocks of a page in order."""
    found: list[Block] = []
    opened: Block | None = None
    between: list[str] = []
    indent = ""
    for number, line in enumerate(text.splitlines(), 1):
        fence = re.match(r"(\s*)```(\w*)", line)
        if opened is not None and fence:
            opened = None
        elif opened is not None:
            opened.lines.append(line.removeprefix(indent))
        elif fence:
            indent = fence[1]
            opened = Block(page, number, fence[2], [])
            _describe(opened, between)
            text_between = [each for each in between if each.strip() and not COMMENT.match(each)]
            if not opened.language and found and found[-1].language in SHELLS and not text_between:
                opened.output_of = found[-1]
            found.append(opened)
            between = []
        else:
            between.append(line)
    for block in found:
        numbered = list(enumerate(block.lines, block.line + 1))
        if block.output_of and "not compared" not in block.said:
            block.output_of.shown = numbered
        elif block.language == "console":
            block.shown = [(number, line) for number, line in numbered if not line.startswith("$ ")]
    return found


def _describe(block: Block, between: list[str]) -> None:
    """Note what the text between the last block and this one says about it."""
    for above, line in enumerate(reversed(between), 1):
        if not re.match(r"\s*<!--", line):
            break
        where = f"{block.page}:{block.line - above}"
        comment = COMMENT.match(line)
        if not comment and re.match(rf"\s*<!-- ({KINDS})\b", line):
            raise PageError(f"{where}: a block that is treated differently needs a reason")
        if comment:
            block.said[comment[1]] = comment[2]
            if comment[1] in ("first", "instead") and not _command(comment[2]):
                raise PageError(f"{where}: `{comment[1]}` needs a command and a reason")
    named = re.search(r"[Ss]ave\s+this\s+as\s+`([\w./-]+)`", "\n".join(between))
    if named and block.language not in SHELLS:
        block.file = named[1]


def pattern(line: str) -> re.Pattern[str]:
    """Return what a shown line matches: `…` is anything, and numbers may differ."""
    parts = re.split(r"(…|\d[\da-f]*)", line.strip())
    return re.compile("".join(_part(part) for part in parts))


def _part(part: str) -> str:
    if part == "…":
        return ".*"
    return r"\d[\da-f]*" if part[:1].isdigit() else re.escape(part)


def script(found: list[Block], names: Mapping[str, str], campaign: bool) -> tuple[str, list[Block], dict[int, int]]:
    """Return one shell script of a page's commands, the blocks in it, and the page's line of each of its lines."""
    written = ["set -e -o pipefail", f"trap 'echo \"{MARK} $LINENO failed\"' ERR"]
    where: dict[int, int] = {}
    ran = []
    for block in found:
        if not block.is_run or ("campaign" in block.said and not campaign):
            continue
        ran.append(block)
        written.append(f"printf '\\n%s\\n' '{MARK} {block.line}'")
        for number, line in block.commands():
            written.append(rename(line, names))
            where[len(written)] = number
    return "\n".join(written) + "\n", ran, where


def rename(text: str, names: Mapping[str, str]) -> str:
    """Give what the whole cluster shares, such as the namespace `dev`, a name of the test's own."""
    for old, new in names.items():
        text = re.sub(rf"(?<![\w/-]){old}(?![\w/-])", new, text)
    return text


def save(block: Block, path: Path, names: Mapping[str, str]) -> None:
    """Write a block's lines into a file."""
    path.write_text(rename("\n".join(block.lines) + "\n", names))


def run(page: str, text: str, folder: Path, env: Mapping[str, str], names: Mapping[str, str], *, campaign: bool) -> str:
    """Run a page in a fresh shell and compare what it shows; raise with page and line where it is not as printed."""
    found = blocks(page, text)
    for block in found:
        if block.file:
            save(block, folder / block.file, names)
    commands, ran, where = script(_with_files(found, folder, names), names, campaign)
    (folder / ".page.sh").write_text(commands)
    done = subprocess.run(
        ["bash", ".page.sh"],
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    outputs = re.split(rf"^{MARK} (\d+)\n", done.stdout, flags=re.M)[1:]
    printed = dict(zip(map(int, outputs[::2]), outputs[1::2], strict=True))
    if done.returncode:
        failed = re.findall(rf"^{MARK} (\d+) failed$", done.stdout, re.M)
        line = where.get(int(failed[-1]), 0) if failed else max(printed, default=0)
        last = printed[max(printed)] if printed else done.stdout
        raise PageError(f"{page}:{line}: exit code {done.returncode}\n{last[-4000:]}")
    for block in ran:
        compare(block, printed[block.line], names)
    return done.stdout


def _with_files(found: list[Block], folder: Path, names: Mapping[str, str]) -> list[Block]:
    """Put the writing of a file that a page writes twice where the page does it."""
    written: list[Block] = []
    for block in found:
        if block.file and sum(other.file == block.file for other in found) > 1:
            path = folder / f".{block.line}.{Path(block.file).name}"
            save(block, path, names)
            copying = f"cp {path} {block.file}: the page says to save it"
            written.append(Block(block.page, block.line, "bash", [], {"instead": copying}))
        written.append(block)
    return written


def compare(block: Block, printed: str, names: Mapping[str, str]) -> None:
    """Raise for the first line that is shown and was not printed, in this order."""
    rest = iter(printed.splitlines())
    for number, line in block.shown:
        if line.strip() and not any(pattern(rename(line, names)).search(each) for each in rest):
            raise PageError(f"{block.page}:{number}: shown, but not printed: {line.strip()}\n{printed[-4000:]}")


def tracked() -> list[str]:
    """Return every page of the repository."""
    listing = ["git", "ls-files", "*.md"]
    return subprocess.run(listing, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()


def fresh_shell(home: Path) -> dict[str, str]:
    """The environment of a shell that has the programs and the kubeconfig, and nothing else."""
    path = [ROOT / ".venv/bin", ROOT / ".cluster/bin", "/usr/local/bin", "/usr/bin", "/bin"]
    kubeconfig = os.environ.get("KUBECONFIG") or str(ROOT / ".cluster/kubeconfig")
    return {"PATH": ":".join(map(str, path)), "HOME": str(home), "KUBECONFIG": kubeconfig, "LC_ALL": "C.UTF-8"}
