"""Which packages a computer gets: by system, processor, Python and graphics card; and that the locks are whole."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from headland.engine.environment import REQUIREMENTS_FILE, EnvironmentProblem
from headland.engine.installing.graphics import GraphicsCard, parse_cards, parse_version_file
from headland.engine.installing.locks import LOCKS, LOCKS_FOLDER, Build, Lock, choose_lock, lines_for
from headland.engine.installing.pythons import Python

RTX = GraphicsCard("NVIDIA RTX A2000", "580.82.07", 6138, (8, 6))
PASCAL = GraphicsCard("NVIDIA GeForce GTX 1080", "580.82.07", 8192, (6, 1))
OLD_DRIVER = GraphicsCard("NVIDIA GeForce RTX 3060", "535.183.01", 12288, (8, 6))
PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")


def python(platform: str, machine: str, version: tuple[int, ...] = (3, 12, 1)) -> Python:
    return Python(Path("/usr/bin/python3"), version, True, True, platform, machine)


@pytest.mark.parametrize(
    ("platform", "machine", "cards", "name", "reason"),
    [
        ("linux", "x86_64", (), "linux-cpu", "no NVIDIA driver was found"),
        ("linux", "x86_64", (RTX,), "linux-cuda", "NVIDIA RTX A2000"),
        ("linux", "x86_64", (PASCAL, RTX), "linux-cuda", "NVIDIA RTX A2000"),
        ("linux", "x86_64", (PASCAL,), "linux-cpu", "GTX 1080 is too old"),
        ("linux", "x86_64", (OLD_DRIVER,), "linux-cpu", "535.183.01, is too old; version 580"),
        ("linux", "aarch64", (RTX,), "linux-cpu", "no CUDA build for aarch64"),
        ("win32", "amd64", (), "windows-cpu", "no NVIDIA driver"),
        ("win32", "amd64", (RTX,), "windows-cuda", "NVIDIA RTX A2000"),
        ("darwin", "arm64", (), "macos", "Apple’s graphics"),
    ],
)
def test_the_lock_follows_from_system_processor_and_graphics_card(
    platform: str, machine: str, cards: tuple[GraphicsCard, ...], name: str, reason: str
) -> None:
    choice = choose_lock(python(platform, machine), Build.AUTO, cards)
    assert choice.lock.name == name
    assert reason in choice.reason


def test_the_processors_build_can_be_wished_for_in_spite_of_a_graphics_card() -> None:
    assert choose_lock(python("linux", "x86_64"), Build.CPU, (RTX,)).lock.name == "linux-cpu"


def test_the_cuda_build_can_be_wished_for_before_there_is_a_driver() -> None:
    choice = choose_lock(python("linux", "x86_64"), Build.CUDA, ())
    assert choice.lock.name == "linux-cuda"
    assert "as wished, though no NVIDIA driver" in choice.reason


def test_a_python_without_cuda_wheels_gets_the_processors_build_and_hears_why() -> None:
    choice = choose_lock(python("win32", "amd64", (3, 11, 4)), Build.AUTO, (RTX,))
    assert choice.lock.name == "windows-cpu"
    assert "needs Python 3.12 or later" in choice.reason


@pytest.mark.parametrize(
    ("platform", "machine", "wish", "sentence"),
    [
        ("darwin", "x86_64", Build.AUTO, "Intel processors of Macs"),
        ("darwin", "arm64", Build.CUDA, "Macs have no NVIDIA"),
        ("linux", "riscv64", Build.AUTO, "no packages for this system and processor"),
        ("linux", "aarch64", Build.CUDA, "There is no CUDA build for this computer"),
    ],
)
def test_a_computer_without_packages_is_told_so(platform: str, machine: str, wish: Build, sentence: str) -> None:
    with pytest.raises(EnvironmentProblem, match=sentence):
        choose_lock(python(platform, machine), wish, ())


def test_what_nvidia_smi_lists_is_read() -> None:
    listing = "NVIDIA RTX A2000, 580.82.07, 6138, 8.6\nTesla T4, 580.82.07, 15360, 7.5\n"
    assert parse_cards(listing) == (RTX, GraphicsCard("Tesla T4", "580.82.07", 15360, (7, 5)))


def test_an_old_driver_that_tells_no_capability_is_no_reason_to_try_cuda() -> None:
    (card,) = parse_cards("Quadro K2200, 470.223.02, 4041\n")
    assert card.problem() is not None
    assert parse_cards("NVIDIA-SMI has failed because it could not communicate with the driver\n") == ()


def test_linux_names_the_loaded_driver_where_nvidia_smi_is_missing() -> None:
    content = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.82.07  Wed Aug 27 15:43:02 UTC 2025\n"
    (card,) = parse_version_file(content)
    assert card.driver == "580.82.07"
    assert "does not tell" in str(card.problem())


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_package_of_a_lock_has_one_version_a_python_and_a_hash(lock: Lock) -> None:
    for version in PYTHONS:
        if tuple(map(int, version.split("."))) < lock.oldest_python:
            continue
        text = "".join(lines_for(file, version) for file in lock.files)
        names = re.findall(r"^([a-z0-9-]+)==", text, re.MULTILINE)
        assert len(names) == len(set(names))
        assert {"torch", "numpy"} < set(names)
        assert {"onnxruntime", "onnxruntime-gpu"} & set(names)
        entries = [entry for entry in re.split(r"\n(?=\S)", text) if not entry.startswith("#")]
        assert all("--hash=sha256:" in entry for entry in entries)
        assert ";" not in text.replace("; not to be", "").replace("; where the", "")


@pytest.mark.parametrize("lock", [lock for lock in LOCKS if lock.build is Build.CPU], ids=lambda lock: lock.name)
def test_a_lock_has_the_versions_that_the_requirements_pin(lock: Lock) -> None:
    pins = re.findall(r'^(\w+)==([\d.]+)(?:; python_version (<|>=) "3\.11")?', REQUIREMENTS_FILE.read_text(), re.M)
    assert {"torch", "numpy", "onnxruntime"} <= {name for name, _, _ in pins}
    for version in ("3.10", "3.12"):
        text = "".join(lines_for(file, version) for file in lock.files)
        for name, pinned, when in pins:
            if when != (">=" if version == "3.10" else "<"):
                assert re.search(rf"^{name}=={re.escape(pinned)}(\+\w+)? ", text, re.MULTILINE)


def test_what_is_for_another_python_is_left_out_of_a_lock(tmp_path: Path) -> None:
    lock_file = tmp_path / "some.txt"
    lock_file.write_text(
        '# About it.\na==1 ; python_version == "3.10" or python_version == "3.11" \\\n    --hash=sha256:00\n'
        'a==2 ; python_version == "3.12" \\\n    --hash=sha256:01\nb==3 \\\n    --hash=sha256:02\n'
    )
    assert lines_for(lock_file, "3.11").split() == [
        *("#", "About", "it."),
        *("a==1", "\\", "--hash=sha256:00"),
        *("b==3", "\\", "--hash=sha256:02"),
    ]


def test_a_lock_names_no_address() -> None:
    for lock in LOCKS:
        for file in lock.files:
            assert "://" not in file.read_text()


def test_no_address_to_fetch_from_is_in_the_engine() -> None:
    engine = LOCKS_FOLDER.parent
    files = [*engine.rglob("*.py"), *engine.rglob("*.txt"), *engine.rglob("*.json")]
    assert LOCKS_FOLDER / "linux-cpu-torch.txt" in files
    for file in files:
        assert not re.search(r"(?:https?|file)://\w", file.read_text(encoding="utf-8")), file


def test_the_download_of_each_lock_has_a_size() -> None:
    for lock in LOCKS:
        assert 100e6 < lock.download_bytes < 5e9
        assert lock.installed_bytes > lock.download_bytes
