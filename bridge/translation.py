"""Loads the translation into QGIS's language, if there is one."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from qgis.core import QgsApplication
from qgis.PyQt.QtCore import QCoreApplication, QTranslator

TRANSLATIONS = Path(__file__).resolve().parent.parent / "i18n"


def load_translation(folder: Path = TRANSLATIONS) -> Optional[QTranslator]:
    """Return the translator that is installed now, None if nobody has translated Headland into QGIS's language yet."""
    translator = QTranslator()
    # "ne_NP" finds headland_ne_NP.qm, then headland_ne.qm.
    if not translator.load(f"headland_{QgsApplication.locale()}", str(folder)):
        return None
    QCoreApplication.installTranslator(translator)
    return translator
