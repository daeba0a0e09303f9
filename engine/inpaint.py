"""Fill invalid pixels, so that nodata values never reach a filter or a network."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

# Enough to carry values past every margin; what lies deeper inside a hole never touches a valid pixel.
LARGEST_DISTANCE_PX = 48


def fill_invalid(image: Tensor, valid: Tensor) -> Tensor:
    """Return ``image`` with invalid pixels grown in from their valid neighbours, ring by ring.

    Args:
        image: (band, row, column), finite where valid.
        valid: (band, row, column), True = valid.
    """
    if bool(valid.all()):
        return image
    known = valid.to(image.dtype)
    filled = image * known
    kernel = torch.ones((1, 1, 3, 3), dtype=image.dtype, device=image.device)
    for _ in range(LARGEST_DISTANCE_PX):
        if bool((known > 0).all()):
            return filled
        total = functional.conv2d(filled[:, None], kernel, padding=1)[:, 0]
        count = functional.conv2d(known[:, None], kernel, padding=1)[:, 0]
        ring = (known == 0) & (count > 0)
        filled = torch.where(ring, total / count.clamp(min=1.0), filled)
        known = torch.where(ring, torch.ones_like(known), known)
    mean = (filled * known).sum(dim=(1, 2), keepdim=True) / known.sum(dim=(1, 2), keepdim=True).clamp(min=1.0)
    return torch.where(known > 0, filled, mean)
