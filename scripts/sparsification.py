"""How well does a score rank errors? The area between two sparsification curves (AUSE; Ilg et al., ECCV 2018).

The most doubtful pixels are taken away step by step; the mean error of those that remain falls the faster the better
the score ranks. Compared with the curve of a score that knows the errors themselves; both are relative to the mean of
all errors.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

STEPS = 50

Values = NDArray[np.floating]


def ause(score: Values, error: Values) -> float:
    """Return the area between the score's curve and the errors' own; 0 is a perfect ranking.

    Args:
        score: (pixel,), larger where more error is expected.
        error: (pixel,), 0 or more, not all 0.
    """
    return float(np.mean(_curve(score, error) - _curve(error, error)) / np.mean(error))


def _curve(score: Values, error: Values) -> Values:
    """Return the mean error of what remains when 0, 1, … of STEPS parts of all pixels are taken away."""
    by_score = error[np.argsort(-score, kind="stable")].astype(np.float64)
    remaining = np.cumsum(by_score[::-1])[::-1]
    taken = np.arange(STEPS) * len(error) // STEPS
    curve: Values = remaining[taken] / (len(error) - taken)
    return curve
