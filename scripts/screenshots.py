"""Take pictures of the dock in a real QGIS window, on a screen of their own, in a throw-away profile.

usage: screenshots.py BUILD_FOLDER. ``make screenshots`` calls it with QGIS's Python after everything is set up. The
pictures go into BUILD_FOLDER/screenshots, those of the dock in the dark theme and at twice the scaling into folders of
their own; what is done inside QGIS is in ``screenshots_in_qgis.py``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SCENE = ROOT / "tests" / "data" / "s2_farmland_virginia.tif"
INSIDE_QGIS = Path(__file__).with_name("screenshots_in_qgis.py")
SCREEN = "2560x1600x24"
TIMEOUT_S = 600
# The plugin is on. Without a desktop, QGIS's notifications would land in the message bar.
SETTINGS = """
[PythonPlugins]
headland=true

[qgis]
checkVersion=false

[UI]
UITheme={theme}

[app]
minTaskLengthForSystemNotification=100000
"""


@dataclass(frozen=True)
class Look:
    """What QGIS looks like.

    Attributes:
        name: the folder of the pictures, "" for the usual look, of which there are pictures of the whole window.
        theme: QGIS's name of it; it takes all of it on only as it starts.
        scaling: screen pixels to one of Qt's.
    """

    name: str = ""
    theme: str = "default"
    scaling: str = "1"


LOOKS = (Look(), Look("dark", theme="Night Mapping"), Look("scaling_200", scaling="2"))


class ScreenshotsFailed(RuntimeError):
    """There are no pictures; the text says why."""


def main(arguments: list[str]) -> int:
    """Run the command line and return the exit status."""
    pictures = Path(arguments[0]).absolute() / "screenshots"
    shutil.rmtree(pictures, ignore_errors=True)
    try:
        for look in LOOKS:
            (pictures / look.name).mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory() as folder, screen() as display:
                take(pictures / look.name, Path(folder), display, look)
    except (ScreenshotsFailed, OSError, subprocess.TimeoutExpired) as problem:
        print(problem, file=sys.stderr)
        return 1
    print("\n".join(f"  {picture}" for picture in sorted(pictures.rglob("*.png"))))
    return 0


def take(pictures: Path, folder: Path, display: str, look: Look) -> None:
    """Run QGIS on ``display`` with everything that it writes below ``folder``.

    Raises:
        ScreenshotsFailed: if QGIS says so.
    """
    program = shutil.which("qgis.bin") or shutil.which("qgis")
    if program is None:
        raise ScreenshotsFailed("There is no QGIS on this computer; install it.")
    profile = folder / "profiles" / "default"
    plugins = profile / "python" / "plugins"
    plugins.mkdir(parents=True)
    (plugins / "headland").symlink_to(ROOT, target_is_directory=True)
    (profile / "QGIS").mkdir()
    (profile / "QGIS" / "QGIS3.ini").write_text(SETTINGS.format(theme=look.theme), encoding="utf-8")
    scene = shutil.copy(SCENE, folder / "Sentinel-2.tif")
    own = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    environment = {
        **own,
        "DISPLAY": display,
        "QT_QPA_PLATFORM": "xcb",
        "XDG_RUNTIME_DIR": str(folder),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HEADLAND_SCENE": scene,
        "HEADLAND_PICTURES": str(pictures),
        "HEADLAND_CACHE": str(folder / "cache"),
        "HEADLAND_DOCK_ENOUGH": "yes" if look.name else "no",
        "QT_SCALE_FACTOR": look.scaling,
    }
    command = [program, "--nologo", "--noversioncheck", "--profiles-path", str(folder), "--code", str(INSIDE_QGIS)]
    run = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=TIMEOUT_S, check=False
    )
    if run.returncode != 0:
        raise ScreenshotsFailed(f"QGIS did not take the pictures:\n{run.stdout.decode(errors='replace')}")


@contextmanager
def screen() -> Iterator[str]:
    """Yield the name of a display that exists only in memory.

    Raises:
        ScreenshotsFailed: if there cannot be one.
    """
    program = shutil.which("Xvfb")
    if program is None:
        raise ScreenshotsFailed("There is no Xvfb on this computer; install it (Debian: xvfb).")
    read_end, write_end = os.pipe()
    command = [program, "-displayfd", str(write_end), "-screen", "0", SCREEN, "-nolisten", "tcp"]
    server = subprocess.Popen(command, pass_fds=[write_end], stderr=subprocess.DEVNULL)
    os.close(write_end)
    try:
        with os.fdopen(read_end) as pipe:
            number = pipe.readline().strip()
        if not number:
            raise ScreenshotsFailed("Xvfb did not start.")
        yield f":{number}"
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
