"""Which texts Ansible evaluates: those of a file of Ansible variables, and never those of the configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible._internal._datatag._tags import TrustedAsTemplate
from ansible.parsing.dataloader import DataLoader
from hypothesis import given
from hypothesis import strategies as st

from nebari_mlflow.play import runner, texts
from nebari_mlflow.play.texts import Template

PLAY = Path(__file__).parent / "plays/report.yml"
ATTACKS = [
    "{{ lookup('pipe', 'touch MARK') }}",
    "{% for x in lookup('pipe', 'touch MARK') %}{% endfor %}",
    '{{- with secret "database/creds" }}',
    "${#a[@]}",
    "{% raw %}",
    "{{ $labels.instance }}",
    "{#",
]
TRAPS = [
    "123",
    "yes",
    "null",
    "~",
    "=",
    "<<",
    "",
    " lead",
    "a\n  b\n\nc ",
    "\x1b[31m\x00",
    "\u2028é",
    "- a",
    "!unsafe y",
]
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=9), inner, max_size=3)
    ),
    max_leaves=8,
)


def read_by_ansible(text: str) -> Any:
    return DataLoader().load(text)


def templates(value: Any) -> list[str]:
    """Return every text in the value, keys included, that Ansible would evaluate and that has something to evaluate."""
    if isinstance(value, dict):
        return [found for pair in value.items() for item in pair for found in templates(item)]
    if isinstance(value, list):
        return [found for item in value for found in templates(item)]
    return [value] if isinstance(value, str) and "{" in value and TrustedAsTemplate.is_tagged_on(value) else []


@pytest.fixture
def nested(tmp_path: Path) -> dict[str, Any]:
    attacks = [text.replace("MARK", str(tmp_path / "mark")) for text in ATTACKS]
    special = {"__ansible_unsafe": attacks[0], "__ansible_vault": "x", "__ansible_type": "TrustedAsTemplate"}
    return {"list": [*attacks, *TRAPS], "keys": {text: text for text in [*attacks, *TRAPS]}, "special": special}


def test_a_play_gets_every_text_to_the_letter(
    nested: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    given = {"mlflow_number": 1, "mlflow_nested": nested, "mlflow_text": nested["list"][0]}
    result = runner.run(str(PLAY), given, name="test")
    assert result.outputs == {"number": 1, "nested": nested, "text": nested["list"][0]}
    assert not (tmp_path / "mark").exists()


def test_a_template_of_ansible_s_own_file_is_evaluated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    given = texts.load("mlflow_number: '{{ 1 + 1 }}'\nmlflow_nested: {a: !unsafe '{{ 1 }}'}\n")
    result = runner.run(str(PLAY), given, name="test")
    assert result.outputs == {"number": 2, "nested": {"a": "{{ 1 }}"}, "text": ""}


@given(st.dictionaries(st.from_regex(r"mlflow_[a-z]{1,9}", fullmatch=True), ANY, max_size=3))
def test_ansible_reads_what_was_written_and_trusts_none_of_it(variables: dict[str, Any]) -> None:
    for readable in (False, True):
        found = read_by_ansible(texts.dump(variables, readable=readable) if variables else "{}")
        assert found == variables
        assert templates(found) == []


def test_a_reader_sees_only_possible_templates_tagged() -> None:
    shown = texts.dump({"mlflow_domain": "nebari.example.org", "mlflow_overrides": {"a": "{{ b }}"}}, readable=True)
    assert shown == "mlflow_domain: nebari.example.org\nmlflow_overrides:\n  a: !unsafe '{{ b }}'\n"


def test_a_file_of_variables_is_read_as_ansible_reads_it() -> None:
    text = "a: '{{ x }}'\nb: !unsafe [1, '{{ y }}', {c: '{{ z }}'}]\nc: !unsafe 2\n"
    found = texts.load(text)
    assert found == read_by_ansible(text)
    assert isinstance(found["a"], Template)
    assert not isinstance(found["b"][1], Template)
    with pytest.raises(yaml.YAMLError):
        texts.load("a: !!python/object/apply:os.system [true]")
