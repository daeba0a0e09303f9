"""What a restored image added to its low-res input: improvement, omission or hallucination.

After Aybar, Montero, Donike, Kalaitzis and Gómez-Chova, "A Comprehensive Benchmark for Optical Remote Sensing Image
Super-Resolution" (2024), with the settings of their package opensr-test 1.3: in each pixel the distances of the
restored image to the truth and to the enlarged input, both relative to how far these two are from each other, say
which of three corners it is nearest to. The truth itself (improvement), the input as it was (omission), or far from
both (hallucination). The three shares sum to one; even a perfect image has about .02 of either fault.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.exposure import match_histograms
from torch import Tensor
from torch.nn import functional

FRAME_PX = 16
CURVATURE = 0.05
TEMPERATURE = 0.25
# Only what differs more than three quarters of the pixels of the enlarged input do from the truth is judged.
JUDGED_QUANTILE = 0.75

Image = NDArray[np.float32]


@dataclass(frozen=True)
class Correctness:
    """Shares of the three outcomes, means over the judged pixels; they sum to one."""

    improvement: float
    omission: float
    hallucination: float


def correctness(low_res: Image, restored: Image, truth: Image, *, harmonise: bool = False) -> Correctness:
    """Judge ``restored`` (band, H, W) against ``truth`` (band, H, W) and its input (band, h, w), all in 0 to 1.

    FRAME_PX at each side are left out. Where input and truth are from different sensors, opensr-test first matches the
    restored image's histogram to the truth's (``harmonise``) and registers it. An input that was made from the truth
    needs neither; matching would count the contrast that blur takes away, and that nobody restored, as hallucination.
    """
    scale = truth.shape[-1] / low_res.shape[-1]
    enlarged = functional.interpolate(
        torch.from_numpy(low_res)[None], scale_factor=scale, mode="bilinear", align_corners=False
    )[0]
    inner = (slice(None), slice(FRAME_PX, -FRAME_PX), slice(FRAME_PX, -FRAME_PX))
    judged = restored[inner]
    if harmonise:
        judged = np.asarray(match_histograms(judged, truth[inner], channel_axis=0))
    return shares(enlarged[inner], torch.from_numpy(judged), torch.from_numpy(truth)[inner])


def shares(enlarged: Tensor, restored: Tensor, truth: Tensor) -> Correctness:
    """Return the shares for three images (band, H, W), none of them negative."""
    reference = _distance(enlarged, truth)
    to_truth, to_input = _distance(restored, truth), _distance(restored, enlarged)
    threshold = reference.quantile(JUDGED_QUANTILE)
    judged = (torch.stack([reference, to_truth, to_input]) > threshold).any(dim=0)
    relative = reference[judged].clamp_min(1e-12)
    t, i = to_truth[judged] / relative, to_input[judged] / relative
    # How far a pixel is off the straight way from the input to the truth bends the two shares towards the third.
    straight = torch.exp(-CURVATURE * (t + i - 1.0))
    corners = torch.stack([t + i * (1.0 - straight), i + t * (1.0 - straight), torch.exp(-CURVATURE * t * i)])
    improvement, omission, hallucination = torch.softmax(-corners / TEMPERATURE, dim=0).mean(dim=1).tolist()
    return Correctness(improvement, omission, hallucination)


def _distance(a: Tensor, b: Tensor) -> Tensor:
    """Return the normalised difference |a - b| / (a + b), mean over the bands: (H, W)."""
    a, b = a.double().clamp_min(0.0), b.double().clamp_min(0.0)
    return ((a - b).abs() / (a + b + 1e-8)).mean(dim=0)
