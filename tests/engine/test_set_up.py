"""Setting the engine up, through a real pip and a real proof, from tiny wheels that stand in for the large ones."""

from __future__ import annotations

import base64
import os
import random
import shutil
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headland.engine import environment
from headland.engine.environment import EnvironmentMissing, EnvironmentProblem, engine_python, read_ready_file
from headland.engine.installing import building, folders
from headland.engine.installing.building import Listener, set_up
from headland.engine.installing.network import Network, Proxy
from headland.engine.installing.pip_install import Computer, Run, Sources, download
from headland.engine.installing.plan import Wishes, make_plan
from headland.engine.installing.running import SetUpCancelled
from headland.tests.support.wheelhouse import Wheelhouse, make_wheelhouse, spoil_hash

# Where the packages of the engine are that these tests run in.
SITE_PACKAGES = Path(np.__file__).parents[1]
IN_A_PROCESS = """
import sys
from pathlib import Path
from headland.engine.installing.building import Listener, set_up
from headland.engine.installing.locks import Build, Lock
from headland.engine.installing.pip_install import Computer, Run, Sources, download
from headland.engine.installing.plan import SetUpPlan
from headland.engine.installing.pythons import find_python
engine, wheels, locks, machine = sys.argv[1:]
lock = Lock("tiny", Build.CPU, sys.platform, (machine,), folder=Path(locks))
plan = SetUpPlan(Path(engine), find_python(Path(sys.executable)), lock, "A test.", Sources(wheels=Path(wheels)))
set_up(plan, Listener(on_line=lambda line: print(line, flush=True)))
"""


