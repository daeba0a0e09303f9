"""Write ``engine/locks/``: for each kind of computer every package of the engine, with its version and SHA-256.

The resolver is uv, asked for each platform and Python in turn; what differs by Python gets a marker that names the
Pythons one by one, so that neither a reader nor ``engine/installing/locks.py`` needs a marker language. Of each release
only the wheels that such a computer could take are listed. No address is written: where packages come from is pip's
business.

usage: lock_engine.py UV        (the program; ``make locks`` brings it)
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import tomllib
from packaging.utils import parse_wheel_filename

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ROOT / "engine" / "locks"
TORCH_WHEELS = Path(__file__).with_name("torch_wheels.json")
PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
# With torch of a build that the usual index lacks, these come along or are not needed.
OF_TORCH_FOR_CUDA = ("torch", "triton", "nvidia-", "cuda-")
# The largest that a wheel may ask of a Linux: what torch asks itself.
NEWEST_GLIBC = 28


@dataclass(frozen=True)
class Target:
    """A lock to make: its name, requirements, uv's words for the platform, and how its wheels' tags begin and end."""

    name: str
    requirements: str
    uv_platforms: tuple[str, ...]
    tag: tuple[str, tuple[str, ...]]
    pythons: tuple[str, ...] = PYTHONS


TARGETS = (
    Target(
        "linux-cpu",
        "requirements.txt",
        ("x86_64-manylinux_2_28", "aarch64-manylinux_2_28"),
        ("manylinux", ("_x86_64", "_aarch64")),
    ),
    Target("linux-cuda", "requirements-cuda.txt", ("x86_64-manylinux_2_28",), ("manylinux", ("_x86_64",))),
    Target("windows-cpu", "requirements.txt", ("x86_64-pc-windows-msvc",), ("win", ("_amd64",))),
    Target("windows-cuda", "requirements-cuda.txt", ("x86_64-pc-windows-msvc",), ("win", ("_amd64",)), PYTHONS[2:]),
    Target("macos", "requirements.txt", ("aarch64-apple-darwin",), ("macosx", ("_arm64", "_universal2"))),
)


@dataclass
class Package:
    """A release that some Pythons get."""

    pythons: set[str] = field(default_factory=set)
    sha256: set[str] = field(default_factory=set)


def main(uv: str) -> None:
    """Write all locks and the table of their sizes."""
    own_torch = json.loads(TORCH_WHEELS.read_text(encoding="utf-8"))
    sizes = {}
    for target in TARGETS:
        packages, size_bytes = lock(uv, target, has_own_torch=target.name in own_torch)
        header = f"# Made by scripts/lock_engine.py from engine/{target.requirements}; not to be edited.\n"
        write(LOCKS / f"{target.name}.txt", header, packages, target.pythons)
        if target.name in own_torch:
            torch = own_torch[target.name]
            releases = {
                ("torch", torch["version"]): Package(set(target.pythons), set().union(*torch["sha256"].values()))
            }
            note = "# Of PyTorch's own index; where the hashes are from: scripts/torch_wheels.json.\n"
            write(LOCKS / f"{target.name}-torch.txt", header + note, releases, target.pythons)
            size_bytes += torch["size_bytes"]
        sizes[target.name] = size_bytes
        print(f"{target.name}: {len(packages)} releases, {size_bytes / 1e6:.0f} MB at most")
    (LOCKS / "download_bytes.json").write_text(json.dumps(sizes, indent=2) + "\n", encoding="utf-8")


def lock(uv: str, target: Target, *, has_own_torch: bool) -> tuple[dict[tuple[str, str], Package], int]:
    """Resolve ``target`` for each of its Pythons; return the releases and the size of the largest download."""
    packages: dict[tuple[str, str], Package] = {}
    largest = 0
    for platform in target.uv_platforms:
        for python in target.pythons:
            total = 0
            for entry in resolve(uv, target.requirements, platform, python):
                if has_own_torch and entry["name"].startswith(OF_TORCH_FOR_CUDA):
                    continue
                wheels = [wheel for wheel in entry["wheels"] if fits(wheel_name(wheel), python, target.tag)]
                if not wheels:
                    raise SystemExit(f"{entry['name']} {entry['version']} has no wheel for {platform}, {python}")
                package = packages.setdefault((entry["name"], entry["version"]), Package())
                package.pythons.add(python)
                package.sha256 |= {wheel["hashes"]["sha256"] for wheel in wheels}
                total += max(wheel["size"] for wheel in wheels)
            largest = max(largest, total)
    return packages, largest


def resolve(uv: str, requirements: str, platform: str, python: str) -> list[dict]:
    """Return the packages of uv's answer."""
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "pylock.toml"
        command = [uv, "pip", "compile", "--quiet", "--no-config", "--only-binary", ":all:", "--format", "pylock.toml"]
        command += ["--python-platform", platform, "--python-version", python, "--output-file", str(answer)]
        # The oldest that torch runs on; without it uv takes an older one.
        variables = {**os.environ, "MACOSX_DEPLOYMENT_TARGET": "14.0"}
        command.append(str(ROOT / "engine" / requirements))
        subprocess.run(command, env=variables, check=True, stdout=subprocess.DEVNULL)
        packages = tomllib.loads(answer.read_text(encoding="utf-8"))["packages"]
    return list(packages)


def wheel_name(wheel: dict) -> str:
    """Return the file name of an entry of uv's answer."""
    return wheel["url"].rpartition("/")[2].replace("%2B", "+")


def fits(name: str, python: str, platform: tuple[str, tuple[str, ...]]) -> bool:
    """Whether a CPython of this version on this kind of computer could install the wheel ``name``."""
    number = int(python.partition(".")[2])
    for tag in parse_wheel_filename(name)[3]:
        is_right_platform = tag.platform == "any" or (
            tag.platform.startswith(platform[0])
            and tag.platform.endswith(platform[1])
            and glibc_of(tag.platform) <= NEWEST_GLIBC
        )
        is_exact = tag.interpreter == f"cp3{number}" and tag.abi in (f"cp3{number}", "none")
        is_stable = tag.abi == "abi3" and tag.interpreter.startswith("cp3") and int(tag.interpreter[3:] or 0) <= number
        if is_right_platform and (is_exact or is_stable or tag.interpreter in ("py3", f"py3{number}")):
            return True
    return False


def glibc_of(platform: str) -> int:
    """Return the minor version of glibc that a tag such as manylinux_2_28_x86_64 asks for; 0 for others."""
    parts = platform.split("_")
    return int(parts[2]) if parts[0] == "manylinux" and parts[1] == "2" else 0


def write(file: Path, header: str, packages: dict[tuple[str, str], Package], pythons: tuple[str, ...]) -> None:
    """Write one lock as pip's requirements."""
    lines = [header]
    for (name, version), package in sorted(packages.items()):
        marker = " or ".join(f'python_version == "{each}"' for each in pythons if each in package.pythons)
        where = "" if package.pythons == set(pythons) else f" ; {marker}"
        hashes = "".join(f" \\\n    --hash=sha256:{sha256}" for sha256 in sorted(package.sha256))
        lines.append(f"{name}=={version}{where}{hashes}\n")
    file.write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
