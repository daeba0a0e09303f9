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

# What a GPU chooses and allocates at first must not be captured with the step.
WARM_UP_ITERATIONS = 3


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
        generator: where z, its jitter and the first weights come from: the same seed gives the same image. On a GPU
            the jitter comes from the device's own generator, which this one seeds.
        on_step: called after each iteration; if it says so, that iterate is the result.
    """
    lowest, highest = low_res.amin(), low_res.amax()
    gain = (HIGHEST_LEVEL - LOWEST_LEVEL) / (highest - lowest).clamp(min=1e-6)
    target = (low_res - lowest) * gain + LOWEST_LEVEL
    fit = _Fit(target, valid.to(low_res.dtype) / valid.sum().clamp(min=1), forward_model, settings, generator)
    image = average = torch.zeros_like(target)
    for step in range(settings.iterations):
        if step == WARM_UP_ITERATIONS and low_res.device.type == "cuda":
            fit.capture()
        image = fit.iterate()
        if settings.averaging:
            average = image if step == 0 else torch.lerp(image, average, settings.averaging)
        if on_step(step + 1, settings.iterations):
            break
    result = average if settings.averaging else image
    return (result - LOWEST_LEVEL) / gain + lowest


class _Fit:
    """One network on its way to one image.

    On the processor all noise comes from the generator, so the same seed gives the same image. A GPU draws the jitter
    itself, from a seed that the generator gives: noise that has to be carried there takes longer than the iteration.
    """

    def __init__(
        self,
        target: Tensor,
        weights: Tensor,
        forward_model: ForwardModel,
        settings: ReferenceSettings,
        generator: torch.Generator,
    ) -> None:
        self._target, self._weights, self._forward_model = target, weights, forward_model
        self._settings, self._generator = settings, generator
        self._graph: torch.cuda.CUDAGraph | None = None
        self._image, device = torch.zeros(0), target.device
        high_res_px = [side * forward_model.scale for side in target.shape[-2:]]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(torch.randint(2**31 - 1, (1,), generator=generator)))
            config = SkipConfig(settings.noise_channels, bands=target.shape[0], depth=deepest_for(min(high_res_px)))
            self._network = SkipNetwork(config).to(device)
        noise = torch.rand((1, settings.noise_channels, *high_res_px), generator=generator) * settings.noise_scale
        self._noise = noise.to(device)
        is_cuda = device.type == "cuda"
        parameters = self._network.parameters()
        self._optimiser = torch.optim.Adam(parameters, lr=settings.learning_rate, capturable=is_cuda)
        self._stream = torch.cuda.Stream(device) if is_cuda else None
        if is_cuda:
            seed = int(torch.randint(2**31 - 1, (1,), generator=generator))
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)

    def iterate(self) -> Tensor:
        """Make one step; return the image (band, H, W) before it."""
        if self._graph is not None:
            self._graph.replay()
            return self._image.clone()
        if self._stream is None:
            self._step()
            return self._image
        # What is to be captured later must not have run on the default stream.
        current = torch.cuda.current_stream(self._stream.device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            self._step()
        current.wait_stream(self._stream)
        return self._image

    def capture(self) -> None:
        """Make one CUDA graph of a whole step: its kernels are so short that starting each one takes longer."""
        self._optimiser.zero_grad(set_to_none=True)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.device(self._noise.device), torch.cuda.graph(graph, stream=self._stream):
            self._step()
        self._graph = graph

    def _step(self) -> None:
        self._optimiser.zero_grad(set_to_none=True)
        image = self._network(self._noise + self._jitter())[0]
        loss = (self._weights * (self._forward_model.degrade(image) - self._target).square()).sum()
        loss.backward()
        self._optimiser.step()
        self._image = image.detach()

    def _jitter(self) -> Tensor:
        is_cuda = self._noise.device.type == "cuda"
        if is_cuda:
            drawn = torch.randn_like(self._noise)
        else:
            drawn = torch.randn(self._noise.shape, generator=self._generator).to(self._noise.device)
        return drawn * self._settings.noise_jitter_sd
