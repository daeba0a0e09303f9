"""Setting the engine up, through a real pip and a real proof, from tiny wheels that stand in for the large ones."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import sysconfig
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from headland.engine import environment
from headland.engine.engine_users import engine_in_use
from headland.engine.environment import EnvironmentMissing, EnvironmentProblem, engine_python
from headland.engine.installing import building, folders
from headland.engine.installing.building import Listener, set_up
from headland.engine.installing.locks import Build
from headland.engine.installing.plan import Wishes, make_plan
from headland.engine.installing.proof import Proof
from headland.engine.installing.running import SetUpCancelled
from headland.tests.support.faults import small_disk
from headland.tests.support.installations import SITE_PACKAGES, beside, running_in
from headland.tests.support.wheelhouse import Wheelhouse, make_wheelhouse, spoil_hash

IN_A_PROCESS = """
import sys
from pathlib import Path
from headland.engine.installing.building import Listener, set_up
from headland.engine.installing.locks import Build, Lock
from headland.engine.installing.pip_install import Sources
from headland.engine.installing.plan import SetUpPlan
from headland.engine.installing.pythons import find_python
engine, wheels, locks, machine = sys.argv[1:]
lock = Lock("tiny", Build.CPU, sys.platform, (machine,), folder=Path(locks))
plan = SetUpPlan(Path(engine), find_python(Path(sys.executable)), lock, "A test.", Sources(wheels=Path(wheels)))
set_up(plan, Listener(on_line=lambda line: print(line, flush=True)))
"""


@dataclass(frozen=True)
class FirstTime:
    """An engine that was set up from nothing, and what was told meanwhile."""

    engine: Path
    state: dict[str, Any]
    lines: list[str]
    fractions: list[float]


@pytest.fixture(scope="module")
def first_time(tmp_path_factory: pytest.TempPathFactory) -> FirstTime:
    """The one set-up that others start from."""
    wheels = make_wheelhouse(tmp_path_factory.mktemp("wheels") / "wheel house", SITE_PACKAGES)
    engine = tmp_path_factory.mktemp("first") / "Motor für QGIS, 大地" / "engine"
    lines: list[str] = []
    fractions: list[float] = []
    state = set_up(wheels.plan(engine), Listener(lines.append, lambda _phase, fraction: fractions.append(fraction)))
    return FirstTime(engine, state, lines, fractions)


@pytest.fixture
def standing(first_time: FirstTime, engine: Path) -> Path:
    """An engine that stands and works."""
    engine.parent.mkdir()
    shutil.copytree(first_time.engine, engine, symlinks=True)
    assert engine_python() == engine / "bin" / "python"
    return engine


def test_from_nothing_and_without_a_network_into_a_path_with_spaces_and_other_letters(first_time: FirstTime) -> None:
    assert first_time.state["device"].startswith("cpu")
    assert first_time.state["versions"]["torch"]
    assert any("Successfully installed" in line for line in first_time.lines)
    assert first_time.fractions == sorted(first_time.fractions)
    assert beside(first_time.engine) == {"engine", "engine.lock", "engine.users"}
    # The environment bears having been built under another name.
    where = subprocess.run(
        [
            str(first_time.engine / "bin" / "python"),
            "-I",
            "-c",
            "import torch_stand_in; print(torch_stand_in.__file__)",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(where.stdout.strip()).is_relative_to(first_time.engine)


def test_setting_up_what_stands_does_nothing(standing: Path, wheelhouse: Wheelhouse) -> None:
    lines: list[str] = []
    set_up(wheelhouse.plan(standing), Listener(lines.append))
    assert lines == [f"The engine in {standing} is ready."]


def test_an_update_that_fails_leaves_the_old_engine_at_work(standing: Path, wheelhouse: Wheelhouse) -> None:
    made = standing.stat().st_ino
    spoil_hash(wheelhouse.lock)
    with pytest.raises(EnvironmentProblem, match="not the one that Headland was made with") as caught:
        set_up(wheelhouse.plan(standing, is_anew=True))
    assert "DO NOT MATCH THE HASHES" in caught.value.details
    assert engine_python().exists()
    assert standing.stat().st_ino == made
    assert not [name for name in beside(standing) if ".new-" in name]


def test_a_new_one_takes_the_old_ones_place(standing: Path) -> None:
    (standing / "of the old one").touch()
    new = folders.new_folder(standing)
    shutil.copytree(standing, new, symlinks=True)
    (new / "of the old one").unlink()
    folders.put_in_place(new, standing, lambda: False)
    assert engine_python().exists()
    assert not (standing / "of the old one").exists()
    assert beside(standing) == {"engine", "engine.users"}


def test_an_engine_that_somebody_computes_with_is_replaced_when_he_is_done(
    standing: Path, wheelhouse: Wheelhouse, unproved: None
) -> None:
    made = standing.stat().st_ino
    lines: list[str] = []
    with ExitStack() as stack:
        stack.enter_context(engine_in_use(standing, lambda: None))

        def hear(line: str) -> None:
            lines.append(line)
            if "Waiting until no enhancement runs" in line:
                assert standing.stat().st_ino == made
                stack.close()

        set_up(wheelhouse.plan(standing, is_anew=True), Listener(hear))
    assert "The new engine is made. Waiting until no enhancement runs …" in lines
    assert standing.stat().st_ino != made


def test_one_that_only_waited_gets_its_place_at_the_next_try_without_installing_again(
    standing: Path, wheelhouse: Wheelhouse, unproved: None
) -> None:
    plan = wheelhouse.plan(standing, is_anew=True)
    made = standing.stat().st_ino
    is_waiting: list[bool] = []
    told = Listener(lambda line: is_waiting.extend([True] * ("Waiting" in line)), is_cancelled=lambda: bool(is_waiting))
    with engine_in_use(standing, lambda: None), pytest.raises(SetUpCancelled):
        set_up(plan, told)
    assert standing.stat().st_ino == made
    assert engine_python().exists()
    lines: list[str] = []
    set_up(plan, Listener(lines.append))
    assert lines == [f"The engine in {standing} is ready."]
    assert standing.stat().st_ino != made
    assert beside(standing) == {"engine", "engine.lock", "engine.users"}


def test_an_engine_that_somebody_computes_with_is_not_removed(standing: Path) -> None:
    with (
        engine_in_use(standing, lambda: None),
        pytest.raises(EnvironmentProblem, match=r"in use.*wait until no enhancement runs"),
    ):
        folders.uninstall(standing)
    assert engine_python().exists()


def test_an_engine_that_computes_nothing_is_not_put_in_place(engine: Path, tmp_path: Path) -> None:
    # These wheels have the names but not the packages.
    empty = make_wheelhouse(tmp_path / "empty wheels")
    with pytest.raises(EnvironmentProblem, match="The engine does not work here"):
        set_up(empty.plan(engine))
    with pytest.raises(EnvironmentMissing):
        engine_python()


def test_cancelling_ends_what_runs_and_leaves_nothing_half_made(engine: Path, wheelhouse: Wheelhouse) -> None:
    has_begun: list[bool] = []

    def is_cancelled() -> bool:
        has_begun.extend([True] if running_in(engine.parent) else [])
        return bool(has_begun)

    with pytest.raises(SetUpCancelled):
        set_up(wheelhouse.plan(engine), Listener(is_cancelled=is_cancelled))
    assert not running_in(engine.parent)
    assert beside(engine) == {"engine.lock"}
    with pytest.raises(EnvironmentMissing):
        engine_python()


def test_two_at_once_are_refused(engine: Path, wheelhouse: Wheelhouse) -> None:
    engine.parent.mkdir()
    # flock belongs to an open file, so a second opening in this process stands for a second process.
    with folders.only_one_at_a_time(engine), pytest.raises(EnvironmentProblem, match="by another program"):
        set_up(wheelhouse.plan(engine))


def test_a_folder_with_other_files_is_never_touched(engine: Path, wheelhouse: Wheelhouse) -> None:
    engine.mkdir(parents=True)
    thesis = engine / "thesis.odt"
    thesis.touch()
    for act in (lambda: set_up(wheelhouse.plan(engine)), lambda: folders.uninstall(engine)):
        with pytest.raises(EnvironmentProblem, match="other files"):
            act()
    assert thesis.exists()


def test_one_that_was_killed_before_it_got_its_name_is_finished_without_installing_again(
    standing: Path, wheelhouse: Wheelhouse
) -> None:
    standing.rename(folders.new_folder(standing))
    lines: list[str] = []
    set_up(wheelhouse.plan(standing), Listener(lines.append))
    assert lines == [f"The engine in {standing} is ready."]
    assert engine_python().exists()


def test_uninstalling_removes_all_of_it(standing: Path) -> None:
    folders.new_folder(standing).mkdir()
    folders.downloads_folder(standing).mkdir()
    folders.uninstall(standing)
    assert beside(standing) == set()
    folders.uninstall(standing)


@pytest.mark.slow
def test_killed_at_five_random_moments_it_is_repaired(engine: Path, wheelhouse: Wheelhouse, unproved: None) -> None:
    draw = random.Random(20261126)
    kills_at_work = 0
    for _ in range(5):
        child = start_in_a_process(engine, wheelhouse)
        time.sleep(draw.uniform(0.3, 4.5))
        kills_at_work += child.poll() is None
        child.kill()
        child.communicate()
        deadline = time.monotonic() + 30
        while running_in(engine.parent) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not running_in(engine.parent), "pip goes on without whoever wanted it"
    assert kills_at_work >= 2
    set_up(wheelhouse.plan(engine))
    assert engine_python().exists()
    assert beside(engine) == {"engine", "engine.lock", "engine.users"}


def start_in_a_process(engine: Path, wheelhouse: Wheelhouse) -> subprocess.Popen[str]:
    lock = wheelhouse.lock
    return subprocess.Popen(
        [sys.executable, "-c", IN_A_PROCESS, *map(str, (engine, wheelhouse.folder, lock.folder, lock.machines[0]))],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_a_full_disk_is_called_by_its_name_and_gets_its_room_back(engine: Path, tmp_path: Path, unproved: None) -> None:
    heavy = make_wheelhouse(tmp_path / "heavy wheels", SITE_PACKAGES, ballast_bytes=100_000_000)
    with small_disk(engine.parent, "60M"):
        with pytest.raises(EnvironmentProblem, match="the disk is full, so free some space"):
            set_up(heavy.plan(engine))
        assert folders.size_bytes(engine.parent) < 1_000_000


def test_too_little_room_is_told_before_anything_starts(
    engine: Path, wheelhouse: Wheelhouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    (wheelhouse.lock.folder / "download_bytes.json").write_text('{"tiny": 1000000000000000}')
    lines: list[str] = []
    with pytest.raises(EnvironmentProblem, match=r"needs about .* GB in .* GB are free"):
        set_up(wheelhouse.plan(engine), Listener(lines.append))
    assert lines == []


def test_a_graphics_card_that_does_not_compute_is_told_in_words(wheelhouse: Wheelhouse, engine: Path) -> None:
    plan = wheelhouse.plan(engine)
    plan = replace(plan, lock=replace(wheelhouse.lock, build=Build.CUDA), reason="Computes on the RTX A2000.")
    on_processor = building._note(plan, Proof("cpu, 4 threads"))
    assert "could not be used after all" in on_processor
    assert "(cpu, 4 threads)" in on_processor
    on_card = building._note(plan, Proof("cuda, RTX A2000", provider="CUDAExecutionProvider"))
    assert on_card == "It works (cuda, RTX A2000). Computes on the RTX A2000."
    assert "Decrappify on the processor" in building._note(plan, Proof("cuda, A", provider="CPUExecutionProvider"))


def test_a_half_made_one_makes_way_for_another(standing: Path) -> None:
    (standing / "ready.json").unlink()
    (standing / "of the half-made one").touch()
    with pytest.raises(EnvironmentMissing, match="half set up"):
        engine_python()
    set_up(make_plan(Wishes(own_environment=Path(sys.executable))))
    assert engine_python() == Path(sys.executable)
    assert not (standing / "of the half-made one").exists()
    assert beside(standing) == {"engine", "engine.lock", "engine.users"}


def test_an_administrators_environment_is_proved_and_used_as_it_is(engine: Path) -> None:
    python = Path(sys.executable)
    state = set_up(make_plan(Wishes(own_environment=python)))
    assert engine_python() == python
    assert state["versions"]["torch"]
    assert not (engine / "pyvenv.cfg").exists()
    folders.uninstall(engine)
    assert python.exists()


def test_a_python_without_torch_is_refused_with_its_reason(engine: Path) -> None:
    bare = Path(sysconfig.get_config_var("BINDIR")) / "python3"
    with pytest.raises(EnvironmentProblem, match="The engine does not work here"):
        set_up(make_plan(Wishes(own_environment=bare)))
    with pytest.raises(EnvironmentMissing):
        engine_python()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_real_installation_with_hashes_enhances(engine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setenv(environment.LOCATION_VARIABLE, str(engine))
    try:
        state = set_up(make_plan(Wishes(python=Path(sys.executable))))
    except EnvironmentProblem as problem:
        if "cannot be reached" in str(problem):
            pytest.skip("no package index can be reached")
        raise
    assert engine_python().exists()
    assert state["lock"]
    assert state["device"]
