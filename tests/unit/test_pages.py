"""The checker of printed commands finds what is wrong, with page and line, and passes what is right."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.pages import PageError, blocks, compare, pattern, run

FINE = """# Page

Save this as `greeting`:

```text
hello
```

```bash
place=dev
cat greeting
echo $place /dev/null a-dev
```

```
hello
…space /dev/null a-dev
```

Text.

<!-- not run: it would end the world -->
```bash
false
```

<!-- instead: echo other: there is no program -->
```bash
no-such-program
```

<!-- campaign: long -->
```bash
echo long
```

```console
$ echo took 17 s
took 12 s
```
"""


def play(tmp_path: Path, text: str, *, campaign: bool = False) -> str:
    return run("page.md", text, tmp_path, {"PATH": os.environ["PATH"]}, {"dev": "my-space"}, campaign=campaign)


def test_commands_run_in_order_in_one_shell(tmp_path: Path) -> None:
    printed = play(tmp_path, FINE)
    assert "my-space /dev/null a-dev" in printed
    assert "other" in printed
    assert "long" not in printed
    assert "long" in play(tmp_path, FINE, campaign=True)


@pytest.mark.parametrize(
    ("change", "to", "said"),
    [
        ("cat greeting", "cat greetings", r"page\.md:11: exit code 1\n.*greetings"),
        ("place=dev", "place=dev\nfalse\n", r"page\.md:11: exit code 1"),
        ("…space", "…moon", r"page\.md:17: shown, but not printed: …moon"),
        ("took 12 s", "took 12 m", r"page\.md:39: shown, but not printed: took 12 m"),
        ("not run: it would end the world", "not run", r"page\.md:22: .* needs a reason"),
        ("<!-- not run: it would end the world -->\n", "", r"page\.md:23: exit code 1"),
        ("instead: echo other: there is no program", "instead: other", r"page\.md:27: .* a command and a reason"),
        ("echo other", "exit 3", r"page\.md:\d+: exit code 3"),
    ],
)
def test_what_is_wrong_is_said_with_page_and_line(tmp_path: Path, change: str, to: str, said: str) -> None:
    assert change in FINE
    with pytest.raises(PageError, match=said):
        play(tmp_path, FINE.replace(change, to))


def test_a_file_written_twice_has_each_content_in_turn(tmp_path: Path) -> None:
    part = "Save this as `x`:\n\n```yaml\n{0}\n```\n\n```bash\ncat x\n```\n\n```\n{0}\n```\n\n"
    play(tmp_path, part.format("one") + part.format("two"))


@pytest.mark.parametrize(
    ("shown", "printed", "fits"),
    [
        ("deployed in 12 s", "  deployed in 345 s", True),
        ("20260102T030405Z-0a1b2c  MLflow", "20261127T101112Z-9f00aa  MLflow", True),
        ("replicas: 1", "replicas: one", False),
        ("a … b", "a long way to b", True),
        ("[defaults]", "d", False),
    ],
)
def test_shown_lines_fit_what_may_differ(shown: str, printed: str, fits: bool) -> None:
    assert bool(pattern(shown).search(printed)) == fits


def test_lines_must_be_printed_in_the_order_shown() -> None:
    (block, _) = blocks("p.md", "```bash\nx\n```\n\n```\none\ntwo\n```\n")
    compare(block, "zero\none\nand\ntwo\n", {})
    with pytest.raises(PageError, match=r"p\.md:7"):
        compare(block, "two\none\n", {})
