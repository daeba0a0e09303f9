"""Make the plugin's zip: what QGIS installs, under the folder headland/. The same files give the same bytes.

Of what lies in the plugin's folders only what git knows goes in; without git, what has a plugin file's ending.
"""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("bridge", "engine", "i18n", "models", "processing", "ui")
LEFT_OUT = {"__pycache__", "training"}
PACKAGE_ENDINGS = {".py", ".svg", ".ui", ".json", ".md", ".npz", ".onnx", ".qm", ".txt"}
ROOT_FILES = ("__init__.py", "plugin.py", "metadata.txt", "LICENSE")
# The README, and what it shows and links to.
DOCUMENTS = ("README.md", "CHANGELOG.md", "ARCHITECTURE.md", "CONTRIBUTING.md")
DOCUMENT_ENDINGS = {".md", ".png"}
# The oldest time that a zip can hold: when something was built does not matter.
EPOCH = (1980, 1, 1, 0, 0, 0)


def plugin_files(root: Path) -> list[PurePosixPath]:
    """Return what belongs to the installed plugin, relative to ``root``, in a fixed order."""
    known = _files_that_git_knows(root)
    found = _all_files(root) if known is None else known
    return sorted(path for path in found if belongs_to_plugin(path) and (root / path).is_file())


def belongs_to_plugin(path: PurePosixPath) -> bool:
    """Whether a file is part of the installed plugin, by its place and ending."""
    if str(path) in (*ROOT_FILES, *DOCUMENTS):
        return True
    if any(part.startswith(".") or part in LEFT_OUT for part in path.parts):
        return False
    if path.parts[0] == "docs":
        return path.suffix in DOCUMENT_ENDINGS
    return path.parts[0] in PACKAGES and path.suffix in PACKAGE_ENDINGS


def make_zip(root: Path, archive: Path) -> int:
    """Write ``archive`` and return the number of files in it."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    files = plugin_files(root)
    for card in (path for path in files if path.parts[0] == "models" and path.suffix == ".json"):
        model = card.with_name(json.loads((root / card).read_text(encoding="utf-8"))["file"])
        if model not in files:
            raise SystemExit(f"{model} is not among the files that git knows, though {card} names it; add it first.")
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as package:
        for path in files:
            entry = zipfile.ZipInfo(f"headland/{path}", EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            # Unix, a plain file that everybody may read: not this checkout's own permissions.
            entry.create_system = 3
            entry.external_attr = 0o100644 << 16
            package.writestr(entry, (root / path).read_bytes())
    return len(files)


def _files_that_git_knows(root: Path) -> list[PurePosixPath] | None:
    """Return the tracked files, None if ``root`` is not a checkout of its own or there is no git."""
    if not (root / ".git").exists():
        return None
    try:
        listing = subprocess.run(["git", "ls-files", "-z"], cwd=root, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return [PurePosixPath(name) for name in listing.stdout.split("\0") if name]


def _all_files(root: Path) -> Iterator[PurePosixPath]:
    """Yield what may belong to the plugin: the other folders hold whole environments."""
    paths = [root / name for name in (*ROOT_FILES, *DOCUMENTS)]
    for folder in (*PACKAGES, "docs"):
        paths += (root / folder).rglob("*")
    return (PurePosixPath(path.relative_to(root).as_posix()) for path in paths)


def main() -> None:
    """Run the command line: package.py ARCHIVE."""
    archive = Path(sys.argv[1])
    count = make_zip(ROOT, archive)
    print(f"{archive}: {count} files, {archive.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
