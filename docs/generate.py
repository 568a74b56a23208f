"""Write what is said in one place to every place that shows it: python docs/generate.py.

The page of variables comes from the roles' argument specifications, the page of commands from the command line, the
schemas of what the commands print from the types of the documents, the page of what an offline installation needs from
the chart's images and the locked packages. The descriptions of the chart's values.schema.json and the table of its
README come from the comments of its values.yaml.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, NotRequired, get_args, get_origin, get_type_hints

import click
import typer
import yaml
from pydantic import TypeAdapter

from nebari_mlflow.cli import documents
from nebari_mlflow.cli.app import app
from nebari_mlflow.cli.options import SHAPE, Options

ROOT = Path(__file__).parents[1]
ROLES = ROOT / "collections/ansible_collections/nebari/mlflow/roles"
PAGE = ROOT / "docs/reference/variables.md"
OFFLINE = ROOT / "docs/reference/offline.md"
COMMANDS = ROOT / "docs/reference/commands.md"
DOCUMENTS = ROOT / "docs/reference/json"
LOCK = ROOT / "requirements/test.txt"
PROJECT = ROOT / "pyproject.toml"
CHART = ROLES / "server/files/mlflow"
README = CHART / "README.md"
SCHEMA = CHART / "values.schema.json"
VALUES = CHART / "values.yaml"
START = "<!-- values: `python docs/generate.py` writes this table from values.yaml -->"
END = "<!-- end of values -->"

HEAD = """# Variables of the playbooks

The playbooks `nebari.mlflow.mlflow`, `.destroy`, `.backup` and `.restore` read these variables from every place that
Ansible knows: an inventory, group_vars, a vars file, or `-e`. Unknown `mlflow_*` variables are refused, with the
nearest known name, and so are secrets given as text. `python docs/generate.py` writes this page from the roles'
`meta/argument_specs.yml`.

Ansible evaluates `{{ }}` in these values, also for `nebari-mlflow --vars FILE`. Write `!unsafe` in front of a text that
must reach the cluster unchanged, such as an annotation with another program's template. Read a vars file before you use
it: its templates run programs on your machine, as a playbook does.

Five variables have short names for the command line: `provider`, `project_name`, `namespace`, `domain` and
`delete_data`. The long names win. Ansible warns that `namespace` is a reserved name, so prefer `mlflow_namespace`.

On a cloud, the role `inputs` asks the cluster for region, OIDC issuer, project, subscription, resource group and
cluster name. Variables that you set win over what the cluster says.
"""


def text(description: str | list[str]) -> str:
    """Return a description in Markdown instead of Ansible's markup."""
    joined = " ".join([description] if isinstance(description, str) else description)
    return re.sub(r"\b[CVOM]\(([^()]*)\)", r"`\1`", joined)


def specification(role: str) -> dict[str, Any]:
    """Return a role's main entry point."""
    found: dict[str, Any] = yaml.safe_load((ROLES / role / "meta/argument_specs.yml").read_text())["argument_specs"]
    main: dict[str, Any] = found["main"]
    return main


def shown(option: dict[str, Any]) -> str:
    """Return a default as YAML writes it."""
    empty: Any = {"dict": {}, "list": [], "raw": {}}.get(option["type"], "")
    return f"`{json.dumps(option.get('default', empty))}`"


def rows(options: dict[str, Any], prefix: str = "") -> list[str]:
    """Return a table row for each option and its sub-options."""
    # What a mapping cannot do without has no default, beside others that have one.
    some = bool(prefix) and any("default" in option for option in options.values())
    found: list[str] = []
    for name, option in options.items():
        needed = option.get("required") or (some and "default" not in option)
        default = "required" if needed else shown(option)
        choices = [f"`{choice}`" for choice in option.get("choices", []) if choice]
        allowed = f" One of {', '.join(choices)}." if choices else ""
        kind = {"raw": "dict"}.get(option["type"], option["type"])
        found.append(f"| `{prefix}{name}` | {kind} | {default} | {text(option['description'])}{allowed} |")
        found += rows(option.get("options", {}), f"{prefix}{name}.")
    return found


