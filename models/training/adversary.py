"""A second network that learns to tell restored images from clean ones, and so teaches what real borders look like."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from .sensors import BANDS

SLOPE = 0.2


class PatchDiscriminator(nn.Module):
    """Judges patches of an image beside what it was restored from (PatchGAN, Isola et al. 2017).

    Spectral normalisation (Miyato et al. 2018) bounds how steep it can get; it needs full precision. From
    (batch, 3, row, column), twice, to logits (batch, 1, row / 8, column / 8).
    """

    def __init__(self, width: int = 48) -> None:
        super().__init__()
        layers: list[nn.Module] = [spectral_norm(nn.Conv2d(2 * BANDS, width, 3, padding=1)), nn.LeakyReLU(SLOPE)]
        for channels_in, channels_out in ((width, 2 * width), (2 * width, 4 * width), (4 * width, 4 * width)):
            layers += [
                spectral_norm(nn.Conv2d(channels_in, channels_out, 4, stride=2, padding=1)),
                nn.LeakyReLU(SLOPE),
                spectral_norm(nn.Conv2d(channels_out, channels_out, 3, padding=1)),
                nn.LeakyReLU(SLOPE),
            ]
        self.layers = nn.Sequential(*layers, nn.Conv2d(4 * width, 1, 3, padding=1))

    def forward(self, image: Tensor, enlarged: Tensor) -> Tensor:
        # Sub-pixel detail is what it has to judge: the difference shows it better than the image.
        logits: Tensor = self.layers(torch.cat([2.0 * image - 1.0, 10.0 * (image - enlarged)], dim=1))
        return logits


class Adversary:
    """The discriminator and its optimiser; both sides' losses compare with the other kind's mean.

    The relativistic average of Jolicoeur-Martineau (2018), as ESRGAN has it (Wang et al. 2018).
    """

    def __init__(self, learning_rate: float, device: torch.device | str = "cpu") -> None:
        self._discriminator = PatchDiscriminator().to(device)
        is_fused = torch.device(device).type == "cuda"
        parameters = self._discriminator.parameters()
        self._optimiser = torch.optim.Adam(parameters, lr=learning_rate, betas=(0.5, 0.99), fused=is_fused)

    def loss(self, restored: Tensor, target: Tensor, enlarged: Tensor) -> Tensor:
        """Return what the restoring network pays for being told from the truth."""
        self._discriminator.requires_grad_(requires_grad=False)
        false = self._discriminator(restored, enlarged).float()
        with torch.no_grad():
            true = self._discriminator(target, enlarged).float()
        return _relative(false, true)

    def learn(self, restored: Tensor, target: Tensor, enlarged: Tensor) -> Tensor:
        """Take a step at telling them apart; return the loss."""
        self._discriminator.requires_grad_(requires_grad=True)
        false = self._discriminator(restored.detach(), enlarged).float()
        true = self._discriminator(target, enlarged).float()
        loss = _relative(true, false)
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self._optimiser.step()
        return loss.detach()

    def state_dict(self) -> dict[str, Any]:
        """Return all that a checkpoint must hold."""
        return {"discriminator": self._discriminator.state_dict(), "optimiser": self._optimiser.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self._discriminator.load_state_dict(state["discriminator"])
        self._optimiser.load_state_dict(state["optimiser"])


def _relative(wanted: Tensor, other: Tensor) -> Tensor:
    """Low where ``wanted`` is judged truer than the mean of ``other``, and the other way round."""
    return 0.5 * (functional.softplus(other.mean() - wanted).mean() + functional.softplus(other - wanted.mean()).mean())
