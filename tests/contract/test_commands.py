"""Every command that a page prints exists: its program's subcommands, options, playbooks, variables, targets and files.

This reads the pages and runs nothing. Commands of other programs, such as kubectl, are not looked at.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
import pytest
import typer
import yaml
from pydantic import ValidationError

from nebari_mlflow.cli.app import app
from nebari_mlflow.plugin.schema import Mlflow

ROOT = Path(__file__).parents[2]
COLLECTION = ROOT / "collections/ansible_collections/nebari/mlflow"
CHART = COLLECTION / "roles/server/files/mlflow"
SHORT = {"provider", "project_name", "namespace", "domain", "delete_data"}
PLAYBOOKS = {path.stem for path in (COLLECTION / "playbooks").glob("*.yml")}
ENDS = {";", "&&", "||", "|", "&", "(", ")"}
FOLDERS = ("benchmarks/", "collections/", "docs/", "molecule/", "playbooks/", "requirements/", "tests/")
PAGES = [
    Path(name)
    for name in subprocess.run(
        ["git", "ls-files", "*.md"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split()
]


def blocks(text: str, languages: set[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield each fenced block with the number of its first line."""
    opened = 0
    lines: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        fence = re.match(r"\s*```(\w*)", line)
        if fence and opened:
            if lines and lines[0] in languages:
                yield opened + 1, lines[1:]
            opened, lines = 0, []
        elif fence:
            opened, lines = number, [fence[1]]
        elif opened:
            lines.append(line)


