"""The training recipe: one JSON file of settings, and the schedules that follow from it."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

RESTORED = "restored"
"""An input that the network itself (its averaged weights) has restored once: sharp, and not quite right."""


@dataclass(frozen=True)
class Recipe:
    """Settings of a training run. Fractions are of the whole run, 0 to 1.

    Attributes:
        seed: of every random draw.
        batch: crops a step.
        crop_sizes_px: (from this fraction on, crop size), ascending: progressive sizes.
        scale_weights: how often each scale factor is drawn.
        sensors: how many are drawn for each scale factor.
        input_weights: how often the input is "bicubic", "anchor", "prior", "large_prior" or "restored".
        pixel_weight: of the L1 distance after the consistency step.
        raw_pixel_weight: of the L1 distance before it, so that the network does not lean on the step.
        edge_weight: of the L1 distance of differences between neighbours, after the consistency step: steep borders.
        grid_weight: of a pattern that repeats with the pixel grid.
        lines_weight: of fine power that is gathered in directions where the truth's is not.
        missing_weight: of fine power that the truth has and the result has not.
        teacher_weight: of the distance from what the model that training started from draws, with upright and level
            lines alike (teacher.py); 0 for no teacher.
        vgg_weights: of the relative L1 distance at the end of each VGG block; none for no VGG.
        direction_weight: of the distance of VGG feature directions, relative to their L1 distance.
        gram_weight: of the texture statistics; 0 because they invite invented texture.
        adversarial_weight: of what a discriminator, which learns meanwhile, finds to blame; 0 for none.
        adversary_learning_rate: of the discriminator.
        learning_rate, encoder_learning_rate: peaks of the one-cycle schedule.
        encoder_frozen_until, warm_up_until: fractions.
        weight_decay, gradient_norm: of AdamW, and where the gradient is clipped.
        ema_decay: of the averaged weights, which are the ones that count.
        bf16: autocast; fast only where the processor computes in bf16.
        threads: of torch.
        checkpoint_every_s: seconds between checkpoints.
    """

    seed: int
    batch: int
    crop_sizes_px: tuple[tuple[float, int], ...]
    scale_weights: dict[str, float]
    sensors: int
    input_weights: dict[str, float]
    pixel_weight: float
    raw_pixel_weight: float
    edge_weight: float
    grid_weight: float
    lines_weight: float
    missing_weight: float
    teacher_weight: float
    vgg_weights: dict[str, float]
    direction_weight: float
    gram_weight: float
    adversarial_weight: float
    adversary_learning_rate: float
    learning_rate: float
    encoder_learning_rate: float
    encoder_frozen_until: float
    warm_up_until: float
    weight_decay: float
    gradient_norm: float
    ema_decay: float
    bf16: bool
    threads: int
    checkpoint_every_s: float

    @classmethod
    def load(cls, path: Path) -> Recipe:
        """Read a recipe.

        Raises:
            ValueError: if the file is not JSON or its settings are not exactly those of a recipe.
        """
        content = json.loads(path.read_text(encoding="utf-8"))
        wanted = {field.name for field in fields(cls)}
        if not isinstance(content, dict) or set(content) != wanted:
            wrong = ", ".join(sorted(wanted.symmetric_difference(content)))
            raise ValueError(f"The recipe {path} has missing or unknown settings: {wrong}.")
        recipe = cls(**content)
        return replace(recipe, crop_sizes_px=tuple((float(start), int(size)) for start, size in recipe.crop_sizes_px))

    def save(self, path: Path) -> None:
        """Write the recipe as JSON."""
        path.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    def crop_size_px(self, progress: float) -> int:
        """Return the crop size at a fraction of the run."""
        return [size for start, size in self.crop_sizes_px if start <= progress][-1]

    def learning_rate_factor(self, progress: float) -> float:
        """Return the one-cycle factor: a cosine rise from 1/25 to 1, then a cosine fall to 1/1000."""
        if progress < self.warm_up_until:
            return _cosine(1.0 / 25.0, 1.0, progress / self.warm_up_until)
        return _cosine(1.0, 1e-3, (progress - self.warm_up_until) / (1.0 - self.warm_up_until))


@dataclass(frozen=True)
class Budget:
    """How long to train: a number of steps (repeatable to the bit) or minutes of wall clock.

    Raises:
        ValueError: unless exactly one of the two is given.
    """

    steps: int | None = None
    minutes: float | None = None

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.minutes is None):
            raise ValueError("Give the training budget either in steps or in minutes.")

    def progress(self, step: int, elapsed_s: float) -> float:
        """Return the fraction of the budget that is spent; 1 or more is the end."""
        if self.steps is not None:
            return step / self.steps
        return elapsed_s / (60.0 * (self.minutes or 0.0))


def _cosine(start: float, end: float, fraction: float) -> float:
    return end + (start - end) * 0.5 * (1.0 + math.cos(math.pi * min(fraction, 1.0)))
