# Copyright the nebari-mlflow maintainers
# SPDX-License-Identifier: Apache-2.0
"""What every step of a deploy needs: the options, the connections, the clock."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..kube.api import Api
from ..kube.discovery import Discovery
from ..kube.kubeconfig import check_owner
from ..network.known import complete
from ..supervise.process import wait_for_orphans
from .helm import Helm
from .lease import Holder, Lease
from .record import Records

if TYPE_CHECKING:
    from ..supervise.process import Process
    from ..supervise.progress import Progress
    from .options import Options


@dataclass(frozen=True)
class Session:
    """One run of the module against one release."""

    options: Options
    api: Api
    discovery: Discovery
    helm: Helm
    records: Records
    progress: Progress
    controller: Process | None
    deadline: float
    warnings: tuple[str, ...] = ()  # about the network

    @classmethod
    def open(
        cls, options: Options, progress: Progress, controller: Process | None, *, with_helm: bool = True
    ) -> Session:
        """Check the kubeconfig, and Helm if it is used. The first request shows whether the cluster answers."""
        check_owner(options.kubeconfig)
        helm = Helm(options)
        if with_helm:
            helm.begin()
        try:
            if with_helm:
                helm.check_version()
            api = Api(options.kubeconfig, options.context)
            helm.mark += f"@{api.server}"
            options, warnings = _completed(options, api, helm)
        except BaseException:
            helm.stop()
            raise
        return cls(
            options,
            api,
            Discovery(api),
            helm,
            Records(api, options.name, options.namespace),
            progress,
            controller,
            time.monotonic() + options.timeout,
            warnings,
        )

    def lease(self, *, of_play: bool = False) -> Lease:
        """Return the release's Lease: for this task or, with `of_play`, for all tasks of the play.

        A task of a play that holds it already goes on with it, and leaves it to the play.
        """
        whole = self._lease(of_play=True)
        return whole if of_play or whole.goes_on() else self._lease(of_play=False)

    def _lease(self, *, of_play: bool) -> Lease:
        holder = Holder.here(self.controller, of_play=of_play)
        return Lease(self.api, self.options.name, self.options.namespace, self.progress, holder)

    def take_over(self, lease: Lease) -> None:
        """Let nobody else's helm work beside ours, and stop ours when the Lease is lost."""
        self.helm.must_stop = lease.check
        if lease.took_over:
            self.progress.say(f"taking over from a killed run ({lease.took_over})")
            wait_for_orphans(self.helm.mark)

    def remaining(self) -> float:
        """Return the seconds left until the deadline, 0 after it."""
        return max(0.0, self.deadline - time.monotonic())


def _completed(options: Options, api: Api, helm: Helm) -> tuple[Options, tuple[str, ...]]:
    """Complete the values by what the cluster knows of the network, while helm is rendering already."""
    if not options.network or options.state not in ("present", "planned"):
        return options, ()
    known = complete(api, options.chart, options.values, options.namespace, options.name)
    if known.values != options.values:
        options = replace(options, values=known.values)
        helm.give(options)
    return options, tuple(known.warnings)
