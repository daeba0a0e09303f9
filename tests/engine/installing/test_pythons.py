"""Finding a Python for the engine: the layouts of QGIS and others on each system, simulated; and what will not do."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath

import pytest

from headland.engine.environment import EnvironmentProblem
from headland.engine.installing.pythons import PYTHON_VARIABLE, Surroundings, candidates, find_python


def computer(
    platform: str,
    files: list[str],
    executable: str = "",
    prefixes: tuple[str, ...] = (),
    variables: Mapping[str, str] | None = None,
    home: str = "/home/anna",
) -> Surroundings:
    """Return the surroundings of a computer that has these files and no others."""
    kind = PureWindowsPath if platform == "win32" else PurePosixPath
    there = {kind(file) for file in files}

    def names_in(folder: PurePath) -> list[str]:
        depth = len(folder.parts)
        return sorted({file.parts[depth] for file in there if folder in file.parents})

    return Surroundings(platform, executable, prefixes, variables or {}, home, names_in, lambda path: path in there)


def found_on(around: Surroundings) -> list[str]:
    return [str(place) for place in candidates(around)]


def test_the_standalone_installer_of_qgis_for_windows() -> None:
    root = r"C:\Program Files\QGIS 3.40.1"
    around = computer(
        "win32",
        [rf"{root}\apps\Python312\python.exe", rf"{root}\bin\python.exe", rf"{root}\bin\qgis-ltr-bin.exe"],
        executable=rf"{root}\bin\qgis-ltr-bin.exe",
        prefixes=(rf"{root}\apps\Python312",),
    )
    assert found_on(around) == [rf"{root}\apps\Python312\python.exe"]


def test_osgeo4w_is_found_from_its_own_program_and_by_its_variable() -> None:
    python = r"D:\GIS\OSGeo4W\apps\Python312\python.exe"
    from_program = computer("win32", [python], executable=r"D:\GIS\OSGeo4W\apps\qgis\bin\qgis-bin.exe")
    by_variable = computer("win32", [python], variables={"OSGEO4W_ROOT": r"D:\GIS\OSGeo4W"})
    assert found_on(from_program) == found_on(by_variable) == [python]


def test_outside_of_qgis_its_newest_installation_goes_first_on_windows() -> None:
    around = computer(
        "win32",
        [
            r"C:\Program Files\QGIS 3.34.4\apps\Python39\python.exe",
            r"C:\Program Files\QGIS 3.40.1\apps\Python312\python.exe",
            r"C:\Users\Änna Maria\AppData\Local\Programs\Python\Python313\python.exe",
            r"C:\Users\Änna Maria\AppData\Local\Programs\Python\Python39\python.exe",
        ],
        variables={"ProgramFiles": r"C:\Program Files", "LOCALAPPDATA": r"C:\Users\Änna Maria\AppData\Local"},
    )
    assert [PureWindowsPath(each).parent.name for each in found_on(around)] == [
        "Python312",
        "Python39",
        "Python313",
        "Python39",
    ]


def test_the_stores_python_is_passed_over_because_nobody_else_sees_what_it_writes() -> None:
    store = r"C:\Users\a\AppData\Local\Microsoft\WindowsApps"
    around = computer(
        "win32", [rf"{store}\python3.exe", r"C:\Tools\python.exe"], variables={"PATH": rf"{store};C:\Tools"}
    )
    assert found_on(around) == [r"C:\Tools\python.exe"]


@pytest.mark.parametrize(
    "below",
    ["MacOS/bin/python3", "Resources/python/bin/python3", "Frameworks/Python.framework/Versions/3.12/bin/python3"],
)
def test_the_app_bundle_of_qgis_for_macos(below: str) -> None:
    contents = "/Applications/QGIS-LTR.app/Contents"
    around = computer("darwin", [f"{contents}/{below}", f"{contents}/MacOS/QGIS"], executable=f"{contents}/MacOS/QGIS")
    assert found_on(around) == [f"{contents}/{below}"]


def test_on_macos_python_org_and_homebrew_are_found_though_path_is_short_and_apples_stub_is_not() -> None:
    framework = "/Library/Frameworks/Python.framework/Versions"
    around = computer(
        "darwin",
        [
            f"{framework}/3.9/bin/python3",
            f"{framework}/3.13/bin/python3",
            "/opt/homebrew/bin/python3.12",
            "/usr/bin/python3",
        ],
        variables={"PATH": "/usr/bin:/bin"},
    )
    assert found_on(around) == [
        f"{framework}/3.13/bin/python3",
        f"{framework}/3.9/bin/python3",
        "/opt/homebrew/bin/python3.12",
    ]


def test_on_linux_qgiss_own_python_goes_first_and_path_last() -> None:
    around = computer(
        "linux",
        ["/usr/bin/python3", "/usr/bin/python3.9", "/usr/bin/python3.13", "/home/anna/bin/python3"],
        executable="/usr/bin/python3",
        prefixes=("/usr",),
        variables={"PATH": "/home/anna/bin:/usr/bin"},
    )
    assert found_on(around) == ["/usr/bin/python3", "/usr/bin/python3.13", "/home/anna/bin/python3"]


@pytest.mark.parametrize(
    ("platform", "python", "home"),
    [
        ("linux", "/home/anna/.local/share/uv/python/cpython-3.12.4-linux-x86_64-gnu/bin/python3", "/home/anna"),
        (
            "win32",
            r"C:\Users\a\AppData\Roaming\uv\python\cpython-3.12.4-windows-x86_64-none\python.exe",
            r"C:\Users\a",
        ),
    ],
)
def test_what_uv_has_installed_is_found(platform: str, python: str, home: str) -> None:
    assert found_on(computer(platform, [python], home=home)) == [python]


def test_no_python_at_all_is_a_sentence_that_says_what_to_install() -> None:
    with pytest.raises(EnvironmentProblem, match=r"3\.10 to 3\.14 .*none was found.*python\.org"):
        find_python(around=computer("win32", []))


def test_the_one_that_a_person_names_is_the_only_one_considered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PYTHON_VARIABLE, "/no/such/python")
    with pytest.raises(EnvironmentProblem, match="/no/such/python does not run"):
        find_python()
    assert find_python(Path(sys.executable)).version[:2] == sys.version_info[:2]


def test_a_virtual_environments_python_stands_for_its_base() -> None:
    found = find_python(Path(sys.executable)).path
    is_virtual = subprocess.run(
        [str(found), "-I", "-c", "import sys; print(sys.prefix != sys.base_prefix)"], capture_output=True, check=True
    )
    assert is_virtual.stdout.strip() == b"False"


@pytest.mark.parametrize(
    ("facts", "problem"),
    [
        ({"version": [3, 9, 18]}, "is Python 3.9.18"),
        ({"version": [3, 99, 0]}, "is Python 3.99.0"),
        ({"is_64_bit": False}, "32-bit"),
        ({"makes_environments": False}, "ensurepip"),
    ],
)
def test_an_unsuitable_python_is_refused_with_the_reason(
    tmp_path: Path, facts: dict[str, object], problem: str
) -> None:
    answer = {
        "version": [3, 11, 2],
        "base": "/usr/bin/python3",
        "is_64_bit": True,
        "makes_environments": True,
        "platform": "linux",
        "machine": "x86_64",
        **facts,
    }
    python = tmp_path / "python3"
    python.write_text(f"#!/bin/sh\necho '{json.dumps(answer)}'\n")
    python.chmod(0o755)
    with pytest.raises(EnvironmentProblem, match=problem):
        find_python(python)
