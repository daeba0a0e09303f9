"""How likely a line is a field border that a person would draw.

A logistic regression on training farmland (``make bench-borders FIT=1``): what stands out from the rest of the
picture, and above all what runs straight. Woods and towns have contrasts enough, but they are crooked.
"""

from __future__ import annotations

import math

from .line import Line, steps_px

# Weights of the logarithms of: the strength as a multiple of what is usual in the picture, and how many low-res pixels
# the line runs straight.
BIAS, UNUSUAL, STRAIGHT = -2.49, 0.91, 1.08
# Where most of the picture is plain, everything is unusual.
MOST_UNUSUAL = 10.0
# What is less likely is left out.
LEAST_LIKELIHOOD = 0.35


def likelihood(line: Line, usual_strength: float, scale: int) -> float:
    """Return how likely ``line`` is a field border, from 0 to 1.

    Args:
        usual_strength: what most of the picture does not exceed; above 0.
    """
    unusual, straight = features(line, usual_strength, scale)
    return 1.0 / (1.0 + math.exp(-(BIAS + UNUSUAL * unusual + STRAIGHT * straight)))


def features(line: Line, usual_strength: float, scale: int) -> tuple[float, float]:
    """Return what the likelihood goes by; see the weights."""
    steps = steps_px(line.places)
    # The mean length of a segment, each counted as often as it is long: a corner does not make a border crooked.
    straight_px = float((steps**2).sum() / steps.sum()) / scale
    unusual = min(max(line.strength / usual_strength, 1.0), MOST_UNUSUAL)
    return math.log(unusual), math.log(straight_px)
