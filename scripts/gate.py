"""What the plugin repository asks of a plugin, asked of the built zip before anybody uploads it: gate.py FOLDER.

The repository (plugins.qgis.org) checks the zip's shape and metadata when it comes, and scans it with Bandit,
detect-secrets and flake8 in lines of 120. Here all of that has to pass, more strictly: Bandit at every severity, and
each skip stands beside its reason. qgis-plugin-analyzer adds what it knows of QGIS.
"""

from __future__ import annotations

import json
import re
import stat
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from configparser import ConfigParser, Error
from pathlib import Path, PurePosixPath
from typing import Any

PACKAGE_SCRIPT = Path(__file__).with_name("package.py")
NAME = "headland"
LARGEST_BYTES = 25_000_000
NEEDED_FILES = ("__init__.py", "metadata.txt", "LICENSE")
NEEDED_METADATA = (
    *("name", "description", "about", "version", "author", "email", "qgisMinimumVersion"),
    *("homepage", "repository", "tracker", "icon", "tags", "license", "changelog"),
)
BINARIES = {".so", ".dll", ".dylib", ".pyd", ".exe", ".bat", ".cmd", ".sh", ".ps1", ".bin", ".a", ".o", ".jar"}
CACHES = {"__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", "build", ".git", "__MACOSX"}
CACHE_ENDINGS = {".pyc", ".pyo", ".orig", ".swp", ".bak"}

# The formatter's business; the repository switches both off as well.
FLAKE8_IGNORED = ("E203", "E501")
# What qgis-plugin-analyzer finds and is not so.
NOT_SO = {
    "MISSING_I18N": "every literal counts as shown to people; what is shown goes through tr, as tests/ui checks",
    "MISSING_DOCSTRING": "functions inside of functions and overridden ones count as public",
    "MAGIC_NUMBER": "ruff's PLR2004 is the rule here, with its exceptions where they are",
    "GOD_OBJECT": "counts the imports of a file that wires others together",
    "SPAGHETTI_CODE": "counts branches; ruff's C90 and PLR09 are the rule here",
    "HIGH_COMPLEXITY": "as above",
    "POTENTIAL_MISSING_SLOT": "a signal that is connected to a signal is taken for a slot",
    "QT6_ADDACTION_MULTIARG": "QMenu.addAction(text, slot) is there in Qt 6 too; tests run under PyQt6's rules",
    "QT6_QFONTMETRICS_WIDTH": "the width of a rectangle is taken for that of QFontMetrics",
    "UNSAFE_THREAD": "the threads touch nothing of Qt's: they sweep folders and read a pipe",
    "UNSAFE_SUBPROCESS": "the commands are lists and no shell sees them, as Bandit is told beside each",
    "IFACE_AS_ARGUMENT": "QGIS itself hands it to classFactory",
}


def main(folder: Path) -> int:
    """Build the zip in ``folder``, ask every question and print the answers; return 1 if anything is wrong."""
    archive = folder / "headland.zip"
    problems = [*built_alike_twice(archive), *zip_problems(archive)]
    with tempfile.TemporaryDirectory() as name:
        unpacked = Path(name)
        with zipfile.ZipFile(archive) as content:
            content.extractall(unpacked)
        problems += [*bandit(unpacked), *secrets(unpacked), *flake8(unpacked), *analyzer(unpacked)]
    for problem in problems:
        print(problem)
    print(f"gate: {archive} has {len(problems) or 'no'} problem{'' if len(problems) == 1 else 's'}")
    return 1 if problems else 0


def built_alike_twice(archive: Path) -> Iterator[str]:
    """Build the zip twice; yield a problem if its bytes differ."""
    built = []
    for _ in range(2):
        archive.unlink(missing_ok=True)
        subprocess.run([sys.executable, str(PACKAGE_SCRIPT), str(archive)], check=True, stdout=subprocess.DEVNULL)
        built.append(archive.read_bytes())
    if built[0] != built[1]:
        yield "the same files make other bytes the second time"


def zip_problems(archive: Path) -> Iterator[str]:
    """Yield what is wrong with the shape of the zip and with its metadata."""
    if archive.stat().st_size > LARGEST_BYTES:
        yield f"the zip has {archive.stat().st_size} bytes, more than {LARGEST_BYTES}"
    with zipfile.ZipFile(archive) as content:
        entries = content.infolist()
        names = [PurePosixPath(entry.filename) for entry in entries]
        folders = {name.parts[0] for name in names}
        if folders != {NAME}:
            yield f"the zip has the folders {sorted(folders)} and not {NAME} alone"
        for entry, name in zip(entries, names):
            yield from _file_problems(name, entry.external_attr >> 16)
        for needed in NEEDED_FILES:
            if PurePosixPath(NAME, needed) not in names:
                yield f"{needed} is missing"
        if PurePosixPath(NAME, "metadata.txt") in names:
            yield from metadata_problems(content.read(f"{NAME}/metadata.txt").decode("utf-8"), set(names))


