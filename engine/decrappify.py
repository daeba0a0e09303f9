"""Decrappify: the trained U-Net that brings borders back, run from its ONNX file by ONNX Runtime."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray

from ..models.card import CardError, ModelCard
from .bands import TRIPLE, band_triples
from .progress import OnStep, go_on
from .scene import HIGH_LEVEL, LOW_LEVEL, Tile


@dataclass(frozen=True)
class OnnxModel:
    """A checked model file: its card and a session on the device."""

    card: ModelCard
    session: onnxruntime.InferenceSession

    @classmethod
    def load(cls, path: Path, scale: int, device: torch.device) -> OnnxModel:
        """Check ``path`` against its card and what images enlarged by ``scale`` ask for, and open it.

        Raises:
            headland.models.card.CardError: if card or file is missing or damaged, they do not belong together, or the
                network was made for other images.
        """
        card = ModelCard.load(path)
        _check_suits(card, scale)
        available = onnxruntime.get_available_providers()
        wished = {"cuda": ["CUDAExecutionProvider"], "mps": ["CoreMLExecutionProvider"]}.get(device.type, [])
        providers = [provider for provider in wished if provider in available] + ["CPUExecutionProvider"]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        # Threads that spin while they wait take the cores that QGIS needs.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        return cls(card, onnxruntime.InferenceSession(str(path), options, providers=providers))

    @property
    def provider(self) -> str:
        """The execution provider that is really used."""
        return str(self.session.get_providers()[0])

    def __call__(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the restored triple: (3, H, W) to (3, H, W), any size."""
        height, width = image.shape[-2:]
        multiple = self.card.multiple_px
        padding = ((0, 0), (0, -height % multiple), (0, -width % multiple))
        padded = np.pad(image, padding, mode="edge")[None]
        name = self.session.get_inputs()[0].name
        (restored,) = self.session.run(None, {name: np.ascontiguousarray(padded)})
        result: NDArray[np.float32] = restored[0, :, :height, :width]
        return result


def _check_suits(card: ModelCard, scale: int) -> None:
    """Raise CardError if the network is not for band triples, enlarged by ``scale``, in the scene's levels."""
    if scale not in card.scales:
        known = " and ".join(str(known) for known in card.scales)
        raise CardError(f"The model {card.name} knows the scale factor {known}, not {scale}; choose another one.")
    if card.bands != TRIPLE:
        raise CardError(f"The model {card.name} takes {card.bands} bands, not {TRIPLE}; install Headland again.")
    low, high = card.value_range
    if not low <= LOW_LEVEL < HIGH_LEVEL <= high:
        raise CardError(
            f"The model {card.name} takes values from {low} to {high}, not {LOW_LEVEL} to {HIGH_LEVEL}; install "
            "Headland again."
        )


class Decrappify:
    """The stage: restore the tile's estimate, three bands at a time."""

    def __init__(self, model: OnnxModel, on_step: OnStep = go_on) -> None:
        self.model = model
        self._on_step = on_step

    def __call__(self, tile: Tile) -> Tile:
        """Return the tile with a restored estimate; the estimate must be there."""
        if tile.estimate is None:
            raise ValueError("Decrappify restores an enlarged image; a stage before it must make one.")
        enlarged = tile.estimate.cpu().numpy()
        restored = np.empty_like(enlarged)
        triples = list(band_triples(enlarged.shape[0]))
        for number, triple in enumerate(triples, start=1):
            result = self.model(enlarged[list(triple.indices)])
            for kept in triple.kept:
                restored[triple.indices[kept]] = result[kept]
            self._on_step(number, len(triples))
        return replace(tile, estimate=torch.from_numpy(restored).to(tile.low_res.device))
