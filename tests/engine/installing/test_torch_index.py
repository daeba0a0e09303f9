"""The builds of torch that the usual index lacks: who names where they are gets them, others hear what and why."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from headland.engine.environment import EnvironmentProblem
from headland.engine.installing import building
from headland.engine.installing import plan as planning
from headland.engine.installing.graphics import GraphicsCard
from headland.engine.installing.locks import Build, Lock, lock_named
from headland.engine.installing.pip_install import Sources, is_torch_out_of_reach
from headland.engine.installing.plan import SetUpPlan, Wishes, choose_packages, make_plan
from headland.engine.installing.proof import Proof
from headland.engine.installing.pythons import Python, find_python
from headland.engine.installing.torch_index import TORCH_INDEX_VARIABLE, named_torch_index
from headland.tests.support.engines import make_fake_engine

RTX = GraphicsCard("NVIDIA RTX A2000", "580.82.07", 6138, (8, 6))
PYTHON = Path(sys.executable)
INDEX = "https://builds.example/whl"
APART = Lock("linux-cpu", Build.CPU, "linux", ("x86_64",), is_torch_apart=True)


@pytest.fixture(autouse=True)
def nothing_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has named an index."""
    monkeypatch.delenv(TORCH_INDEX_VARIABLE, raising=False)


@pytest.fixture
def cards(monkeypatch: pytest.MonkeyPatch) -> list[GraphicsCard]:
    """The graphics cards of this computer, to be filled."""
    cards: list[GraphicsCard] = []
    monkeypatch.setattr(planning, "graphics_cards", lambda: tuple(cards))
    return cards


def python(platform: str = "linux", machine: str = "x86_64") -> Python:
    # Its program is this one's, for pip is really asked.
    return Python(PYTHON, (3, 12, 1), True, True, platform, machine)


def test_linux_without_an_index_gets_the_build_of_the_usual_one_and_hears_what_makes_it_a_tenth(
    cards: list[GraphicsCard],
) -> None:
    choice = choose_packages(python(), Build.AUTO, Sources())
    assert choice.lock.name == "linux-cuda"
    assert choice.reason == (
        "Computes on the processor: no NVIDIA driver was found; the build for graphics cards does so as well, in a "
        "download of 3.0 GB; name an index of PyTorch’s builds for the processor in the options for a download of "
        "0.2 GB instead."
    )


def test_who_wished_for_the_processor_beside_a_card_is_told_that_the_other_build_takes_the_card(
    cards: list[GraphicsCard],
) -> None:
    cards.append(RTX)
    choice = choose_packages(python(), Build.CPU, Sources())
    assert choice.lock.name == "linux-cuda"
    assert "takes the NVIDIA RTX A2000 unless the device is set to the processor" in choice.reason


def test_a_build_for_graphics_cards_that_was_taken_for_the_processor_does_not_blame_a_driver(
    cards: list[GraphicsCard], engine: Path
) -> None:
    choice = choose_packages(python(), Build.AUTO, Sources())
    plan = SetUpPlan(engine, python(), choice.lock, choice.reason, Sources(), is_for_processor=choice.is_for_processor)
    assert building._note(plan, Proof("cpu, 4 threads")).startswith("It works (cpu, 4 threads). Computes on the proc")


def test_windows_with_a_card_but_no_index_gets_the_processors_build_and_hears_what_to_name(
    cards: list[GraphicsCard],
) -> None:
    cards.append(RTX)
    choice = choose_packages(python("win32", "amd64"), Build.AUTO, Sources())
    assert choice.lock.name == "windows-cpu"
    assert "name an index of PyTorch’s builds for CUDA 13.0 in the options" in choice.reason
    assert "2.1 GB instead of 0.2 GB" in choice.reason


@pytest.mark.parametrize(
    ("computer", "wish", "what"),
    [(("win32", "amd64"), Build.CUDA, "CUDA 13.0"), (("linux", "aarch64"), Build.AUTO, "the processor")],
)
def test_what_cannot_be_had_without_an_index_is_refused_with_what_to_name(
    cards: list[GraphicsCard], computer: tuple[str, str], wish: Build, what: str
) -> None:
    cards.append(RTX)
    with pytest.raises(EnvironmentProblem, match=f"build for {what} is not on the usual index; name an index"):
        choose_packages(python(*computer), wish, Sources())


