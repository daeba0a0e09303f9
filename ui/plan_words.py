"""What is going to be made, in words."""

from __future__ import annotations

from ..bridge.estimating import NO_BREAK_SPACE
from ..bridge.plan import EnhancePlan
from ..bridge.words import tr


def size_in_words(plan: EnhancePlan) -> str:
    """Say how large the result is."""
    width, height = plan.window.width_px, plan.window.height_px
    scale = plan.job.scale
    size = f"{width}~×~{height}~px"
    result = f"{width * scale}~×~{height * scale}~px"
    if plan.pixel_size_m is None:
        text = tr("{size} become {result}").format(size=size, result=result)
    else:
        metres = f"{plan.pixel_size_m[0] / scale:.3g}~m"
        text = tr("{size} become {result} of~{metres}").format(size=size, result=result, metres=metres)
    # A line does not break between a number and its unit.
    return text.replace("~", NO_BREAK_SPACE)
