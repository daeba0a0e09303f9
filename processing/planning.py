"""Makes a plan for Processing: what stands in the way is said in the words of its parameters."""

from __future__ import annotations

from qgis.core import QgsCoordinateTransformContext

from ..bridge.plan import CannotEnhance, EngineMissing, EnhancePlan
from ..bridge.prepare import prepare
from ..bridge.request import EnhanceRequest
from ..engine.job import METHODS_WITHOUT_ENGINE, Method


def plan_for(request: EnhanceRequest, transform_context: QgsCoordinateTransformContext) -> EnhancePlan:
    """Return what is to be done, as :func:`..bridge.prepare.prepare` does, and raise CannotEnhance where that does."""
    try:
        return prepare(request, transform_context)
    except EngineMissing as error:
        choices = " or ".join(f"METHOD={method.value}" for method in Method if method in METHODS_WITHOUT_ENGINE)
        raise CannotEnhance(f"{error.reason}; choose {choices}, which work without it, or {error.remedy}.") from error


def cautions_of(plan: EnhancePlan) -> tuple[str, ...]:
    """Return what a person should know before the run, one sentence each."""
    if not plan.is_extent_clipped:
        return plan.cautions
    window = plan.window
    clipped = (
        f"The extent reaches beyond the layer: only the {window.width_px} × {window.height_px} pixels that lie on it "
        "are enhanced. An extent is written xmin,xmax,ymin,ymax."
    )
    return (*plan.cautions, clipped)