def page() -> str:
    """Return the whole page."""
    parts = [HEAD]
    head = ["| variable | type | default | meaning |", "|---|---|---|---|"]
    common = specification("inputs")
    parts.append("\n".join(["## Everywhere", "", *head, *rows(common["options"])]) + "\n")
    for role in sorted(
        path.name for path in ROLES.iterdir() if path.name not in {"adopt", "backup", "server", "existing", "inputs"}
    ):
        spec = specification(role)
        title = f"## With `mlflow_provider={role}`"
        parts.append(
            "\n".join([title, "", text(spec["short_description"]) + ".", "", *head, *rows(spec["options"])]) + "\n"
        )
    return "\n".join(parts)


def comments(node: yaml.Node | None, lines: list[str], path: tuple[str, ...] = ()) -> Iterator[tuple[Any, str]]:
    """Yield the path of each key that has a comment `# -- text` above it, and the text."""
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        above: list[str] = []
        for line in reversed(lines[: key.start_mark.line]):
            if not line.lstrip().startswith("#"):
                break
            above.insert(0, line.strip().removeprefix("#").strip())
            if above[0].startswith("-- "):
                yield (*path, key.value), " ".join(above).removeprefix("-- ")
                break
        yield from comments(value, lines, (*path, key.value))


def needed(schema: dict[str, Any], values: dict[str, Any]) -> None:
    """Require what no template can do without, so that Helm names a key that is set to null."""
    required = []
    for name, value in values.items():
        child = schema["properties"][name]
        free = isinstance(value, (dict, list)) and "properties" not in child and "minItems" not in child
        if value is not None and not free:
            required.append(name)
        if "properties" in child and not name.lower().endswith("resources"):
            needed(child, value)
    properties = schema.pop("properties")
    schema.update(required=required, properties=properties)


def chart_schema() -> str:
    """Return the schema of the chart's values with the descriptions of values.yaml."""
    schema: dict[str, Any] = json.loads(SCHEMA.read_text(encoding="utf-8"))
    written = VALUES.read_text(encoding="utf-8")
    for path, description in comments(yaml.compose(written), written.splitlines()):
        node = schema
        for name in path:
            node = node["properties"][name]
        node["description"] = description
    needed(schema, yaml.safe_load(written))
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def value_rows(schema: dict[str, Any], values: dict[str, Any], path: str = "") -> Iterator[str]:
    """Yield a table row for each value of the chart."""
    for key, child in schema["properties"].items():
        name = f"{path}{key}"
        if "properties" in child and not key.lower().endswith("resources"):
            yield f"| **`{name}`** | | {child['description']} |"
            yield from value_rows(child, values[key], f"{name}.")
        else:
            default = f"`{json.dumps(values[key], ensure_ascii=False)}` " if key in values else ""
            yield f"| `{name}` | {default}| {child['description']} |"


def chart_readme() -> str:
    """Return the chart's README with the table of its values."""
    written = README.read_text(encoding="utf-8")
    rows = value_rows(json.loads(chart_schema()), yaml.safe_load(VALUES.read_text(encoding="utf-8")))
    table = "\n".join(["| Value | Default | Meaning |", "| --- | --- | --- |", *rows])
    return f"{written[: written.index(START)]}{START}\n{table}\n{written[written.index(END) :]}"


COMMANDS_HEAD = """# Commands

`python docs/generate.py` writes this page from the command line itself. Every command works as `nebari-mlflow COMMAND`
and as `nebari mlflow COMMAND`. `COMMAND --help` shows the same, and `nebari-mlflow --install-completion` installs the
shell's completion.

A command ends with exit code 0, or with 1 after an error. `plan` ends with 2 if there are changes, and `status` with 1
unless MLflow is active. `doctor` ends with 1 if a check failed. A command that Ctrl-C stopped ends with 130.

## Options of all commands
"""
JSON_HEAD = """## JSON

With `--json`, a command prints one object on standard output, and what is meant for people on standard error. `type`
names the command, such as `nebari-mlflow.plan`. `version` is {shape}: the minor number grows with new fields, the major
number when a field changes its meaning. A program that reads it should ignore fields that it does not know. After an
error, the object has the field `error` with `code`, `cause`, `fix` and `page` instead of the others; if the command
itself is not known, `type` is `nebari-mlflow.error`.

Each schema is in [JSON Schema](https://json-schema.org), version 2020-12. An installation with pip has them in
`share/doc/nebari-mlflow/reference/json`.

| `type` | fields besides `type` and `version` | schema |
|---|---|---|"""


