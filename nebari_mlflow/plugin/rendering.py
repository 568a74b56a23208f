"""What `nebari render` writes for a reviewer: the play's variables and how to run it. It goes to git: no secret."""

from __future__ import annotations

import pathlib
from typing import Any

from .. import names
from . import variables

README = """\
# {release}

What the stage `{stage}` does, written by `nebari render`. Nothing reads these files; change nebari-config.yaml instead.

`vars.yml` holds the variables of the Ansible playbook `{playbook}`, as far as the configuration says them.
`!unsafe` keeps Ansible from evaluating a text.
`nebari deploy` adds what earlier stages return:

{upstream}
To run it by hand, with those values filled in:

    ansible-playbook {playbook} -e @stages/{stage}/vars.yml{extra}

To see what it would change, add `--check --diff`.
"""

OFF = """\
# {release}

Switched off: `mlflow.enabled: false`. The release is removed, its data is kept.
"""


def files(config: Any) -> dict[pathlib.Path, str]:
    """Return path and content of each file. The same configuration gives the same bytes."""
    folder = pathlib.Path("stages") / names.STAGE
    if not config.mlflow.enabled:
        return {folder / "README.md": OFF.format(release=names.release(config.project_name))}
    return {folder / "vars.yml": _vars(config), folder / "README.md": _readme(config)}


def _vars(config: Any) -> str:
    from ..play import texts

    return "---\n" + texts.dump(variables.build(config, None), readable=True)


def _readme(config: Any) -> str:
    known = variables.build(config, None)
    missing = [output for output in variables.upstream_of(config) if output.variable not in known]
    lines = [f"- `{output.variable}`: `{output.name}` of `{output.stage}`\n" for output in missing]
    return README.format(
        release=names.release(config.project_name),
        stage=names.STAGE,
        playbook=names.ADOPT if config.mlflow.adopt else names.DEPLOY,
        upstream="".join(lines) or "- nothing\n",
        extra="".join(f" \\\n      -e {output.variable}=..." for output in missing),
    )