def _file_problems(name: PurePosixPath, mode: int) -> Iterator[str]:
    if ".." in name.parts or name.is_absolute():
        yield f"{name} would be unpacked somewhere else"
    if name.suffix.lower() in BINARIES:
        yield f"{name} is a program"
    if CACHES & set(name.parts) or name.suffix in CACHE_ENDINGS or any(part.startswith(".") for part in name.parts):
        yield f"{name} is a cache, or hidden"
    if mode & 0o111 and not stat.S_ISDIR(mode):
        yield f"{name} may be executed"
    if stat.S_ISLNK(mode):
        yield f"{name} is a link"


def metadata_problems(text: str, names: set[PurePosixPath]) -> Iterator[str]:
    """Yield what is wrong with metadata.txt; ``names`` are the files of the zip."""
    metadata = ConfigParser(interpolation=None)
    try:
        metadata.read_string(text)
        general = dict(metadata["general"])
    except (Error, KeyError) as error:
        yield f"metadata.txt cannot be read: {error}"
        return
    for entry in NEEDED_METADATA:
        if not general.get(entry.lower(), "").strip():
            yield f"metadata.txt does not say {entry}"
    for entry in ("homepage", "repository", "tracker"):
        if not general.get(entry, "").startswith("https://"):
            yield f"metadata.txt's {entry} is no web address"
    if not re.fullmatch(r"\d+(\.\d+)+", general.get("version", "")):
        yield "metadata.txt's version is no version"
    if PurePosixPath(NAME, general.get("icon", "")) not in names:
        yield "metadata.txt's icon is not in the zip"


def bandit(folder: Path) -> Iterator[str]:
    """Yield what Bandit finds, at any severity and confidence."""
    for found in _json_of([sys.executable, "-m", "bandit", "-r", ".", "-f", "json", "-q"], folder)["results"]:
        yield f"bandit: {found['filename']}:{found['line_number']} {found['test_id']} {found['issue_text']}"


def secrets(folder: Path) -> Iterator[str]:
    """Yield what detect-secrets takes for one."""
    for name, found in _json_of([sys.executable, "-m", "detect_secrets", "scan", "--all-files", "."], folder)[
        "results"
    ].items():
        yield from (f"detect-secrets: {name}:{each['line_number']} {each['type']}" for each in found)


def flake8(folder: Path) -> Iterator[str]:
    """Yield what flake8 finds."""
    command = [sys.executable, "-m", "flake8", "--isolated", "--max-line-length=120"]
    command += [f"--extend-ignore={','.join(FLAKE8_IGNORED)}", "."]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    yield from (f"flake8: {line}" for line in (run.stdout + run.stderr).splitlines())


def analyzer(folder: Path) -> Iterator[str]:
    """Yield what qgis-plugin-analyzer finds that is so."""
    program = Path(sys.executable).with_name("qgis-analyzer")
    command = [str(program), "analyze", NAME, "--json", "--no-cache", "--linters", "none", "-o", str(folder / "report")]
    report = _json_of(command, folder)
    for found in report["qgis_compliance"]["best_practices"]["issues"]:
        if found["type"] not in NOT_SO:
            yield f"qgis-analyzer: {found['file']}:{found['line']} {found['type']} {found['message']}"
    yield from (f"qgis-analyzer: {found}" for found in report["security"]["findings"])
    standards = report["qgis_compliance"]["repository_standards"]
    if not (report["repository_compliance"]["is_compliant"] and standards["structure"]["is_valid"]):
        yield f"qgis-analyzer: the zip's shape: {report['repository_compliance']}"
    if not standards["metadata"]["is_valid"]:
        yield f"qgis-analyzer: metadata.txt: {standards['metadata']['missing']}"


def _json_of(command: list[str], folder: Path) -> dict[str, Any]:
    """Run ``command`` in ``folder`` and return what it prints; a tool that prints nothing has checked nothing."""
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    try:
        content: dict[str, Any] = json.loads(run.stdout)
    except ValueError as error:
        raise SystemExit(f"{command[:3]} gives no answer: {run.stdout[-1000:]} {run.stderr[-1000:]}") from error
    return content


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
