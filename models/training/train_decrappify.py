"""Train Decrappify: `python -m headland.models.training.train_decrappify DATA_FOLDER OUTPUT_FOLDER --minutes 60`.

docs/training.md tells how to train on imagery of one's own.

DATA_FOLDER holds `highres/` and `weights/` (see the data notes). OUTPUT_FOLDER gets `checkpoint.pt` (training goes on
from it if it is there), `log.jsonl`, `recipe.json`, `loss.png` and `samples.png`. Every draw follows from the seed and
the number of the step, so a run that was killed and went on ends as an undisturbed one (with a budget in steps; with
one in minutes the schedule follows the clock).

Where other processes share the processor, set OMP_WAIT_POLICY=PASSIVE before the start.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from ..decrappify.network import Decrappify
from .adversary import Adversary
from .degradation import MARGIN_PX, Batch, Enlargement, Enlarger, centre, load_priors, make_batch
from .image_bank import ImageBank, jitter_radiometry
from .imagery import IMAGE_SETS, ImageSet, load_images
from .layout import use_channels_last
from .losses import Losses
from .onnx_weights import onnx_weights
from .perceptual import VggLoss
from .recipe import RESTORED, Budget, Recipe
from .sensors import SensorBank, draw_sensor
from .teacher import EvenTeacher, distance_from_taught
from .validation import Validation

CHECKPOINT_FILE = "checkpoint.pt"
LOG_FILE = "log.jsonl"
LONGEST_STEP_S = 60.0
"""A step that took longer was suspended (a sleeping laptop); that time does not count."""
RECIPE_FILE = Path(__file__).with_name("decrappify.json")
PRIOR_FOLDER = Path(__file__).parents[1] / "dip"
SHUFFLED_SHARE = 0.6
"""Of the crops, how many get their bands in another order: colours as cameras show them must stay the commonest."""


@dataclass
class Run:
    """What a checkpoint holds: the networks, the optimisers, the step and the seconds so far."""

    network: Decrappify
    averaged: Decrappify
    optimiser: torch.optim.AdamW
    adversary: Adversary | None = None
    teacher: EvenTeacher | None = None
    step: int = 0
    elapsed_s: float = 0.0

    @classmethod
    def start(cls, recipe: Recipe, encoder_file: Path, model_file: Path | None = None, device: str = "cpu") -> Run:
        """Start from ImageNet weights in the encoder and seeded ones elsewhere.

        Args:
            model_file: an exported Decrappify to go on from instead.

        Raises:
            ValueError: if the recipe asks for a teacher and there is no trained model to be one.
        """
        if recipe.teacher_weight and model_file is None:
            raise ValueError("The recipe has a teacher (teacher_weight), which is the model that training starts from.")
        torch.manual_seed(recipe.seed)
        network, averaged = Decrappify().to(device), Decrappify().to(device)
        if model_file is None:
            network.load_encoder(encoder_file)
        else:
            network.load_state_dict(onnx_weights(model_file, network))
        averaged.load_state_dict(network.state_dict())
        averaged.requires_grad_(requires_grad=False)
        use_channels_last(network)
        use_channels_last(averaged)
        encoder = set(network.encoder.parameters())
        groups = [
            {"params": [p for p in network.parameters() if p not in encoder]},
            {"params": list(network.encoder.parameters())},
        ]
        is_fused = torch.device(device).type == "cuda"
        optimiser = torch.optim.AdamW(groups, lr=0.0, weight_decay=recipe.weight_decay, fused=is_fused)
        adversary = Adversary(recipe.adversary_learning_rate, device) if recipe.adversarial_weight else None
        teacher = EvenTeacher(averaged) if recipe.teacher_weight else None
        return cls(network, averaged, optimiser, adversary, teacher)

    @property
    def device(self) -> torch.device:
        """Where it is trained."""
        return next(self.network.parameters()).device

    def save(self, path: Path) -> None:
        """Write a checkpoint; an interrupted write leaves the earlier one whole."""
        state = {
            "network": self.network.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "adversary": self.adversary.state_dict() if self.adversary else None,
            "teacher": self.teacher.state_dict() if self.teacher else None,
            "step": self.step,
            "elapsed_s": self.elapsed_s,
        }
        unfinished = path.with_suffix(".unfinished")
        torch.save(state, unfinished)
        unfinished.replace(path)

    def load(self, path: Path) -> None:
        """Go on from a checkpoint.

        Raises:
            ValueError: if the run has a teacher and the checkpoint none.
        """
        state = torch.load(path, weights_only=True, map_location=self.device)
        self.network.load_state_dict(state["network"])
        self.averaged.load_state_dict(state["averaged"])
        self.optimiser.load_state_dict(state["optimiser"])
        if self.adversary and state.get("adversary"):
            self.adversary.load_state_dict(state["adversary"])
        if self.teacher:
            if not state.get("teacher"):
                raise ValueError(f"{path} holds a run without a teacher; train into another folder.")
            self.teacher.load_state_dict(state["teacher"])
        self.step, self.elapsed_s = int(state["step"]), float(state["elapsed_s"])


class Trainer:
    """Runs the recipe.

    Args:
        recipe: the settings.
        images: the clean images.
        enlarger: makes of low-res images what the network will be fed.
        losses: what compares results with the truth.
        run: what is trained.
    """

    def __init__(self, recipe: Recipe, images: ImageBank, enlarger: Enlarger, losses: Losses, run: Run) -> None:
        self.recipe, self.run = recipe, run
        self._images, self._enlarger, self._losses = images, enlarger, losses
        self._sensors: dict[tuple[int, int], SensorBank] = {}
        self._unrestored = {how: weight for how, weight in recipe.input_weights.items() if how != RESTORED}

    def step(self, progress: float) -> dict[str, Tensor]:
        """Take one step at a fraction of the budget; return the parts of the loss, without waiting for the device."""
        recipe, run = self.recipe, self.run
        self._set_learning_rates(progress)
        batch, enlarged = self._draw(progress)
        with self._autocast():
            restored = run.network(enlarged)
        consistent = batch.project(restored.float())
        losses = self._losses(restored.float(), consistent, centre(batch.target), run.step)
        if run.teacher:
            with self._autocast():
                taught = run.teacher(enlarged)
            losses["teacher"] = distance_from_taught(consistent, batch.project(taught))
            losses["total"] = losses["total"] + recipe.teacher_weight * losses["teacher"]
        if run.adversary:
            losses["adversarial"] = run.adversary.loss(consistent, centre(batch.target), enlarged)
            losses["total"] = losses["total"] + recipe.adversarial_weight * losses["adversarial"]
        run.optimiser.zero_grad(set_to_none=True)
        losses["total"].backward()
        losses["gradient"] = nn.utils.clip_grad_norm_(run.network.parameters(), recipe.gradient_norm)
        run.optimiser.step()
        if run.adversary:
            losses["adversary"] = run.adversary.learn(consistent, centre(batch.target), enlarged)
        self._average()
        run.step += 1
        return {name: value.detach() for name, value in losses.items()}

    def _draw(self, progress: float) -> tuple[Batch, Tensor]:
        """Return a batch and what the network is fed of it (without the margin)."""
        recipe, run, step = self.recipe, self.run, self.run.step
        rng = np.random.default_rng([recipe.seed, step])
        noise = torch.Generator(run.device).manual_seed(recipe.seed + step)
        scale, how = int(_choose(rng, recipe.scale_weights)), _choose(rng, recipe.input_weights)
        size_px = recipe.crop_size_px(progress) + 2 * MARGIN_PX
        crops = self._images.draw(rng, recipe.batch, size_px, shuffled_share=SHUFFLED_SHARE)
        sensors = self._sensors_for(scale, size_px).choose(rng.integers(recipe.sensors, size=recipe.batch))
        first = _choose(rng, self._unrestored) if how == RESTORED else how
        with torch.no_grad():
            batch = make_batch(jitter_radiometry(rng, crops), sensors, Enlargement(first), noise, self._enlarger)
            enlarged = centre(batch.enlarged).contiguous(memory_format=torch.channels_last)
            if how == RESTORED:
                with self._autocast():
                    once = run.averaged(enlarged)
                enlarged = batch.project(once.float()).contiguous(memory_format=torch.channels_last)
        return batch, enlarged

    def _sensors_for(self, scale: int, size_px: int) -> SensorBank:
        """Return the sensors of all batches of one kind; drawn at the first of them, from the seed alone."""
        if (scale, size_px) not in self._sensors:
            rng = np.random.default_rng([self.recipe.seed, scale, size_px])
            drawn = [draw_sensor(rng) for _ in range(self.recipe.sensors)]
            self._sensors[scale, size_px] = SensorBank(drawn, size_px // scale, scale, self.run.device)
        return self._sensors[scale, size_px]

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.run.device.type, dtype=torch.bfloat16, enabled=self.recipe.bf16)

    def _set_learning_rates(self, progress: float) -> None:
        recipe = self.recipe
        factor = recipe.learning_rate_factor(progress)
        frozen = progress < recipe.encoder_frozen_until
        self.run.network.encoder.requires_grad_(requires_grad=not frozen)
        decoder, encoder = self.run.optimiser.param_groups
        decoder["lr"] = factor * recipe.learning_rate
        encoder["lr"] = 0.0 if frozen else factor * recipe.encoder_learning_rate

    @torch.no_grad()
    def _average(self) -> None:
        decay = min(self.recipe.ema_decay, (1.0 + self.run.step) / (10.0 + self.run.step))
        for averaged, current in zip(self.run.averaged.parameters(), self.run.network.parameters()):
            averaged.lerp_(current, 1.0 - decay)


def train(trainer: Trainer, budget: Budget, folder: Path, on_checkpoint: Callable[[Run], dict[str, Any]]) -> None:
    """Train until the budget is spent, with a line a step in the log and a checkpoint now and then.

    Args:
        on_checkpoint: gets the run after each checkpoint; what it returns goes into the log.
    """
    run, recipe = trainer.run, trainer.recipe
    checkpoint = folder / CHECKPOINT_FILE
    next_checkpoint_s = run.elapsed_s + recipe.checkpoint_every_s
    with (folder / LOG_FILE).open("a", encoding="utf-8") as log, tqdm(total=100, unit="%", file=sys.stderr) as bar:
        pending: dict[str, Any] = {}
        while (progress := budget.progress(run.step, run.elapsed_s)) < 1.0:
            started_s = time.monotonic()
            losses = trainer.step(progress)
            # The step before: its figures are there already, while an accelerator still works at this one.
            _write_step(log, bar, pending)
            run.elapsed_s += min(time.monotonic() - started_s, LONGEST_STEP_S)
            pending = {"step": run.step, "elapsed_s": round(run.elapsed_s, 1), "progress": round(progress, 5), **losses}
            if run.elapsed_s >= next_checkpoint_s:
                pending = _write_step(log, bar, pending)
                run.save(checkpoint)
                _write_line(log, {"step": run.step, "checkpoint": on_checkpoint(run)})
                next_checkpoint_s = run.elapsed_s + recipe.checkpoint_every_s
        _write_step(log, bar, pending)
        run.save(checkpoint)
        _write_line(log, {"step": run.step, "checkpoint": on_checkpoint(run)})


@dataclass(frozen=True)
class Start:
    """What training starts from.

    Attributes:
        prior_folder: holds Deep Image Prior's trained networks, whose results are among the inputs.
        model_file: an exported Decrappify to go on from; None for ImageNet's encoder.
        device: of torch.
    """

    prior_folder: Path = PRIOR_FOLDER
    model_file: Path | None = None
    device: str = "cpu"


def prepare(data_folder: Path, recipe: Recipe, start: Start, sets: tuple[ImageSet, ...] = IMAGE_SETS) -> Trainer:
    """Load the images and the weights."""
    images = ImageBank(load_images(data_folder / "highres", held_out=False, sets=sets), start.device)
    weights = {int(block): weight for block, weight in recipe.vgg_weights.items()}
    vgg_file = data_folder / "weights" / "vgg16_conv_fp16.npz"
    vgg_loss = VggLoss(vgg_file, weights, recipe.direction_weight, recipe.gram_weight).to(start.device)
    priors = {how: prior.to(start.device) for how, prior in load_priors(start.prior_folder).items()}
    enlarger = Enlarger(priors, torch.bfloat16 if recipe.bf16 else torch.float32)
    encoder_file = data_folder / "weights" / "resnet18_to_layer3_bn_folded_fp16.npz"
    run = Run.start(recipe, encoder_file, start.model_file, start.device)
    return Trainer(recipe, images, enlarger, Losses(recipe, vgg_loss), run)


def main(arguments: list[str]) -> int:
    """Parse the command line and train; return the exit status."""
    parser = argparse.ArgumentParser(description="Train Decrappify on aerial and satellite images.")
    parser.add_argument("data_folder", type=Path, help="holds highres/ and weights/")
    parser.add_argument("output_folder", type=Path, help="gets the checkpoint, the log and the pictures")
    parser.add_argument("--minutes", type=float, help="wall-clock budget")
    parser.add_argument("--steps", type=int, help="budget in steps")
    parser.add_argument("--recipe", type=Path, default=RECIPE_FILE, help="settings (default: the shipped ones)")
    parser.add_argument("--start-from", type=Path, help="an exported Decrappify (.onnx) to go on from")
    parser.add_argument("--device", default="cpu", help="of torch: cpu or cuda")
    parser.add_argument("--priors", type=Path, default=PRIOR_FOLDER, help="weights of Deep Image Prior's networks")
    options = parser.parse_args(arguments)
    recipe = Recipe.load(options.recipe)
    torch.set_num_threads(recipe.threads)
    options.output_folder.mkdir(parents=True, exist_ok=True)
    recipe.save(options.output_folder / "recipe.json")
    start = Start(options.priors, options.start_from, options.device)
    trainer = prepare(options.data_folder, recipe, start)
    checkpoint = options.output_folder / CHECKPOINT_FILE
    if checkpoint.exists():
        trainer.run.load(checkpoint)
    validation = Validation.load(options.data_folder, options.output_folder, options.priors)

    def validate(run: Run) -> dict[str, Any]:
        # Its batches lie in the processor's memory.
        return validation(copy.deepcopy(run.averaged).cpu())

    train(trainer, Budget(options.steps, options.minutes), options.output_folder, validate)
    sys.stdout.write(f"Trained {trainer.run.step} steps; the weights are in {checkpoint}.\n")
    return 0


def _choose(rng: np.random.Generator, weights: dict[str, float]) -> str:
    shares = np.array(list(weights.values()), dtype=np.float64)
    return list(weights)[int(rng.choice(len(shares), p=shares / shares.sum()))]


def _write_step(log: Any, bar: Any, line: dict[str, Any]) -> dict[str, Any]:
    """Write a step's line, if there is one, and move the bar; return an empty one."""
    if line:
        values = {name: float(value) for name, value in line.items()}
        _write_line(log, values | {"step": line["step"]})
        bar.set_postfix(step=line["step"], loss=f"{values['total']:.3f}", refresh=False)
        bar.update(int(100 * values["progress"]) - bar.n)
    return {}


def _write_line(log: Any, content: dict[str, Any]) -> None:
    log.write(json.dumps(content) + "\n")
    log.flush()


def read_log(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the lines of a log."""
    for line in path.read_text(encoding="utf-8").splitlines():
        yield json.loads(line)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