@pytest.fixture(autouse=True)
def _plain_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    """What pip has been told on this computer has no say."""
    for name in [name for name in os.environ if name.startswith("PIP_") or name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the engine goes; nothing is there yet."""
    folder = tmp_path / "Motor für QGIS, 大地" / "engine"
    monkeypatch.setenv(environment.LOCATION_VARIABLE, str(folder))
    return folder


@pytest.fixture
def wheelhouse(tmp_path: Path) -> Wheelhouse:
    """Wheels of which an engine that works can be made."""
    return make_wheelhouse(tmp_path / "wheel house", SITE_PACKAGES)


@pytest.fixture
def unproved(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests that end before the proof, or are about something else and short of time."""
    monkeypatch.setattr(building, "prove", lambda *_arguments: building.Proof("cpu, 1 threads"))


def beside(engine: Path) -> set[str]:
    return {each.name for each in engine.parent.iterdir()}


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
    assert beside(first_time.engine) == {"engine", "engine.lock"}
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
    folders.put_in_place(new, standing)
    assert engine_python().exists()
    assert not (standing / "of the old one").exists()
    assert beside(standing) == {"engine"}


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
    for _ in range(5):
        child = start_in_a_process(engine, wheelhouse)
        time.sleep(draw.uniform(0.3, 4.5))
        child.kill()
        child.communicate()
        deadline = time.monotonic() + 5
        while running_in(engine.parent) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not running_in(engine.parent), "pip goes on without whoever wanted it"
    set_up(wheelhouse.plan(engine))
    assert engine_python().exists()
    assert beside(engine) == {"engine", "engine.lock"}


def start_in_a_process(engine: Path, wheelhouse: Wheelhouse) -> subprocess.Popen[str]:
    lock = wheelhouse.lock
    return subprocess.Popen(
        [sys.executable, "-c", IN_A_PROCESS, *map(str, (engine, wheelhouse.folder, lock.folder, lock.machines[0]))],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def running_in(folder: Path) -> list[int]:
    """Return the processes whose command names something in ``folder``."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = entry.read_bytes()
        except OSError:
            continue
        if str(folder).encode() in command:
            found.append(int(entry.parent.name))
    return found


@contextmanager
def small_disk(folder: Path, size_mb: int) -> Iterator[None]:
    folder.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size_mb}m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("no file system can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may mount a small disk")
def test_a_full_disk_is_called_by_its_name_and_gets_its_room_back(engine: Path, tmp_path: Path, unproved: None) -> None:
    heavy = make_wheelhouse(tmp_path / "heavy wheels", SITE_PACKAGES, ballast_bytes=100_000_000)
    with small_disk(engine.parent, 60):
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


class PasswordProxy(BaseHTTPRequestHandler):
    """A proxy that serves an index itself, to whoever knows the password."""

    wheels: Path
    password = "geheim@/b:%ro"
    seen: list[str]

    def do_CONNECT(self) -> None:
        self.send_response(407, "Proxy Authentication Required")
        self.end_headers()

    def do_GET(self) -> None:
        wanted = base64.b64encode(f"anna:{self.password}".encode()).decode()
        self.seen.append(self.headers.get("Proxy-Authorization", ""))
        if self.seen[-1] != f"Basic {wanted}":
            self.send_response(407)
            self.send_header("Proxy-Authenticate", 'Basic realm="office"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        wheel = self.wheels / self.path.rpartition("/")[2]
        if wheel.is_file():
            content, kind = wheel.read_bytes(), "application/octet-stream"
        else:
            links = "".join(f'<a href="/{each.name}">{each.name}</a>' for each in self.wheels.glob("*.whl"))
            content, kind = f"<!DOCTYPE html><html><body>{links}</body></html>".encode(), "text/html"
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_arguments: object) -> None:
        """Be quiet."""


@pytest.fixture
def proxy(wheelhouse: Wheelhouse, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Sources]]:
    """A proxy on this machine; called with a password, it returns the sources that use it."""
    PasswordProxy.wheels, PasswordProxy.seen = wheelhouse.folder, []
    server = ThreadingHTTPServer(("127.0.0.1", 0), PasswordProxy)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("PIP_INDEX_URL", "http://index.invalid/simple")
    monkeypatch.setenv("PIP_TRUSTED_HOST", "index.invalid")
    yield lambda password: Sources(Network(Proxy("127.0.0.1", server.server_port, "anna", password)))
    server.shutdown()
    server.server_close()


def test_a_proxy_gets_its_password_and_no_log_does(
    engine: Path, wheelhouse: Wheelhouse, proxy: Callable[[str], Sources], unproved: None
) -> None:
    lines: list[str] = []
    commands: list[str] = []

    def look_around() -> bool:
        commands.extend(
            entry.read_bytes().decode(errors="replace")
            for pid in running_in(engine.parent)
            for entry in [Path(f"/proc/{pid}/cmdline")]
            if entry.exists()
        )
        return False

    set_up(
        wheelhouse.plan(engine, sources=proxy(PasswordProxy.password)), Listener(lines.append, is_cancelled=look_around)
    )
    assert engine_python().exists()
    assert commands
    for secret in ("geheim", "anna"):
        assert secret not in "\n".join([*lines, *commands, repr(read_ready_file(engine))])


def test_a_proxy_that_wants_another_password_is_told_at_once(
    engine: Path, wheelhouse: Wheelhouse, proxy: Callable[[str], Sources], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://index.invalid/simple")
    with pytest.raises(EnvironmentProblem, match="wants a user name and password") as caught:
        set_up(wheelhouse.plan(engine, sources=proxy("wrong-secret")))
    assert "wrong-secret" not in caught.value.details


def test_a_wheelhouse_for_another_python_is_downloaded_with_its_hashes(
    tmp_path: Path, wheelhouse: Wheelhouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    # A variable of pip is a list, and a space its comma.
    monkeypatch.setenv("PIP_FIND_LINKS", wheelhouse.folder.as_uri())
    lock_file = wheelhouse.lock.file
    lock_file.write_text(lock_file.read_text().replace("numpy==1.0 ", 'numpy==1.0 ; python_version == "3.14" ', 1))
    folder, temporary = tmp_path / "to carry", tmp_path / "temporary"
    for each in (folder, temporary):
        each.mkdir()
    run = Run(lambda _line: None, lambda: False, temporary, temporary)
    for version, count in (("3.14", 3), ("3.12", 2)):
        download(Path(sys.executable), wheelhouse.lock, Computer(version, "x86_64"), folder, Sources(), run)
        assert len(list(folder.iterdir())) == count
        for wheel in folder.iterdir():
            wheel.unlink()
    spoil_hash(wheelhouse.lock)
    with pytest.raises(EnvironmentProblem, match="not the one that Headland was made with"):
        download(Path(sys.executable), wheelhouse.lock, Computer("3.12", "x86_64"), folder, Sources(), run)


def test_a_half_made_one_of_an_older_headland_is_replaced(standing: Path, engine: Path) -> None:
    (standing / "ready.json").unlink()
    with pytest.raises(EnvironmentMissing, match="half set up"):
        engine_python()
    set_up(make_plan(Wishes(own_environment=Path(sys.executable))))
    assert engine_python() == Path(sys.executable)


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
