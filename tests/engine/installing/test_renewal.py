"""An engine whose packages are older than the lock's is renewed; one whose lock was only written anew is left alone."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from headland.engine.environment import engine_python, read_ready_file
from headland.engine.installing.building import Listener, set_up
from headland.engine.installing.renewal import is_outdated
from headland.tests.support.wheelhouse import Wheelhouse, write_wheel


@pytest.fixture
def standing(engine: Path, wheelhouse: Wheelhouse, unproved: None) -> Path:
    """An engine that was set up from the wheelhouse."""
    set_up(wheelhouse.plan(engine))
    return engine


def write_lock(wheelhouse: Wheelhouse, name: str, version: str) -> None:
    """Let the lock name another version of a package, whose wheel is there."""
    wheel = write_wheel(wheelhouse.folder, name, {f"{name}_stand_in.py": b"# A newer name.\n"}, version)
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    text = wheelhouse.lock.file.read_text()
    wheelhouse.lock.file.write_text(
        re.sub(rf"^{name}==.*\n.*\n", f"{name}=={version} \\\\\n    --hash=sha256:{digest}\n", text, flags=re.MULTILINE)
    )


def test_a_lock_with_another_version_renews_an_engine_that_stands(standing: Path, wheelhouse: Wheelhouse) -> None:
    write_lock(wheelhouse, "numpy", "1.1")
    assert is_outdated(standing, [wheelhouse.lock])
    assert engine_python().exists(), "the old one works until then"
    made = standing.stat().st_ino
    lines: list[str] = []
    set_up(wheelhouse.plan(standing), Listener(lines.append))
    assert any("numpy-1.1" in line for line in lines)
    assert standing.stat().st_ino != made
    assert not is_outdated(standing, [wheelhouse.lock])
    assert (read_ready_file(standing) or {})["lock_sha256"] == wheelhouse.lock.sha256


def test_a_lock_with_another_package_renews_it_too(standing: Path, wheelhouse: Wheelhouse) -> None:
    wheelhouse.lock.file.write_text(wheelhouse.lock.file.read_text() + "sympy==1.0 \\\n    --hash=sha256:00\n")
    assert is_outdated(standing, [wheelhouse.lock])


def test_a_lock_that_was_only_written_anew_renews_nothing(standing: Path, wheelhouse: Wheelhouse) -> None:
    text = wheelhouse.lock.file.read_text()
    wheelhouse.lock.file.write_text(f"# Made by a newer program.\n{text}")
    assert not is_outdated(standing, [wheelhouse.lock])
    lines: list[str] = []
    set_up(wheelhouse.plan(standing), Listener(lines.append))
    assert lines == [f"The engine in {standing} is ready."]


def test_an_engine_of_no_known_lock_is_left_alone(standing: Path) -> None:
    assert not is_outdated(standing, [])


def test_names_are_compared_as_pip_compares_them(standing: Path, wheelhouse: Wheelhouse) -> None:
    packages = next((standing / "lib").glob("python3*")) / "site-packages"
    (packages / "Typing_Extensions-4.0.dist-info").mkdir()
    wheelhouse.lock.file.write_text(
        wheelhouse.lock.file.read_text() + "typing-extensions==4.0 \\\n    --hash=sha256:00\n"
    )
    assert not is_outdated(standing, [wheelhouse.lock])
