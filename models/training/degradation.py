"""Make training pairs: a clean crop, what a sensor would see of it, and what the network will be fed.

The network's input is the low-res image enlarged as the engine enlarges it: bicubic, the anchor, or one of Deep Image
Prior's trained networks, computed with a PSF and a noise level that are a little wrong, as they will be in use.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from ...engine.anchor import anchor
from ..dip.prior_network import PriorNetwork, load_weights
from .sensors import SensorBank

MARGIN_PX = 16
"""High-res pixels around each crop that the sensor sees and the loss does not."""


class Enlargement(str, Enum):
    """How the low-res image is brought to high-res size."""

    BICUBIC = "bicubic"
    ANCHOR = "anchor"
    PRIOR = "prior"
    LARGE_PRIOR = "large_prior"


@dataclass(frozen=True)
class Batch:
    """Training pairs with a margin of MARGIN_PX on every side: (batch, 3, row, column), values about 0 to 1.

    Attributes:
        target: the clean crops.
        enlarged: what the network is fed.
        low_res: what the sensors saw.
        sensors: one an image.
    """

    target: Tensor
    enlarged: Tensor
    low_res: Tensor
    sensors: SensorBank

    def project(self, restored: Tensor) -> Tensor:
        """Bring the restored centre back to agreement with the low-res image, as the engine does after the network.

        Args:
            restored: (batch, 3, row, column) without the margin.
        """
        frame = functional.pad(torch.ones_like(restored[:1, :1]), [MARGIN_PX] * 4)
        whole = functional.pad(restored, [MARGIN_PX] * 4) + (1.0 - frame) * self.enlarged
        return centre(self.sensors.forward_model.project(whole, self.low_res, self.sensors.damping))


def centre(images: Tensor) -> Tensor:
    """Take the margin off (batch, band, row, column)."""
    return images[..., MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX]


class Enlarger:
    """Brings low-res images to high-res size as the engine does.

    Args:
        priors: the trained networks of Deep Image Prior; without one, its enlargement cannot be asked for.
        autocast_to: number type of their convolutions; fast only where the device computes in it.
    """

    def __init__(
        self, priors: Mapping[Enlargement, PriorNetwork] | None = None, autocast_to: torch.dtype = torch.float32
    ) -> None:
        self._priors = dict(priors or {})
        self._autocast_to = autocast_to

    @torch.no_grad()
    def __call__(self, low_res: Tensor, how: Enlargement, sensors: SensorBank) -> Tensor:
        """Enlarge (batch, 3, h, w)."""
        if how is Enlargement.BICUBIC:
            return functional.interpolate(low_res, scale_factor=sensors.scale, mode="bicubic", align_corners=False)
        if how is Enlargement.ANCHOR:
            return anchor(low_res, sensors.forward_model, sensors.damping)
        if how not in self._priors:
            raise ValueError("To enlarge by the image prior, its trained weights are needed.")
        start = sensors.forward_model.enlarge(low_res, sensors.damping)
        with torch.autocast(low_res.device.type, self._autocast_to, enabled=self._autocast_to != torch.float32):
            restored = self._priors[how](start, low_res, sensors.assumed_noise_sd, sensors.scale)
        return sensors.forward_model.project(restored.float(), low_res, sensors.damping)


def load_priors(folder: Path) -> dict[Enlargement, PriorNetwork]:
    """Return Deep Image Prior's trained networks, from the files `prior.npz` and, if it is there, `large_prior.npz`.

    Raises:
        ValueError: if a file does not hold one.
    """
    files = {how: folder / f"{how.value}.npz" for how in (Enlargement.PRIOR, Enlargement.LARGE_PRIOR)}
    return {how: load_weights(file) for how, file in files.items() if how is Enlargement.PRIOR or file.exists()}


def make_batch(
    targets: Tensor, sensors: SensorBank, how: Enlargement, noise: torch.Generator, enlarger: Enlarger
) -> Batch:
    """Degrade and enlarge the clean crops (batch, 3, H, W), margin included; H and W are multiples of the scale."""
    low_res = sensors.degrade(targets, noise)
    return Batch(targets, enlarger(low_res, how, sensors), low_res, sensors)
