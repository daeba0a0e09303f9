"""Decrappify: the trained U-Net that brings borders back, run from its ONNX file by ONNX Runtime."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray

from ..models.card import ModelCard
from .bands import band_triples
from .scene import Tile


@dataclass(frozen=True)
class OnnxModel:
    """A checked model file: its card and a session on the device."""

    card: ModelCard
    session: onnxruntime.InferenceSession

    @classmethod
    def load(cls, path: Path, device: torch.device) -> OnnxModel:
        """Check ``path`` against its card and open it.

        Raises:
            headland.models.card.CardError: if card or file is missing, damaged, or they do not belong together.
        """
        card = ModelCard.load(path)
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


class Decrappify:
    """The stage: restore the tile's estimate, three bands at a time."""

    def __init__(self, model: OnnxModel) -> None:
        self.model = model

    def __call__(self, tile: Tile) -> Tile:
        """Return the tile with a restored estimate; the estimate must be there."""
        if tile.estimate is None:
            raise ValueError("Decrappify restores an enlarged image; a stage before it must make one.")
        enlarged = tile.estimate.cpu().numpy()
        restored = np.empty_like(enlarged)
        for triple in band_triples(enlarged.shape[0]):
            result = self.model(enlarged[list(triple.indices)])
            for kept in triple.kept:
                restored[triple.indices[kept]] = result[kept]
        return replace(tile, estimate=torch.from_numpy(restored).to(tile.low_res.device))
