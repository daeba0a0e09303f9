"""What the layers that come of a run are called in the layer tree: their source, the scale and what was run.

Runs of the same settings, on another extent or once more, have a number, the same for all that comes of one run.
"""

from __future__ import annotations

import itertools
from collections.abc import Set
from dataclasses import astuple, dataclass
from typing import Any

from ..engine.job import Method, Preset
from .doubts import anchor_stands_in
from .plan import EnhancePlan
from .words import tr


@dataclass(frozen=True)
class LayerNames:
    """The names of the result and of what may go with it.

    Attributes:
        result: of the result itself.
        dip: of Deep Image Prior's own picture.
        confidence: of the veil that shows how far off the result may be.
        uncertain_areas: of the hatch over what may be farthest off.
        borders: of traced ones.
    """

    result: str
    dip: str
    confidence: str
    uncertain_areas: str
    borders: str

    @classmethod
    def of(cls, plan: EnhancePlan, report: dict[str, Any]) -> LayerNames:
        """Return the names for what came of ``plan``, without a number.

        Args:
            report: of the run; empty before there is one. What was stopped early is not what its settings promise.
        """
        method, scale = plan.job.method, f"×{plan.job.scale}"
        runs_dip = method in (Method.CHAIN, Method.DIP)
        effort = _effort_name(plan.job.preset) if runs_dip else ""
        stopped = tr("stopped") if "stopped" in report else ""

        def in_full(method_name: str) -> str:
            return ", ".join(filter(None, (method_name, effort, stopped)))

        def name(what: str) -> str:
            return tr("{layer} {scale} {what}").format(layer=plan.source_name, scale=scale, what=what)

        has_stand_in = anchor_stands_in(report)
        whole = in_full(_method_name(method, has_stand_in=has_stand_in))
        return cls(
            result=name(whole),
            dip=name(in_full(_stand_in_name() if has_stand_in else tr("DIP alone"))),
            # What tells them apart comes first: a layer tree is often too narrow for the rest.
            confidence=name(tr("possible error ({how})").format(how=whole)),
            uncertain_areas=name(tr("uncertain ({how})").format(how=whole)),
            borders=name(tr("field borders ({how})").format(how=whole)),
        )

    def apart_from(self, taken: Set[str]) -> LayerNames:
        """Return these names, or, where one of them is ``taken``, all with the first number that makes them free."""
        names = self
        for number in itertools.count(2):
            if taken.isdisjoint(astuple(names)):
                break
            names = LayerNames(*(f"{name} {number}" for name in astuple(self)))
        return names


def _method_name(method: Method, *, has_stand_in: bool) -> str:
    """Return the method in a word or two: the dock's list has sentences, and the layer tree is narrow."""
    return {
        Method.CHAIN: tr("anchor + Decrappify") if has_stand_in else tr("DIP + Decrappify"),
        Method.DIP: _stand_in_name() if has_stand_in else tr("DIP"),
        Method.DECRAPPIFY: tr("Decrappify"),
        Method.ANCHOR: tr("anchor"),
        Method.BICUBIC: tr("bicubic"),
    }[method]


def _stand_in_name() -> str:
    return tr("anchor in place of DIP")


def _effort_name(preset: Preset) -> str:
    """Return the preset where it is not the usual one."""
    return {Preset.FAST: "", Preset.BALANCED: tr("balanced"), Preset.REFERENCE: tr("reference")}[preset]