def test_an_engine_that_stands_needs_no_index(
    cards: list[GraphicsCard], engine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "find_python", lambda _wish: python("linux", "aarch64"))
    with pytest.raises(EnvironmentProblem, match="not on the usual index"):
        make_plan(Wishes())
    make_fake_engine(engine)
    assert make_plan(Wishes()).is_done
    with pytest.raises(EnvironmentProblem, match="not on the usual index"):
        make_plan(Wishes(is_anew=True))


@pytest.mark.parametrize(
    ("computer", "name"), [(("linux", "x86_64"), "linux-cuda"), (("win32", "amd64"), "windows-cuda")]
)
def test_with_an_index_a_card_gets_its_build(cards: list[GraphicsCard], computer: tuple[str, str], name: str) -> None:
    cards.append(RTX)
    assert choose_packages(python(*computer), Build.AUTO, Sources(torch_index=INDEX)).lock.name == name


@pytest.mark.parametrize("sources", [Sources(torch_index=INDEX), Sources(wheels=Path("/wheels"))])
def test_an_index_or_a_folder_of_wheels_gives_the_processors_build(cards: list[GraphicsCard], sources: Sources) -> None:
    assert choose_packages(python(), Build.AUTO, sources).lock.name == "linux-cpu"


@pytest.mark.parametrize("variable", ["PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"])
def test_where_pip_has_sources_of_its_own_no_index_is_needed(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    assert is_torch_out_of_reach(APART, PYTHON, Sources())
    monkeypatch.setenv(variable, "https://index.example/simple")
    assert not is_torch_out_of_reach(APART, PYTHON, Sources())


def test_a_python_without_pip_is_asked_through_an_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subprocess.run([str(PYTHON), "-m", "venv", "--without-pip", str(tmp_path / "bare")], check=True)
    bare = tmp_path / "bare" / "bin" / "python"
    assert is_torch_out_of_reach(APART, bare, Sources())
    monkeypatch.setenv("PIP_FIND_LINKS", "/wheels")
    assert not is_torch_out_of_reach(APART, bare, Sources())


def test_a_build_of_the_usual_index_needs_no_look_at_pip() -> None:
    assert not is_torch_out_of_reach(lock_named("linux-cuda"), Path("/no/python"), Sources())


def test_the_variable_names_the_index_unless_the_options_do(monkeypatch: pytest.MonkeyPatch, engine: Path) -> None:
    assert named_torch_index("  ") is None
    monkeypatch.setenv(TORCH_INDEX_VARIABLE, f" {INDEX} ")
    assert named_torch_index(None) == INDEX
    assert named_torch_index("https://another.example/whl") == "https://another.example/whl"
    assert make_plan(Wishes(python=find_python(PYTHON).path)).sources.torch_index == INDEX


@pytest.mark.parametrize("nonsense", ["anna:s3cret@builds.example/whl", "ftp://s3cret", "https://", "https://[s3cret/"])
def test_what_is_no_address_is_refused_without_repeating_it(nonsense: str) -> None:
    with pytest.raises(EnvironmentProblem, match="is no address") as caught:
        named_torch_index(nonsense)
    assert "s3cret" not in str(caught.value)


def test_the_command_line_takes_an_index_and_shows_it_to_nobody(engine: Path) -> None:
    script = Path(planning.__file__).parents[1] / "environment.py"
    plan = subprocess.run(
        [sys.executable, str(script), "build", "--plan", "--build", "cpu", "--torch-index", INDEX],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Computes on the processor, as wished." in plan.stdout
    assert "builds.example" not in plan.stdout + plan.stderr


def test_a_wheelhouse_that_needs_an_index_says_so_before_it_begins(tmp_path: Path) -> None:
    script = Path(planning.__file__).parents[1] / "environment.py"
    wheels = tmp_path / "to carry"
    ended = subprocess.run(
        [sys.executable, str(script), "wheelhouse", str(wheels), "--lock", "windows-cuda"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert "--torch-index or HEADLAND_TORCH_INDEX" in ended.stderr
    assert not wheels.exists()
