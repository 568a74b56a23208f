"""The stage: glue between Nebari's four methods and the modules beside this one."""

from __future__ import annotations

import contextlib
import logging
import pathlib
from typing import TYPE_CHECKING, Any

from click.exceptions import Exit
from nebari.hookspecs import NebariStage

from .. import names
from ..errors import MlflowError, PlayError
from ..names import ADOPT, DEPLOY, DESTROY
from . import providers, rendering, variables
from .outputs import OutputSchema
from .schema import InputSchema

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..play.runner import Result

StageOutputs = dict[str, dict[str, Any]]
LOG = logging.getLogger("nebari_mlflow")


class StageFailed(Exit):
    """Ends `nebari` with exit code 1 and no traceback: what there is to say was said already."""

    def __init__(self, error: MlflowError) -> None:
        super().__init__(getattr(error, "exit_code", 1))
        self.error = error

    def __str__(self) -> str:
        return str(self.error)


class MlflowStage(NebariStage):  # type: ignore[misc]
    """MLflow, after JupyterHub and everything else that it is part of."""

    name = names.STAGE
    priority = 102
    input_schema = InputSchema
    output_schema = OutputSchema

    def render(self) -> dict[pathlib.Path, str]:
        """Return the play's variables, as far as the configuration says them, and how to run it by hand."""
        return rendering.files(self.config)

    @contextlib.contextmanager
    def deploy(self, stage_outputs: StageOutputs, disable_prompt: bool = False) -> Iterator[None]:  # noqa: ARG002
        """Deploy, or remove the release when it is switched off, and put the outputs beside the other stages'."""
        with _shown():
            if self.config.mlflow.enabled:
                result = self._run(ADOPT if self.config.mlflow.adopt else DEPLOY, stage_outputs)
                stage_outputs[names.STAGE_OUTPUTS] = _outputs(result)
            else:
                self._run(DESTROY, stage_outputs)
                stage_outputs[names.STAGE_OUTPUTS] = {}
        yield

    def check(self, stage_outputs: StageOutputs, disable_prompt: bool = False) -> None:  # noqa: ARG002
        """Raise unless the deploy proved itself. Nebari ignores a returned value."""
        block = self.config.mlflow
        verified = stage_outputs.get(names.STAGE_OUTPUTS, {}).get("verified", {}).get("value")
        if block.enabled and block.verify and not verified:
            with _shown():
                raise PlayError(
                    "NML408",
                    "The server is deployed, but logging a run to it was not shown to work.",
                    "Run `nebari mlflow verify -c nebari-config.yaml`.",
                )

    @contextlib.contextmanager
    def destroy(self, stage_outputs: StageOutputs, status: dict[str, bool]) -> Iterator[None]:
        """Remove the release and keep its data, after every later stage is gone. Nothing is raised from here:
        that would end Nebari's teardown, and the cluster below would go on costing money.
        """
        yield
        from .teardown import remove

        try:
            status[names.STAGE_OUTPUTS] = remove(self.config, stage_outputs, self._run)
        except BaseException:
            LOG.exception("MLflow was not removed")
            status[names.STAGE_OUTPUTS] = False

    def _run(self, playbook: str, stage_outputs: StageOutputs) -> Result:
        from ..play.deployment import execute
        from ..play.view import make_console, show_summary

        result = execute(
            playbook,
            variables.build(self.config, stage_outputs, removal=playbook == DESTROY),
            provider=providers.name_of(self.config),
        )
        if playbook != DESTROY:
            show_summary(make_console(), result.outputs, result)
        return result


def _outputs(result: Result) -> dict[str, dict[str, Any]]:
    """Check what came back, and give it the form of every other stage's outputs."""
    try:
        checked = OutputSchema(**result.outputs)
    except ValueError as error:
        raise PlayError(
            "NML421",
            f"The play returned an unexpected result: {error}",
            "Install package and collection from one release: pip install --force-reinstall nebari-mlflow.",
            log=result.log,
        ) from error
    return {name: {"value": value} for name, value in checked.model_dump().items()}


@contextlib.contextmanager
def _shown() -> Iterator[None]:
    """Show an error as a person needs it, and end the command without a traceback."""
    try:
        yield
    except MlflowError as error:
        from ..play.view import make_console, show_failure

        show_failure(make_console(stderr=True), error)
        raise StageFailed(error) from error
