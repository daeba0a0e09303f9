"""Write down every text that people see, for translators.

usage: translations.py ROOT OUT.ts. ``make translations`` calls it. OUT.ts is Qt's format: a copy named
``headland_ne.ts``, say, goes through Qt Linguist and lrelease and lies as ``i18n/headland_ne.qm`` in the plugin, which
loads it where QGIS speaks that language.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

ROOMS = ("bridge", "ui", "processing")
CONTEXT = "Headland"
# The name of the call, and which of its arguments is the text.
CALLS = {"tr": 0, "QT_TRANSLATE_NOOP": 1}


def main(arguments: list[str]) -> int:
    """Run the command line."""
    root, out = Path(arguments[0]), Path(arguments[1])
    texts: dict[str, str] = {}
    files = [root / "plugin.py", *sorted(file for room in ROOMS for file in (root / room).rglob("*.py"))]
    for file in files:
        for text in texts_in(file.read_text(encoding="utf-8")):
            texts.setdefault(text, file.relative_to(root).as_posix())
    write(texts, out)
    print(f"{len(texts)} texts in {out}")
    return 0


def texts_in(source: str) -> Iterator[str]:
    """Yield every text of ``source`` that is shown in the user's language."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.func.id not in CALLS:
            continue
        argument = node.args[CALLS[node.func.id]]
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
            yield argument.value


def write(texts: dict[str, str], out: Path) -> None:
    """Write texts, each with the file that it was found in first."""
    root = ET.Element("TS", version="2.1")
    context = ET.SubElement(root, "context")
    ET.SubElement(context, "name").text = CONTEXT
    for text, file in sorted(texts.items()):
        message = ET.SubElement(context, "message")
        ET.SubElement(message, "location", filename=file)
        ET.SubElement(message, "source").text = text
        ET.SubElement(message, "translation", type="unfinished")
    ET.indent(root)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True) + b"\n")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
