"""Export a trained Decrappify: `python -m headland.models.training.export_decrappify CHECKPOINT DATA_FOLDER`.

Writes `models/decrappify/decrappify.onnx` (weights kept as 16-bit numbers, computed in 32 bits) and its card. The
network is checked against ONNX Runtime, and measured on held-out places, before the card is written.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import helper, numpy_helper
from torch import Tensor

from ..card import ModelCard, file_sha256
from ..decrappify.network import BANDS, MULTIPLE_PX, Decrappify
from .onnx_weights import HALVED_SUFFIX
from .train_decrappify import PRIOR_FOLDER
from .validation import Validation

OPSET = 17
SCALES = (2, 4)
MARGIN_PX = 80
LARGEST_RELATIVE_DIFFERENCE = 1e-3
SMALLEST_HALVED_VALUES = 1024
INPUT_NAME, OUTPUT_NAME = "enlarged", "restored"
MODEL_FILE = Path(__file__).parents[1] / "decrappify" / "decrappify.onnx"


@dataclass(frozen=True)
class Mixture:
    """Another checkpoint, which training went on to from the first, and how much of its weights to take.

    Between the two, networks change gradually (network interpolation, Wang et al. 2018): a share of a sharper one's
    weights gives a share of its sharpness.
    """

    checkpoint: Path
    share: float


def load_network(checkpoint: Path, mixture: Mixture | None = None) -> tuple[Decrappify, dict[str, Any]]:
    """Return the averaged network of a checkpoint, its weights rounded to 16 bits, and the run's step and seconds.

    Raises:
        ValueError: if the share to mix in does not lie between 0 and 1.
    """
    state = torch.load(checkpoint, weights_only=True, map_location="cpu")
    weights, steps, seconds = state["averaged"], int(state["step"]), float(state["elapsed_s"])
    if mixture is not None:
        if not 0.0 <= mixture.share <= 1.0:
            raise ValueError(f"The share to mix in is {mixture.share}; it must lie between 0 and 1.")
        other = torch.load(mixture.checkpoint, weights_only=True, map_location="cpu")
        weights = {name: torch.lerp(value, other["averaged"][name], mixture.share) for name, value in weights.items()}
        steps, seconds = steps + int(other["step"]), seconds + float(other["elapsed_s"])
    network = Decrappify()
    network.load_state_dict(weights)
    round_weights(network)
    return network.eval(), {"steps": steps, "training_s": round(seconds)}


@torch.no_grad()
def round_weights(network: Decrappify) -> None:
    """Round the weights that the file keeps in 16 bits, so that torch computes with the shipped numbers."""
    for weight in network.parameters():
        if weight.numel() >= SMALLEST_HALVED_VALUES:
            weight.copy_(weight.half().float())


def export(network: Decrappify, model_file: Path) -> None:
    """Write the network as ONNX with free batch, rows and columns.

    Input `enlarged` and output `restored` are (batch, 3, row, column), float32.
    """
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "plain.onnx"
        axes = {0: "batch", 2: "rows", 3: "columns"}
        torch.onnx.export(
            network,
            (torch.zeros(1, BANDS, 4 * MULTIPLE_PX, 4 * MULTIPLE_PX),),
            str(plain),
            input_names=[INPUT_NAME],
            output_names=[OUTPUT_NAME],
            dynamic_axes={INPUT_NAME: axes, OUTPUT_NAME: axes},
            opset_version=OPSET,
            dynamo=False,
        )
        model = onnx.load(plain)
    halve_weights(model.graph)
    onnx.checker.check_model(model)
    onnx.save(model, model_file)


def halve_weights(graph: onnx.GraphProto) -> None:
    """Keep the large weights as 16-bit numbers with a Cast to 32 bits behind them: half the file, the same graph."""
    casts = []
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < SMALLEST_HALVED_VALUES:
            continue
        name = tensor.name
        halved = name + HALVED_SUFFIX
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), halved))
        casts.append(helper.make_node("Cast", [halved], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def largest_relative_difference(network: Decrappify, model_file: Path, images: Tensor) -> float:
    """Return the largest difference between torch and ONNX Runtime, relative to the result's range."""
    session = onnxruntime.InferenceSession(str(model_file), providers=["CPUExecutionProvider"])
    with torch.no_grad():
        expected = network(images).numpy()
    found = np.asarray(session.run([OUTPUT_NAME], {INPUT_NAME: images.numpy()})[0])
    return float(np.abs(found - expected).max() / np.ptp(expected))


def write_card(model_file: Path, figures: dict[str, Any]) -> ModelCard:
    """Write the card beside the ONNX file and return it."""
    card = ModelCard(
        name="Decrappify",
        card_file=model_file.with_suffix(".json"),
        model_file=model_file,
        sha256=file_sha256(model_file),
        opset=OPSET,
        bands=BANDS,
        value_range=(0.0, 1.0),
        scales=SCALES,
        margin_px=MARGIN_PX,
        multiple_px=MULTIPLE_PX,
        figures=figures,
    )
    card.save()
    return card


def main(arguments: list[str]) -> int:
    """Parse the command line and export; return the exit status."""
    parser = argparse.ArgumentParser(description="Export a trained Decrappify to ONNX and write its card.")
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("data_folder", type=Path, help="holds highres/ and weights/")
    parser.add_argument("--model-file", type=Path, default=MODEL_FILE)
    parser.add_argument("--priors", type=Path, default=PRIOR_FOLDER, help="weights of Deep Image Prior's networks")
    parser.add_argument("--mix", type=Path, help="another checkpoint, to which training went on from this one")
    parser.add_argument("--mix-share", type=float, default=0.25, help="of its weights, how much to take")
    options = parser.parse_args(arguments)
    mixture = Mixture(options.mix, options.mix_share) if options.mix else None
    network, figures = load_network(options.checkpoint, mixture)
    # Until all is measured, a model that is there already stays as it is.
    unchecked = options.model_file.with_suffix(".unchecked")
    try:
        with tempfile.TemporaryDirectory() as folder:
            validation = Validation.load(options.data_folder, Path(folder), options.priors)
        export(network, unchecked)
        images = next(iter(validation.batches.values())).enlarged
        difference = largest_relative_difference(network, unchecked, images)
        if difference > LARGEST_RELATIVE_DIFFERENCE:
            sys.stderr.write(
                f"ONNX Runtime differs from torch by {difference:.1e} of the range; nothing was exported.\n"
            )
            return 1
        figures |= {"torch_against_onnx": float(f"{difference:.1e}"), "held_out": validation.figures(network)}
        unchecked.replace(options.model_file)
    finally:
        unchecked.unlink(missing_ok=True)
    card = write_card(options.model_file, figures)
    sys.stdout.write(json.dumps(card.figures, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
