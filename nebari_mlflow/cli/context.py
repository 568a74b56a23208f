"""What a command is about: one release on one cluster, from nebari-config.yaml or from a file of variables."""

from __future__ import annotations

import re
import shlex
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import names
from ..errors import InputError

if TYPE_CHECKING:
    from ..plugin.mappings import Variables
    from .config_file import Config

SHORT = ("provider", "project_name", "namespace", "domain", "delete_data")  # as in `ansible-playbook -e provider=local`
REQUIRED = ("mlflow_provider", "mlflow_project_name", "mlflow_namespace")


@dataclass(frozen=True)
class Target:
    """Where to look; `variables` is only built when a play needs it, since it may ask the cluster."""

    project: str
    namespace: str
    kubeconfig: str
    context: str
    provider: str
    source: str
    given: Any
    config: Config | None = None
    options: tuple[str, ...] = ()  # of the command line, for a command that is about the same
    opened: ExitStack = field(default_factory=ExitStack, compare=False)  # closing it removes the private copy

    @property
    def release(self) -> str:
        """Return the name of the Helm release."""
        return names.release(self.project)

    @cached_property
    def login(self) -> str:
        """Return the kubeconfig for every program: a private copy, or "" in a pod, which has a service account."""
        from ..play import kubeconfig, workspace

        named = kubeconfig.named(self.kubeconfig)
        if not self.kubeconfig and not kubeconfig.is_there(named):
            return ""
        return str(kubeconfig.private_copy(named, self.opened.enter_context(workspace.private_folder())))

    def kubectl(self, *arguments: str) -> list[str]:
        """Return a kubectl command for this target's cluster, to be run."""
        return self._kubectl(self.login, arguments)

    def told_kubectl(self, *arguments: str) -> str:
        """Return a kubectl command for this target's cluster, to be copied."""
        return shlex.join(self._kubectl(self.kubeconfig, arguments))

    def _kubectl(self, kubeconfig: str, arguments: tuple[str, ...]) -> list[str]:
        flags = ["--kubeconfig", kubeconfig] if kubeconfig else []
        flags += ["--context", self.context] if self.context else []
        return ["kubectl", *flags, *arguments]

    def command(self, verb: str) -> str:
        """Return a command about this target, to be copied."""
        return shlex.join(["nebari-mlflow", verb, *self.options])

    @cached_property
    def variables(self) -> Variables:
        """Return the play's variables. May ask the cluster; raises ClusterError and SetupError."""
        if self.config is None:
            return {**self.given, **({"mlflow_kubeconfig": self.login} if self.login else {})}
        from ..plugin import variables
        from . import upstream

        return variables.build(self.config, upstream.outputs(self.config, self.login))

    @property
    def enabled(self) -> bool:
        """Say if MLflow is switched on; always true for a file of variables."""
        return self.config is None or self.config.mlflow.enabled


def from_config(path: Path, kubeconfig: str) -> Target:
    """Read nebari-config.yaml."""
    from . import config_file, upstream

    config = config_file.load(path)
    _check_names(path, "NML102", project_name=config.project_name, namespace=config.namespace)
    return Target(
        project=config.project_name,
        namespace=config.namespace,
        kubeconfig=upstream.kubeconfig_of(config, kubeconfig),
        context=(config.existing.kube_context or "") if config.provider == "existing" else "",
        provider=config.provider,
        source=str(path),
        given=None,
        config=config,
    )


def from_variables(path: Path, kubeconfig: str) -> Target:
    """Read a file as given to `ansible-playbook -e @FILE`, without Nebari. Raises InputError."""
    import yaml

    from ..play import texts

    try:
        document = texts.load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        reason = getattr(error, "strerror", None) or "it is not YAML"
        raise InputError(
            "NML101", f"{path} cannot be read: {reason}.", "Give a file of variables with --vars."
        ) from error
    if not isinstance(document, dict):
        raise InputError("NML101", f"{path} is not a mapping of variables.", "Write one `mlflow_name: value` a line.")
    given = {f"mlflow_{name}" if name in SHORT else name: value for name, value in document.items()}
    missing = [name for name in REQUIRED if not given.get(name)]
    if missing:
        raise InputError("NML103", f"{path} does not set {', '.join(missing)}.", "Add them to the file.")
    project, namespace = str(given["mlflow_project_name"]), str(given["mlflow_namespace"])
    _check_names(path, "NML103", project_name=project, namespace=namespace)
    return Target(
        project=project,
        namespace=namespace,
        kubeconfig=kubeconfig or str(given.get("mlflow_kubeconfig", "")),
        context=str(given.get("mlflow_context", "")),
        provider=str(given["mlflow_provider"]),
        source=str(path),
        given=given,
    )


def _check_names(path: Path, code: str, **given: str) -> None:
    """Refuse a name that the playbook would refuse: it becomes part of file names and of API paths before that."""
    import yaml

    from ..collection import ROOT

    rules = yaml.safe_load((ROOT / "roles/inputs/vars/main.yml").read_text(encoding="utf-8"))["__inputs_patterns"]
    for rule in rules:
        name = str(rule["name"]).removeprefix("mlflow_")
        value = given.get(name)
        if value is not None and not re.match(rule["pattern"], value):
            raise InputError(code, f"{path}: {name} is {value!r}.", f"Allowed: {rule['allowed']}")


def find(config: Path | None, variables: Path | None, kubeconfig: str) -> Target:
    """Read the file that is given, or nebari-config.yaml here. Raises InputError."""
    if config is not None and variables is not None:
        raise InputError("NML104", "--config and --vars are both given.", "Give one of them.")
    options = ("--kubeconfig", kubeconfig) if kubeconfig else ()
    if variables is not None:
        return replace(from_variables(variables, kubeconfig), options=("--vars", str(variables), *options))
    path = config or Path("nebari-config.yaml")
    return replace(from_config(path, kubeconfig), options=("--config", str(path), *options))
