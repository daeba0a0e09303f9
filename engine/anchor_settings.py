"""How the anchor goes about it, with torch (:mod:`.anchor`) and with numpy (:mod:`.in_numpy.anchor`) alike."""

from __future__ import annotations

ROUNDS = 12
FIRST_WEIGHT = 0.08
WEIGHT_DECAY = 0.85
TV_STEPS = 3
# Chambolle's dual step converges for steps up to 1/8; 1/4 works in practice (his remark, 2004) and is faster.
TV_STEP_SIZE = 0.248