def option_rows(command: click.Command, without: set[str]) -> list[str]:
    """Return a table of a command's arguments and options, without those of all commands."""
    found = []
    for parameter in command.params:
        names = ", ".join(f"`{each}`" for each in [*parameter.opts, *parameter.secondary_opts])
        if parameter.name in without or "--help" in parameter.opts:
            continue
        if isinstance(parameter, click.Option):
            allowed = parameter.type.choices if isinstance(parameter.type, click.Choice) else ()
            choices = f" One of {', '.join(f'`{each}`' for each in allowed)}." if allowed else ""
            found.append(f"| {names} | {(parameter.help or '').strip()}{choices} |")
        else:
            found.append(f"| `{parameter.human_readable_name}` | {getattr(parameter, 'help', None) or ''} |")
    return ["", "| option | meaning |", "|---|---|", *found] if found else []


def command_group() -> click.Group:
    """Return the command line as click sees it."""
    group = typer.main.get_command(app)
    if not isinstance(group, click.Group):
        raise TypeError(f"the command line is no group of commands but {group}")
    return group


def leaves(group: click.Group, name: str = "") -> Iterator[tuple[str, click.Command]]:
    """Yield every command with its full name."""
    for each, command in group.commands.items():
        if isinstance(command, click.Group):
            if command.invoke_without_command:
                yield f"{name}{each}", command
            yield from leaves(command, f"{name}{each} ")
        elif not command.hidden:
            yield f"{name}{each}", command


def fields_of(document: type) -> dict[str, Any]:
    """Return the fields of a document with their types."""
    found = get_type_hints(document, include_extras=True)
    return {name: get_args(kind)[0] if get_origin(kind) is NotRequired else kind for name, kind in found.items()}


