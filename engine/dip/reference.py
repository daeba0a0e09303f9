"""Deep Image Prior as published: a random network is fitted to one image, then its output is taken.

Ulyanov, Vedaldi, Lempitsky, "Deep Image Prior" (CVPR 2018), section 3.2 and the settings of the authors'
super-resolution experiment: minimise ||A f(z) - y||² over the weights with Adam, with fresh noise on z at every
step, for a fixed number of steps. The result is the last iterate, drawn from the jittered z, as theirs is.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...models.dip.skip_network import SkipConfig, SkipNetwork
from ..forward_model import ForwardModel
from ..progress import OnStep, go_on

# The network ends in a sigmoid and cannot reach levels 0 and 1; the published images are 8-bit ones that
# stay inside. Levels are brought into this range first.
LOWEST_LEVEL, HIGHEST_LEVEL = 0.02, 0.98


@dataclass(frozen=True)
class ReferenceSettings:
    """The published settings for enlarging by four; ``averaging`` (of iterates, 0 = off) is not theirs."""

    iterations: int = 2000
    learning_rate: float = 0.01
    noise_channels: int = 32
    noise_scale: float = 0.1
    noise_jitter_sd: float = 0.03
    averaging: float = 0.0


def deepest_for(side_px: int) -> int:
    """Return how many times a side can be halved, five at most: its reflected edges need two pixels at each scale."""
    return max(1, min(5, side_px.bit_length() - 2))


def fit_reference(
    low_res: Tensor,
    valid: Tensor,
    forward_model: ForwardModel,
    settings: ReferenceSettings,
    generator: torch.Generator,
    on_step: OnStep = go_on,
) -> Tensor:
    """Return the fitted image (band, H, W) of ``low_res`` (band, h, w).

    Args:
        low_res: levels in any range, finite everywhere.
        valid: (band, h, w); only valid pixels enter the loss.
        generator: where z, its jitter and the first weights come from: the same seed gives the same image.
        on_step: called after each iteration; if it says so, that iterate is the result.
    """
    device = low_res.device
    lowest, highest = low_res.amin(), low_res.amax()
    gain = (HIGHEST_LEVEL - LOWEST_LEVEL) / (highest - lowest).clamp(min=1e-6)
    target = (low_res - lowest) * gain + LOWEST_LEVEL
    weights = valid.to(low_res.dtype) / valid.sum().clamp(min=1)
    high_res_px = [side * forward_model.scale for side in low_res.shape[-2:]]

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(torch.randint(2**31 - 1, (1,), generator=generator)))
        config = SkipConfig(settings.noise_channels, bands=low_res.shape[0], depth=deepest_for(min(high_res_px)))
        network = SkipNetwork(config).to(device)
    noise = torch.rand((1, settings.noise_channels, *high_res_px), generator=generator) * settings.noise_scale
    optimiser = torch.optim.Adam(network.parameters(), lr=settings.learning_rate)
    image = average = torch.zeros_like(target)
    for step in range(settings.iterations):
        jitter = torch.randn(noise.shape, generator=generator) * settings.noise_jitter_sd
        optimiser.zero_grad(set_to_none=True)
        image = network((noise + jitter).to(device))[0]
        loss = (weights * (forward_model.degrade(image) - target).square()).sum()
        loss.backward()
        optimiser.step()
        image = image.detach()
        average = image if step == 0 else torch.lerp(image, average, settings.averaging)
        if on_step(step + 1, settings.iterations):
            break
    result = average if settings.averaging else image
    return (result - LOWEST_LEVEL) / gain + lowest
