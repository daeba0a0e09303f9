"""Run headland:enhanceextent without a screen, in a throw-away QGIS profile, and draw what came of it.

usage: enhance.py BUILD_FOLDER [NAME=VALUE ...], where each NAME is a parameter of the algorithm. ``make enhance`` calls
it with QGIS's Python after everything is set up.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from before_after import draw_before_after
from osgeo import gdal

ROOT = Path(__file__).resolve().parent.parent
SHIPPED_SCENE = ROOT / "tests" / "data" / "s2_farmland_virginia.tif"
ALGORITHM = "headland:enhanceextent"
DEFAULTS = {"METHOD": "chain", "SCALE": "4"}


class EnhanceFailed(RuntimeError):
    """QGIS did not make the result; the text says why."""


def main(arguments: list[str]) -> int:
    """Run the command line and return the exit status."""
    build = Path(arguments[0]).absolute()
    parameters = {**DEFAULTS, **dict(argument.split("=", maxsplit=1) for argument in arguments[1:])}
    folder = build / "enhance"
    folder.mkdir(parents=True, exist_ok=True)
    source = Path(parameters.get("INPUT", SHIPPED_SCENE)).expanduser().absolute()
    output = Path(parameters.get("OUTPUT", folder / "enhanced.tif")).expanduser().absolute()
    report, picture = folder / "report.json", folder / "before_after.png"
    if "OUTPUT" in parameters:
        # What belongs to a result that is kept stays with it: the folder is the next run's.
        report, picture = output.with_suffix(".report.json"), output.with_suffix(".before_after.png")
    # QGIS wants several bands with semicolons; people write commas.
    if "BANDS" in parameters:
        parameters["BANDS"] = ";".join(parameters["BANDS"].replace(";", " ").replace(",", " ").split())
    if "MODEL" in parameters:
        parameters["MODEL"] = str(Path(parameters["MODEL"]).expanduser().absolute())
    parameters.update(INPUT=str(source), OUTPUT=str(output), REPORT=str(report))
    try:
        seconds = enhance(build / "profile", parameters, picture)
        facts = json.loads(report.read_text(encoding="utf-8"))
        source_bands = [band["number"] for band in facts["bands"]]
        draw_before_after(source, output, source_bands, _title(source, parameters), picture)
    except (EnhanceFailed, OSError, RuntimeError) as problem:
        print(problem, file=sys.stderr)
        return 1
    print(summary(facts, seconds))
    print("\n".join(f"  {path}" for path in (output, picture, report, *extras(facts))))
    return 0


def enhance(profile: Path, parameters: dict[str, str], picture: Path) -> float:
    """Run the algorithm in a new QGIS profile and return the seconds it took.

    Nothing is removed beforehand: the algorithm replaces files once the new ones are whole, and never its input.

    Args:
        picture: what will be drawn of the result.

    Raises:
        EnhanceFailed: if the input is not there or not safe, or QGIS says that it cannot be done.
    """
    source = Path(parameters["INPUT"])
    if not source.exists():
        raise EnhanceFailed(f"There is no file {source}; give an existing raster as INPUT.")
    if picture.exists() and source.samefile(picture):
        raise EnhanceFailed(f"{source} is where the new picture goes; give another raster as INPUT.")
    environment = _qgis_environment(profile, source)
    enabled = _qgis_process(["plugins", "enable", "headland"], environment, subprocess.PIPE)
    if enabled.returncode != 0:
        raise EnhanceFailed(f"QGIS does not load the plugin:\n{enabled.stdout}")
    started = time.monotonic()
    values = (f"--{name}={value}" for name, value in parameters.items())
    run = _qgis_process(["run", ALGORITHM, *values], environment, None)
    if run.returncode != 0:
        raise EnhanceFailed("QGIS did not make the result; what it says above tells why.")
    return time.monotonic() - started


def _qgis_environment(profile: Path, source: Path) -> dict[str, str]:
    """Make the profile with the plugin in it and return the environment that lets QGIS use it."""
    shutil.rmtree(profile, ignore_errors=True)
    plugins = profile / "profiles" / "default" / "python" / "plugins"
    plugins.mkdir(parents=True)
    (plugins / "headland").symlink_to(ROOT, target_is_directory=True)
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    if not _has_sidecar(source):
        # QGIS would leave statistics beside the raster. Where it has such a file, that may hold its CRS and is needed.
        environment["GDAL_PAM_ENABLED"] = "NO"
    return {
        **environment,
        "QGIS_CUSTOM_CONFIG_PATH": str(profile),
        "QT_QPA_PLATFORM": "offscreen",
        # The profile's plugin is this checkout.
        "PYTHONDONTWRITEBYTECODE": "1",
        # PyQt warns about QGIS's own start-up code.
        "PYTHONWARNINGS": "ignore::DeprecationWarning",
    }


def _has_sidecar(source: Path) -> bool:
    """Whether GDAL takes something that it knows of the raster from a file of its own beside it."""
    dataset = gdal.OpenEx(str(source), gdal.OF_RASTER)
    return dataset is not None and any(file.endswith((".aux.xml", ".aux")) for file in dataset.GetFileList() or ())


def _qgis_process(
    arguments: list[str], environment: dict[str, str], stdout: int | None
) -> subprocess.CompletedProcess[str]:
    # Debian 12's wrapper script passes an option of the desktop program on, which qgis_process refuses.
    program = shutil.which("qgis_process.bin") or shutil.which("qgis_process")
    if program is None:
        raise EnhanceFailed("There is no qgis_process on this computer; install QGIS.")
    return subprocess.run(
        [program, *arguments], env=environment, stdout=stdout, stderr=subprocess.STDOUT, text=True, check=False
    )


def _title(source: Path, parameters: dict[str, str]) -> str:
    notice = " · contains modified Copernicus Sentinel data" if source == SHIPPED_SCENE else ""
    return f"{source.name} · {parameters['METHOD']} ×{parameters['SCALE']}{notice}"


def summary(facts: dict[str, Any], seconds: float) -> str:
    """Return the report in some lines for people."""
    window, scale = facts["window"], facts["scale"]
    bands = len(facts["bands"])
    size = f"{window['width_px']} × {window['height_px']} pixels of {bands} band{'s' if bands > 1 else ''}"
    stages = ", ".join(f"{stage} {spent:.1f}" for stage, spent in facts["seconds"].items())
    return "\n".join(
        (
            f"Enhanced {size} ×{scale} in {seconds:.0f} s, QGIS's own start included",
            f"  seconds by stage: {stages}",
            f"  device: {facts['device']}",
            f"  {consistency_in_words(facts['consistency'], [band['name'] for band in facts['bands']])}",
        )
    )


def extras(facts: dict[str, Any]) -> list[str]:
    """Return the files that were wished for beside the result, as the report names them."""
    named = [facts.get(f"{name}_output") for name in ("dip", "confidence", "uncertain_areas")]
    named.append(facts.get("borders", {}).get("file"))
    return [file for file in named if file is not None]


def consistency_in_words(figures: dict[str, Any], names: list[str]) -> str:
    """Say how well the result, degraded again, agrees with its input.

    Args:
        figures: the report's ``consistency``.
        names: of the bands, "" where they have none.
    """
    shares = figures["rmse_over_noise"]
    worst = max(range(len(shares)), key=lambda index: shares[index])
    band = f" in the worst band, {names[worst] or worst + 1}" if len(shares) > 1 else ""
    verdict = "agrees with the input to within its noise" if shares[worst] <= 1.0 else "differs from the input"
    text = f"degraded again, it {verdict}: {shares[worst]:.2f} × the noise{band}"
    if figures["spectral_angle_deg"] is not None:
        text += f", colours turned by {figures['spectral_angle_deg']:.2f}°"
    if figures["shift_px"] is not None:
        text += f", shifted by {figures['shift_px']:.3f} of the input's pixels"
    return text


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as runtime_folder:
        # Qt complains where there is none, as there is not without a desktop.
        os.environ.setdefault("XDG_RUNTIME_DIR", runtime_folder)
        sys.exit(main(sys.argv[1:]))
