"""Tiny wheels that a real pip installs, with a lock for them: an installation without its gigabytes."""

from __future__ import annotations

import base64
import hashlib
import json
import platform
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from headland.engine.installing.locks import Build, Lock
from headland.engine.installing.pip_install import Sources
from headland.engine.installing.plan import SetUpPlan
from headland.engine.installing.pythons import find_python

NAMES = ("numpy", "onnxruntime", "torch")


@dataclass(frozen=True)
class Wheelhouse:
    """A folder of wheels and the lock that names them."""

    folder: Path
    lock: Lock

    def plan(self, engine: Path, *, is_anew: bool = False, sources: Sources | None = None) -> SetUpPlan:
        """Return the plan to install them into ``engine`` with this Python, without a network."""
        sources = Sources(wheels=self.folder) if sources is None else sources
        return SetUpPlan(engine, find_python(Path(sys.executable)), self.lock, "A test.", sources, is_anew)


def make_wheelhouse(folder: Path, site_packages: Path | None = None, ballast_bytes: int = 0) -> Wheelhouse:
    """Make wheels that are called torch, onnxruntime and numpy.

    Args:
        site_packages: where the real ones are; an environment with these wheels then finds them there.
        ballast_bytes: how much one of them unpacks to.
    """
    wheels, locks = folder / "wheels", folder / "locks"
    wheels.mkdir(parents=True)
    locks.mkdir()
    lines = []
    for name in NAMES:
        content = {f"{name}_stand_in.py": b"# Nothing but a name.\n"}
        if name == "torch" and site_packages is not None:
            content["real_packages.pth"] = f"{site_packages}\n".encode()
        if name == "onnxruntime" and ballast_bytes:
            content["ballast.bin"] = bytes(ballast_bytes)
        wheel = write_wheel(wheels, name, content)
        lines.append(f"{name}==1.0 \\\n    --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n")
    (locks / "tiny.txt").write_text("".join(lines))
    (locks / "download_bytes.json").write_text(json.dumps({"tiny": 5000}))
    lock = Lock("tiny", Build.CPU, sys.platform, (platform.machine().lower(),), folder=locks)
    return Wheelhouse(wheels, lock)


def write_wheel(folder: Path, name: str, content: dict[str, bytes], version: str = "1.0") -> Path:
    """Write a pure-Python wheel with these files."""
    info = f"{name}-{version}.dist-info"
    files = {
        **content,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},sha256={_digest(data)},{len(data)}\n" for path, data in files.items())
    wheel = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in files.items():
            archive.writestr(path, data)
        archive.writestr(f"{info}/RECORD", f"{record}{info}/RECORD,,\n")
    return wheel


def spoil_hash(lock: Lock) -> None:
    """Let the lock ask for other files than there are."""
    text = lock.file.read_text()
    last = text.rindex("sha256:") + len("sha256:")
    lock.file.write_text(text[:last] + "0" * 64 + text[last + 64 :])


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
