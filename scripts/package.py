"""Make the plugin's zip: what QGIS installs, under the folder headland/. The same files give the same bytes."""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("bridge", "engine", "models", "processing", "ui")
LEFT_OUT = {"__pycache__", "training"}
ROOT_FILES = ("*.py", "*.svg", "metadata.txt", "LICENSE", "README.md", "CHANGELOG.md")
# The oldest time that a zip can hold: when something was built does not matter.
EPOCH = (1980, 1, 1, 0, 0, 0)


def plugin_files(root: Path) -> Iterator[Path]:
    """Yield what belongs to the installed plugin, relative to ``root``, in a fixed order."""
    found = [path for pattern in ROOT_FILES for path in root.glob(pattern)]
    found += [path for package in PACKAGES for path in (root / package).rglob("*") if path.is_file()]
    relative = (path.relative_to(root) for path in found)
    return iter(sorted(path for path in relative if not LEFT_OUT.intersection(path.parts)))


def make_zip(root: Path, archive: Path) -> int:
    """Write ``archive`` and return the number of files in it."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    files = list(plugin_files(root))
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as package:
        for path in files:
            entry = zipfile.ZipInfo(f"headland/{path.as_posix()}", EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            # Unix, a plain file that everybody may read: not this checkout's own permissions.
            entry.create_system = 3
            entry.external_attr = 0o100644 << 16
            package.writestr(entry, (root / path).read_bytes())
    return len(files)


def main() -> None:
    """Run the command line: package.py ARCHIVE."""
    archive = Path(sys.argv[1])
    count = make_zip(ROOT, archive)
    print(f"{archive}: {count} files, {archive.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
