"""Decrappify: the trained U-Net that brings borders back, run from its ONNX file by ONNX Runtime."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import onnxruntime
import torch
from torch import Tensor
from torch.nn import functional

from ..models.card import REMEDY, CardError, ModelCard
from .bands import band_triples
from .io_binding import run_bound
from .memory import is_out_of_memory
from .model_file import fitting_card
from .progress import BadInput, OnStep, go_on
from .scene import Tile

# By torch's device: what ONNX Runtime may have for the same hardware. DirectML serves graphics cards that torch
# cannot use, so it is tried where torch computes on the processor.
PROVIDERS = {
    "cuda": ("CUDAExecutionProvider",),
    "mps": ("CoreMLExecutionProvider",),
    "cpu": ("DmlExecutionProvider",),
}
# Tiles at the ends of an extent have other shapes, and else cuDNN's ways to convolve are all tried anew for each.
PROVIDER_OPTIONS = {"CUDAExecutionProvider": {"cudnn_conv_algo_search": "HEURISTIC"}}


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
        card = fitting_card(path, scale)
        available = onnxruntime.get_available_providers()
        providers = [(name, PROVIDER_OPTIONS.get(name, {})) for name in PROVIDERS[device.type] if name in available] + [
            ("CPUExecutionProvider", {})
        ]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        # Threads that spin while they wait take the cores that QGIS needs.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # A run in a shape that it has seen would want all of its memory in one piece, beside what is there already;
        # having it so gains no time.
        options.enable_mem_pattern = False
        content = _checked_bytes(path, card)
        try:
            session = onnxruntime.InferenceSession(content, options, providers=providers)
        # ONNX Runtime raises what it likes, with no base class of its own.
        except Exception as error:
            raise CardError(f"The model file {path} holds no network that ONNX Runtime can run: {error}") from error
        _check_graph(session, card)
        return cls(card, session)

    @property
    def provider(self) -> str:
        """The execution provider that is really used."""
        return str(self.session.get_providers()[0])

    @property
    def takes_stacks(self) -> bool:
        """Whether the network takes any number of images at a time; a team's own may be made for one."""
        return not isinstance(self.session.get_inputs()[0].shape[0], int)

    def __call__(self, images: Tensor) -> Tensor:
        """Return the restored triples: (n, 3, H, W) to (n, 3, H, W), any size. Raises BadInput if it cannot be run."""
        if len(images) > 1 and not self.takes_stacks:
            return torch.cat([self(one[None]) for one in images])
        height, width = images.shape[-2:]
        multiple = self.card.multiple_px
        padded = functional.pad(images, (0, -width % multiple, 0, -height % multiple), mode="replicate").contiguous()
        restored = self._run(padded)
        if restored.shape != padded.shape:
            raise BadInput(f"The network in {self.card.model_file} does not keep the size of an image; {REMEDY}.")
        return restored[:, :, :height, :width]

    def _run(self, images: Tensor) -> Tensor:
        if self._computes_on(images.device):
            try:
                return run_bound(self.session, images, _settings())
            # By way of the processor's memory it may go, and what is wrong with a network is said there.
            except Exception as error:
                if is_out_of_memory(error):
                    raise
        name = self.session.get_inputs()[0].name
        try:
            (restored,) = self.session.run(None, {name: images.cpu().numpy()}, _settings())
        # As above. That memory ran out is for the tiles to know, which are halved then.
        except Exception as error:
            if is_out_of_memory(error):
                raise
            raise BadInput(f"The network in {self.card.model_file} cannot be run; {REMEDY}.") from error
        return torch.from_numpy(restored).to(images.device)

    def _computes_on(self, device: torch.device) -> bool:
        """Whether network and image are on the same graphics card."""
        return device.type == "cuda" and self.provider == "CUDAExecutionProvider"


def _settings() -> onnxruntime.RunOptions:
    # Between its runs the network gives back what it took: other stages need it then.
    settings = onnxruntime.RunOptions()
    settings.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return settings


def _checked_bytes(path: Path, card: ModelCard) -> bytes:
    """Return the very bytes that the card speaks of, whatever becomes of the file later. Raises CardError."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CardError(f"The model file {path} cannot be read ({error.strerror}); {REMEDY}.") from error
    if hashlib.sha256(content).hexdigest() != card.sha256:
        raise CardError(f"The model file {path} was changed just now; {REMEDY}.")
    return content


def _check_graph(session: onnxruntime.InferenceSession, card: ModelCard) -> None:
    """Raise CardError if the network is not one that takes and returns an image as the card says."""
    inputs, outputs = session.get_inputs(), session.get_outputs()
    is_one_to_one = len(inputs) == 1 and len(outputs) == 1
    if not is_one_to_one or not all(_is_image(node.type, node.shape, card.bands) for node in (*inputs, *outputs)):
        raise CardError(
            f"The network in {card.model_file} does not take and return one image of {card.bands} bands as its card "
            "says; choose another model."
        )


def _is_image(number_type: str, shape: list[Any], bands: int) -> bool:
    """Whether a node is (batch, bands, row, column) in 32-bit floats with free rows and columns."""
    if number_type != "tensor(float)" or len(shape) != 4:  # noqa: PLR2004, the axes of a batch of images
        return False
    return shape[1] == bands and not any(isinstance(length, int) for length in shape[2:])


class Decrappify:
    """The stage: restore the tile's estimate, three bands at a time."""

    def __init__(self, model: OnnxModel, on_step: OnStep = go_on) -> None:
        self.model = model
        self._on_step = on_step

    def __call__(self, tile: Tile) -> Tile:
        """Return the tile with a restored estimate; the estimate must be there."""
        if tile.estimate is None:
            raise ValueError("Decrappify restores an enlarged image; a stage before it must make one.")
        enlarged = tile.estimate
        restored = torch.empty_like(enlarged)
        triples = list(band_triples(enlarged.shape[-3]))
        for number, triple in enumerate(triples, start=1):
            images = enlarged[..., list(triple.indices), :, :]
            result = self.model(images.reshape(-1, *images.shape[-3:])).reshape(images.shape)
            for kept in triple.kept:
                restored[..., triple.indices[kept], :, :] = result[..., kept, :, :]
            self._on_step(number, len(triples))
        return replace(tile, estimate=restored.to(tile.low_res.device))
