"""Training runs on anybody's images, and a killed run goes on as if nothing had happened."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from PIL import Image

from headland.models.decrappify.network import Decrappify
from headland.models.dip.prior_network import PriorConfig, PriorNetwork, save_weights
from headland.models.training.export_decrappify import export, round_weights
from headland.models.training.losses import edge_distance, grid_strength
from headland.models.training.perceptual import VGG_BLOCKS, VggLoss
from headland.models.training.recipe import Budget, Recipe
from headland.models.training.train_decrappify import (
    CHECKPOINT_FILE,
    LOG_FILE,
    RECIPE_FILE,
    Run,
    Start,
    Trainer,
    prepare,
    read_log,
    train,
)

STEPS = 4


@pytest.fixture(scope="module")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Generated images, an untrained encoder and the first two blocks of a random VGG."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "highres" / "own_imagery").mkdir(parents=True)
    (folder / "weights").mkdir()
    rng = np.random.default_rng(2)
    for n in range(2):
        fields = np.kron(rng.integers(40, 220, (6, 6, 3)), np.ones((16, 16, 1))).astype(np.uint8)
        Image.fromarray(fields).save(folder / "highres" / "own_imagery" / f"fields_{n}.png")
    encoder = {name: value.numpy() for name, value in Decrappify().encoder.state_dict().items()}
    np.savez(folder / "weights" / "resnet18_to_layer3_bn_folded_fp16.npz", **encoder)
    vgg, channels = {}, 3
    for block, width in zip(VGG_BLOCKS[:2], (64, 128)):
        for index in block:
            vgg[f"features.{index}.weight"] = rng.normal(0.0, 0.05, (width, channels, 3, 3)).astype(np.float16)
            vgg[f"features.{index}.bias"] = np.zeros(width, dtype=np.float16)
            channels = width
    np.savez(folder / "weights" / "vgg16_conv_fp16.npz", **vgg)
    save_weights(PriorNetwork(PriorConfig(width=8, blocks=1)), folder / "prior.npz")
    return folder


@pytest.fixture
def recipe() -> Recipe:
    shipped = Recipe.load(RECIPE_FILE)
    return replace(
        shipped,
        batch=1,
        crop_sizes_px=((0.0, 32), (0.5, 48)),
        vgg_weights={"2": 0.5},
        bf16=False,
        encoder_frozen_until=0.4,
        sensors=3,
        input_weights={"bicubic": 0.2, "anchor": 0.2, "prior": 0.3, "restored": 0.3},
        lines_weight=0.1,
        missing_weight=0.1,
        adversarial_weight=0.1,
        checkpoint_every_s=0.0,
    )


def weights(run: Run) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in run.averaged.parameters()])


@pytest.fixture
def undisturbed(data_folder: Path, recipe: Recipe, tmp_path: Path) -> Trainer:
    trainer = prepare(data_folder, recipe, Start(data_folder))
    (tmp_path / "undisturbed").mkdir()
    train(trainer, Budget(steps=STEPS), tmp_path / "undisturbed", lambda run: {"seen": run.step})
    return trainer


@pytest.mark.parametrize("name", ["lines", "missing"])
def test_local_spectra_are_paid_for_where_they_are_weighed(data_folder: Path, recipe: Recipe, name: str) -> None:
    def losses(weight: float) -> dict[str, torch.Tensor]:
        weighed = replace(recipe, lines_weight=0.0, missing_weight=0.0, adversarial_weight=0.0, vgg_weights={})
        weighed = replace(weighed, **{f"{name}_weight": weight})
        return prepare(data_folder, weighed, Start(data_folder)).step(progress=0.1)

    without, with_it = losses(0.0), losses(2.0)
    assert name not in without
    paid = float(with_it["total"]) - float(without["total"])
    assert paid == pytest.approx(2.0 * float(with_it[name]), rel=1e-3)
    assert paid > 0.0


def test_a_killed_run_goes_on_to_the_same_weights(
    undisturbed: Trainer, data_folder: Path, recipe: Recipe, tmp_path: Path
) -> None:
    folder = tmp_path / "killed"
    folder.mkdir()

    def kill_after_two(run: Run) -> dict[str, int]:
        if run.step == STEPS // 2:
            raise KeyboardInterrupt
        return {}

    with pytest.raises(KeyboardInterrupt):
        train(prepare(data_folder, recipe, Start(data_folder)), Budget(steps=STEPS), folder, kill_after_two)
    resumed = prepare(data_folder, recipe, Start(data_folder))
    resumed.run.load(folder / CHECKPOINT_FILE)
    assert resumed.run.step == STEPS // 2
    train(resumed, Budget(steps=STEPS), folder, lambda _run: {})
    assert resumed.run.step == undisturbed.run.step == STEPS
    assert torch.equal(weights(resumed.run), weights(undisturbed.run))


def test_training_changes_the_network_and_logs_every_step(undisturbed: Trainer, tmp_path: Path) -> None:
    lines = list(read_log(tmp_path / "undisturbed" / LOG_FILE))
    steps = [line for line in lines if "total" in line]
    assert [line["step"] for line in steps] == list(range(1, STEPS + 1))
    assert all(np.isfinite(line["total"]) for line in steps)
    assert any("checkpoint" in line for line in lines)
    assert float(undisturbed.run.averaged.residual.weight.abs().max()) > 0.0


def test_training_goes_on_from_an_exported_model(data_folder: Path, recipe: Recipe, tmp_path: Path) -> None:
    torch.manual_seed(3)
    exported = Decrappify()
    # The exporter keeps equal arrays, such as untrained biases, once; trained ones are not equal.
    for parameter in exported.parameters():
        torch.nn.init.normal_(parameter, std=0.02)
    round_weights(exported)
    export(exported, tmp_path / "mine.onnx")
    started = prepare(data_folder, recipe, Start(data_folder, tmp_path / "mine.onnx")).run
    for name, value in exported.state_dict().items():
        assert torch.equal(started.averaged.state_dict()[name], value), name


@pytest.fixture
def trained_model(tmp_path: Path) -> Path:
    """A model that does draw something."""
    torch.manual_seed(3)
    network = Decrappify()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.02)
    torch.nn.init.normal_(network.residual.weight, std=0.2)
    round_weights(network)
    export(network, tmp_path / "trained.onnx")
    return tmp_path / "trained.onnx"


def test_with_a_teacher_the_distance_from_it_is_paid_for(
    data_folder: Path, recipe: Recipe, trained_model: Path
) -> None:
    def losses(weight: float) -> dict[str, torch.Tensor]:
        taught = replace(recipe, vgg_weights={}, adversarial_weight=0.0, teacher_weight=weight)
        return prepare(data_folder, taught, Start(data_folder, trained_model)).step(progress=0.1)

    without, with_it = losses(0.0), losses(2.0)
    assert "teacher" not in without
    assert float(with_it["teacher"]) > 0.0
    paid = float(with_it["total"]) - float(without["total"])
    assert paid == pytest.approx(2.0 * float(with_it["teacher"]), rel=1e-3)


def test_a_run_goes_on_with_the_teacher_that_it_had(
    data_folder: Path, recipe: Recipe, trained_model: Path, tmp_path: Path
) -> None:
    taught = replace(recipe, teacher_weight=1.0)
    first = prepare(data_folder, taught, Start(data_folder, trained_model))
    first.step(progress=0.6)
    first.run.save(tmp_path / CHECKPOINT_FILE)
    network = Decrappify()
    network.load_state_dict(first.run.averaged.state_dict())
    export(network, tmp_path / "other.onnx")
    resumed = prepare(data_folder, taught, Start(data_folder, tmp_path / "other.onnx"))
    resumed.run.load(tmp_path / CHECKPOINT_FILE)
    for trainer in (first, resumed):
        trainer.step(progress=0.6)
    assert torch.equal(weights(first.run), weights(resumed.run))


def test_a_run_without_a_teacher_does_not_get_one_on_its_way(
    data_folder: Path, recipe: Recipe, trained_model: Path, tmp_path: Path
) -> None:
    start = Start(data_folder, trained_model)
    prepare(data_folder, recipe, start).run.save(tmp_path / CHECKPOINT_FILE)
    with pytest.raises(ValueError, match="without a teacher"):
        prepare(data_folder, replace(recipe, teacher_weight=1.0), start).run.load(tmp_path / CHECKPOINT_FILE)


def test_an_untrained_network_is_no_teacher(data_folder: Path, recipe: Recipe) -> None:
    with pytest.raises(ValueError, match="teacher_weight"):
        prepare(data_folder, replace(recipe, teacher_weight=1.0), Start(data_folder))


def test_a_file_with_another_network_is_no_start(data_folder: Path, recipe: Recipe, tmp_path: Path) -> None:
    other = onnx.helper.make_graph([], "other", [], [])
    onnx.save(onnx.helper.make_model(other), tmp_path / "other.onnx")
    with pytest.raises(ValueError, match=r"other\.onnx holds another network"):
        prepare(data_folder, recipe, Start(data_folder, tmp_path / "other.onnx"))


def test_the_frozen_encoder_does_not_move(data_folder: Path, recipe: Recipe) -> None:
    trainer = prepare(data_folder, recipe, Start(data_folder))
    before = trainer.run.network.encoder.conv1.weight.detach().clone()
    trainer.step(progress=0.1)
    assert torch.equal(trainer.run.network.encoder.conv1.weight, before)
    trainer.step(progress=0.6)
    trainer.step(progress=0.6)
    assert not torch.equal(trainer.run.network.encoder.conv1.weight, before)


def test_the_edge_distance_is_about_borders_and_not_about_brightness() -> None:
    sharp = torch.zeros(1, 3, 8, 8)
    sharp[..., 4:] = 1.0
    soft = sharp.clone()
    soft[..., 3:5] = torch.tensor([0.25, 0.75])
    assert float(edge_distance(sharp + 0.2, sharp)) == pytest.approx(0.0, abs=1e-6)
    # Over 7 differences a row: 0.25, 0.5 and 0.25 off.
    assert float(edge_distance(soft, sharp)) == pytest.approx(1.0 / 7.0)


def test_the_vgg_loss_is_zero_only_for_equal_images_and_passes_a_gradient(data_folder: Path) -> None:
    loss = VggLoss(
        data_folder / "weights" / "vgg16_conv_fp16.npz", {1: 1.0, 2: 1.0}, direction_weight=1.0, gram_weight=1.0
    )
    target = torch.rand(1, 3, 32, 32)
    image = (target + 0.05 * torch.rand(1, 3, 32, 32)).requires_grad_()
    assert float(loss(target, target)) == 0.0
    value = loss(image, target)
    value.backward()
    assert value.item() > 0.0
    assert image.grad is not None
    assert float(image.grad.abs().max()) > 0.0


@pytest.mark.parametrize("file", sorted(RECIPE_FILE.parent.glob("decrappify*.json")), ids=lambda file: file.stem)
def test_every_shipped_recipe_reads_back_as_written(file: Path, tmp_path: Path) -> None:
    recipe = Recipe.load(file)
    recipe.save(tmp_path / "recipe.json")
    assert Recipe.load(tmp_path / "recipe.json") == recipe


def test_a_recipe_with_an_unknown_setting_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "recipe.json"
    path.write_text(RECIPE_FILE.read_text(encoding="utf-8").replace('"batch"', '"batsch"'), encoding="utf-8")
    with pytest.raises(ValueError, match="batch, batsch"):
        Recipe.load(path)


def test_the_learning_rate_rises_and_falls_and_crops_grow() -> None:
    recipe = Recipe.load(RECIPE_FILE)
    factors = [recipe.learning_rate_factor(progress) for progress in (0.0, recipe.warm_up_until, 0.6, 1.0)]
    assert factors[0] < factors[1] > factors[2] > factors[3]
    assert recipe.crop_size_px(0.0) < recipe.crop_size_px(1.0)


@pytest.mark.parametrize("arguments", [{}, {"steps": 1, "minutes": 1.0}])
def test_a_budget_is_either_steps_or_minutes(arguments: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="either in steps or in minutes"):
        Budget(**arguments)  # type: ignore[arg-type]


def test_only_what_repeats_with_the_pixel_grid_counts_as_a_grid() -> None:
    anything = torch.rand(2, 3, 256, 256, generator=torch.Generator().manual_seed(0)) * 0.02
    dots = torch.zeros(256, 256)
    dots[::4, ::4] = 0.02
    assert grid_strength(torch.full((1, 3, 16, 16), 0.3)) < 1e-6
    assert grid_strength(anything) < 0.0005
    assert grid_strength(anything + dots) > 0.002
