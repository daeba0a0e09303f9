"""What a job does: the stages that the pipeline chooses, and the tile loop runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from .confidence import Confidence
from .dip.held_out import HeldOut
from .progress import OnStep
from .scene import Scene, Tile
from .tile_cache import TileCache
from .tiling import LARGEST_CORE_PX, MARGIN_PX, TileWindow

Stage = Callable[[Tile], Tile]


@dataclass(frozen=True)
class Plan:
    """What a job does.

    Attributes:
        stages: in their order, with the word that the report and the progress use for each.
        hold_out: asks held-out pixels of the whole extent, before all else, whether the anchor would be better.
        fit: what is fitted to the whole extent before.
        models: name, SHA-256 and, where there is one, provider of every model file used.
        settings: of Deep Image Prior, for the report.
        show: told of some bands of each tile, (band, H, W), as they leave a stage.
        confidence: tells from a finished tile and what Deep Image Prior made of it how far off it may be; None if
            nobody wants to know.
        cache: where finished tiles are kept and taken from.
        tiles_at_once: how many tiles of one size go through the stages together, at most.
    """

    stages: tuple[tuple[str, Stage], ...]
    hold_out: Callable[[Scene, OnStep], HeldOut | None] | None = None
    fit: Callable[[Scene, OnStep], Scene] | None = None
    models: tuple[dict[str, str], ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    largest_core_px: int = LARGEST_CORE_PX
    margin_px: int = MARGIN_PX
    show: Callable[[TileWindow, slice, Tensor], None] = lambda *_: None
    confidence: Confidence | None = None
    cache: TileCache = field(default_factory=TileCache)
    tiles_at_once: int = 1