def words(text: str) -> list[str] | None:
    """Split a command line as a shell does; None if it goes on in the next line."""
    lexer = shlex.shlex(text, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    try:
        return list(lexer)
    except ValueError:
        return None


def commands(page: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the words of every command of a page, with the number of its line."""
    for first, lines in blocks(page, {"bash", "sh", "console"}):
        shown = any(line.startswith("$ ") for line in lines)
        start, text, until = first, "", ""
        for number, line in enumerate(lines, first):
            if until:
                until = "" if line.strip() == until else until
                continue
            if shown and not text and not line.startswith("$ "):
                continue
            start = start if text else number
            text += line.removeprefix("$ ") if shown else line
            if text.endswith("\\"):
                text = text[:-1]
                continue
            found = words(text)
            if found is None:
                text += "\n"
                continue
            heredoc = re.search(r"<<-?'?(\w+)", line)
            until = heredoc[1] if heredoc else ""
            text = ""
            yield from ((start, each) for each in split(found))


def split(found: list[str]) -> Iterator[list[str]]:
    """Yield the commands of a line, without the variables in front."""
    command: list[str] = []
    for word in [*found, ";"]:
        inner = re.fullmatch(r"\$\((.+)\)", word)
        if inner:
            yield from split(words(inner[1]) or [])
        if word in ENDS:
            if command:
                yield command
            command = []
        elif command or not re.match(r"\w+=", word):
            command.append(word)


@cache
def variables() -> dict[str, dict[str, Any]]:
    """Return the specification of every variable that a role reads."""
    specs = [yaml.safe_load(path.read_text()) for path in COLLECTION.glob("roles/*/meta/argument_specs.yml")]
    mains = [point["options"] for spec in specs for point in spec["argument_specs"].values()]
    return {name: option for options in mains for name, option in options.items()}


@cache
def values() -> dict[str, Any]:
    """Return the schema of the chart's values."""
    schema: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())
    return schema


def unknown_values(given: Any, schema: dict[str, Any], path: str) -> Iterator[str]:
    """Yield the keys that the chart does not know."""
    known = schema.get("properties")
    if not isinstance(given, dict) or not known:
        return
    for key, value in given.items():
        if key in known:
            yield from unknown_values(value, known[key], f"{path}.{key}")
        elif schema.get("additionalProperties") is False:
            yield f"the chart has no value {path}.{key}"


def unknown_variables(given: dict[str, Any]) -> Iterator[str]:
    """Yield the variables, and keys of variables, that no role knows."""
    for name, value in given.items():
        option = variables().get(name)
        if option is None and name not in SHORT:
            yield f"no role reads the variable {name}"
        elif name == "mlflow_overrides":
            yield from unknown_values(value, values(), "overrides")
        elif option and isinstance(value, dict) and option.get("options"):
            yield from (f"{name} has no key {key}" for key in value if key not in option["options"])


def of_yaml(text: str) -> Iterator[str]:
    """Check what an example in YAML sets: variables, values of the chart, the block of nebari-config.yaml."""
    for given in yaml.safe_load_all(text):
        if not isinstance(given, dict):
            continue
        yield from unknown_variables({name: value for name, value in given.items() if str(name).startswith("mlflow_")})
        spec = given.get("spec") or {}
        charted = [spec.get("values"), spec.get("source", {}).get("helm", {}).get("valuesObject")]  # Flux, Argo CD
        charted.append(given if set(given) <= set(values()["properties"]) else None)
        for found in charted:
            yield from unknown_values(found, values(), "values")
        try:
            Mlflow.model_validate(given.get("mlflow") or {})
        except ValidationError as error:
            yield from (f"{'.'.join(map(str, ('mlflow', *each['loc'])))}: {each['msg']}" for each in error.errors())


def of_playbook(args: list[str]) -> Iterator[str]:
    """Check a call of ansible-playbook."""
    rest = iter(args)
    for arg in rest:
        if arg in ("-e", "--extra-vars"):
            extra = next(rest)
            if extra.startswith("{"):
                yield from unknown_variables(json.loads(extra))
            elif not extra.startswith("@"):
                yield from unknown_variables({extra.partition("=")[0]: extra.partition("=")[2]})
        elif arg.startswith("nebari.mlflow.") and arg.rpartition(".")[2] not in PLAYBOOKS:
            yield f"there is no playbook {arg}"


def of_cli(args: list[str]) -> Iterator[str]:
    """Check a call of nebari-mlflow with its own parser."""
    group = typer.main.get_command(app)
    assert isinstance(group, click.Group)
    try:
        context = click.Context(group, info_name="nebari-mlflow")
        if args and args[0].startswith("-"):
            group.make_parser(context).parse_args(list(args))
        elif args:
            name, command, rest = group.resolve_command(context, list(args))
            assert command is not None
            command.make_parser(click.Context(command, info_name=name, parent=context)).parse_args(rest)
    except click.UsageError as error:
        yield error.format_message()


def of_helm(args: list[str]) -> Iterator[str]:
    """Check the values that a call of helm sets."""
    for flag, given in pairwise(args):
        if flag in ("--set", "--set-string", "--set-json"):
            nested: Any = ""
            for key in reversed(re.split(r"(?<!\\)\.", given.partition("=")[0])):
                nested = {re.sub(r"\[\d+\]$", "", key): nested}
            yield from unknown_values(nested, values(), "values")


def wrong(command: list[str]) -> Iterator[str]:
    """Say what does not exist of a command."""
    program, args = command[0], command[1:]
    if program == "make":
        (phony,) = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.M)
        targets = [arg for arg in args if not arg.startswith(("-", "#")) and "=" not in arg]
        yield from (f"there is no target {target}" for target in targets if target not in phony.split())
    elif program == "nebari-mlflow":
        yield from of_cli(args)
    elif program == "nebari" and args[:1] == ["mlflow"]:
        yield from of_cli(args[1:])
    elif program == "ansible-playbook":
        yield from of_playbook(args)
    elif program == "helm":
        yield from of_helm(args)
    elif program == "ansible-doc":
        modules = {path.stem for path in (COLLECTION / "plugins/modules").glob("*.py")}
        names = [arg.removeprefix("nebari.mlflow.") for arg in args if arg.startswith("nebari.mlflow.")]
        yield from (f"there is no module {name}" for name in names if name not in modules)
    for arg in args:
        path = arg.removeprefix("./")
        if path.startswith(FOLDERS) and not (ROOT / path).exists():
            yield f"there is no file {path}"


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_command_of_a_page_exists(page: Path) -> None:
    found = commands((ROOT / page).read_text())
    assert not [f"{page}:{line}: {said}" for line, command in found for said in wrong(command)]


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_option_of_a_yaml_example_exists(page: Path) -> None:
    found = blocks((ROOT / page).read_text(), {"yaml"})
    assert not [f"{page}:{line}: {said}" for line, lines in found for said in of_yaml("\n".join(lines))]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mlflow_nothing: 1", "no role reads the variable mlflow_nothing"),
        ("tracking: {nothing: 1}", "no value values.tracking.nothing"),
        ("mlflow: {nothing: 1}", "nothing is not a known key"),
        ("mlflow: {overrides: {tracking: {nothing: 1}}}", "nothing"),
        ("kind: HelmRelease\nspec: {values: {nothing: 1}}", "no value values.nothing"),
        ("kind: Application\nspec: {source: {helm: {valuesObject: {nothing: 1}}}}", "no value values.nothing"),
    ],
)
def test_an_option_that_does_not_exist_is_found(text: str, said: str) -> None:
    (problem,) = of_yaml(text)
    assert said in problem


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("nebari-mlflow deploi", "No such command 'deploi'"),
        ("nebari mlflow plan --nothing", "No such option"),
        ("ansible-playbook nebari.mlflow.nothing", "no playbook nebari.mlflow.nothing"),
        ("ansible-playbook playbooks/nothing.yml", "no file playbooks/nothing.yml"),
        ("ansible-playbook nebari.mlflow.mlflow -e mlflow_nothing=1", "no role reads the variable mlflow_nothing"),
        (
            """ansible-playbook nebari.mlflow.mlflow \\
             -e '{"mlflow_overrides": {"tracking":
                 {"nothing": 1}}}'""",
            "no value overrides.tracking.nothing",
        ),
        ("""ansible-playbook x -e '{"mlflow_database": {"nothing": 1}}'""", "mlflow_database has no key nothing"),
        ("helm install a b --set tracking.nothing=1", "no value values.tracking.nothing"),
        ("A=1 make nothing && make up", "no target nothing"),
        ('eval "$(make nothing)"', "no target nothing"),
        ("ansible-doc nebari.mlflow.nothing", "no module nothing"),
        ("cat <<EOF\nmake nothing\nEOF\nmake nothing2", "no target nothing2"),
    ],
)
def test_what_does_not_exist_is_found(command: str, said: str) -> None:
    page = f"text\n\n```bash\n{command}\n```\n"
    (problem,) = [each for _, found in commands(page) for each in wrong(found)]
    assert said in problem