def described(schema: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the schema of a type with the descriptions that stand beside its fields."""
    schema.pop("title", None)
    if not schema["properties"]:
        schema["maxProperties"] = 0
    for field, kind in fields_of(getattr(documents, name)).items():
        said = [each for each in getattr(kind, "__metadata__", ()) if isinstance(each, str)]
        node = {key: value for key, value in schema["properties"][field].items() if key != "title"}
        schema["properties"][field] = {"description": said[0], **node} if said else node
    return schema


def document_schema(kind: str, either: list[type]) -> dict[str, Any]:
    """Return the schema of what a command prints: one of these documents."""
    _, found = TypeAdapter.json_schemas([(each.__name__, "validation", TypeAdapter(each)) for each in either])
    parts = {name: described(part, name) for name, part in sorted(found["$defs"].items())}
    head = {
        "type": {"const": f"nebari-mlflow.{kind}"},
        "version": {"type": "string", "pattern": rf"^{SHAPE.partition('.')[0]}\."},
    }
    for each in either:
        part = parts[each.__name__]
        part.update(properties=head | part["properties"], required=[*head, *part["required"]])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"nebari-mlflow {kind} --json",
        "oneOf": [{"$ref": f"#/$defs/{each.__name__}"} for each in either],
        "$defs": parts,
    }


def document_schemas() -> dict[Path, str]:
    """Return the files of the schemas with their text."""
    found = {kind: [document, documents.Failure] for kind, document in documents.DOCUMENTS.items()}
    found["error"] = [documents.Failure]
    return {
        DOCUMENTS / f"{kind}.json": json.dumps(document_schema(kind, either), indent=2) + "\n"
        for kind, either in found.items()
    }


def json_rows() -> Iterator[str]:
    """Yield a row for each kind of JSON object."""
    for kind, document in documents.DOCUMENTS.items():
        named = ", ".join(f"`{each}`" for each in fields_of(document))
        yield f"| `nebari-mlflow.{kind}` | {named} | [{kind}.json](json/{kind}.json) |"
    yield "| `nebari-mlflow.error` | `error` | [error.json](json/error.json) |"


def commands_page() -> str:
    """Return the page of the command line."""
    shared = {each.name for each in fields(Options)}
    found = sorted(leaves(command_group()))
    first = found[0][1]
    everywhere = option_rows(first, {each.name or "" for each in first.params} - shared)
    parts = [COMMANDS_HEAD.rstrip("\n"), *everywhere]
    for name, command in found:
        says = " ".join((command.help or "").split())
        parts += ["", f"## `{name}`", "", says, *option_rows(command, shared)]
    parts += ["", JSON_HEAD.format(shape=SHAPE), *json_rows()]
    return "\n".join(parts) + "\n"


OFFLINE_HEAD = """# What an offline installation needs

`python docs/generate.py` writes this page from the chart and from the locked packages that the tests install.
[Install without the internet](../how-to/install-offline.md) says how to use it.
"""


def locked() -> tuple[dict[str, str], dict[str, set[str]]]:
    """Return the locked packages with their versions and markers, and which packages need each of them."""
    versions: dict[str, str] = {}
    needed_by: dict[str, set[str]] = {}
    name = ""
    for line in LOCK.read_text(encoding="utf-8").splitlines():
        if found := re.match(r"([a-z0-9][a-z0-9._-]*)==(\S+)(?: ; (.+?))? \\$", line):
            name = found[1]
            where = f" (`{found[3]}`)" if found[3] else ""
            versions[name] = " or ".join(filter(None, [versions.get(name), f"{found[2]}{where}"]))
        elif found := re.match(r"    #(?: via)? +([a-z0-9].*)$", line):
            needed_by.setdefault(name, set()).add(found[1].removeprefix("via ").strip())
    return versions, needed_by


def closure(roots: set[str]) -> set[str]:
    """Return these packages and all that they need."""
    _, needed_by = locked()
    found = set(roots)
    while more := {name for name, parents in needed_by.items() if parents & found} - found:
        found |= more
    return found


def offline_page() -> str:
    """Return the page of images and packages."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    images = yaml.safe_load(chart["annotations"]["artifacthub.io/images"])
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    versions, _ = locked()

    def names(requirements: list[str]) -> set[str]:
        return {re.split(r"[<>=~!;\[ ]", each)[0].lower() for each in requirements}

    core = closure(names(project["dependencies"]))
    parts = [OFFLINE_HEAD, "## Images\n\n| image | for |\n|---|---|"]
    uses = {"mlflow": "the server, the migration, the smoke test, backups", "postgresql": "PostgreSQL, backups"}
    parts += [f"| `{each['image']}` | {uses[each['name']]} |" for each in images]
    parts.append("\n## Programs\n\n| program | version |\n|---|---|")
    parts += [
        "| Python | 3.11, 3.12 or 3.13 |",
        "| Helm | 3.15 or a later 3 |",
        "| kubectl | any that fits the cluster |",
    ]
    parts.append(f"\n## Python packages\n\nBesides `{project['name']}` itself, in the versions that are tested:\n")
    parts.append("| package | version |\n|---|---|")
    parts += [f"| {name} | {versions[name]} |" for name in sorted(core)]
    for extra, requirements in sorted(project["optional-dependencies"].items()):
        more = sorted(closure(names(requirements)) - core)
        if not more:
            parts.append(f"\nThe extra `{extra}` needs nothing more.")
            continue
        parts.append(f"\nFor the extra `{extra}`, in addition:\n\n| package | version |\n|---|---|")
        parts += [f"| {name} | {versions[name]} |" for name in more]
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
    OFFLINE.write_text(offline_page(), encoding="utf-8")
    COMMANDS.write_text(commands_page(), encoding="utf-8")
    for file, written in document_schemas().items():
        file.write_text(written, encoding="utf-8")
    SCHEMA.write_text(chart_schema(), encoding="utf-8")
    README.write_text(chart_readme(), encoding="utf-8")
