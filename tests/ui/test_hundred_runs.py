"""An afternoon's work: a hundred runs in a row, every fourth with the real engine, leave nothing and QGIS no larger."""

from __future__ import annotations

import gc
import os
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot
from qgis.core import QgsApplication, QgsProject, QgsRasterLayer, QgsRectangle
from qgis.PyQt.QtCore import QCoreApplication, QEvent

from headland.engine import environment
from headland.tests.support.fixtures import UseEngine
from headland.tests.support.person import Person
from headland.tests.support.window import Window
from headland.ui.dock_widget import EnhanceDock
from headland.ui.live_preview import LINGER_MS

RUNS, WARM_UP = 100, 10
LOOK = 9
# Layers that come of a run that is cancelled, and of two that are queued; one of each other.
RESULTS = {1: 0, 3: 2}
MOST_GROWTH_BYTES = 50_000_000
TIMEOUT_MS = 120_000
# Each single wait has its limit; a quarter of the runs load the engine's libraries, which a busy machine does slowly.
ALL_RUNS_S = 1800
# Forty pixels a side: what counts here is how often, not how long. The real engine loads its libraries each time.
VIEW = QgsRectangle(444200, 4177600, 444600, 4178000)


@dataclass(frozen=True)
class Left:
    """What is there that a run could have left behind."""

    layers: list[str]
    canvas_items: int
    python_threads: int
    children: list[str]
    tasks: int
    files: list[str]

    @classmethod
    def now(cls, window: Window, folder: Path) -> Left:
        private = [path.name for path in Path(tempfile.gettempdir()).iterdir()]
        return cls(
            layers=sorted(QgsProject.instance().mapLayers()),
            canvas_items=len(window.canvas.scene().items()),
            python_threads=threading.active_count(),
            children=(Path("/proc/self/task") / str(os.getpid()) / "children").read_text(encoding="ascii").split(),
            tasks=QgsApplication.taskManager().count(),
            files=sorted(path.name for path in folder.rglob("*") if path.suffix != ".xml") + private,
        )


def resident_bytes() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Analyst:
    """Enhances again and again, mostly to the end."""

    def __init__(self, dock: EnhanceDock, source: QgsRasterLayer, output: Path, qtbot: QtBot) -> None:
        self._dock, self._source, self._output, self._qtbot = dock, source, output, qtbot
        self._person = Person(qtbot)

    def work(self, number: int) -> None:
        """Do the run of this number: one in ten is cancelled, one stopped early, one a quick look, one queued."""
        self._dock.advanced_box.seed_box.setValue(number)
        self._qtbot.waitUntil(self._dock.enhance_button.isEnabled, timeout=TIMEOUT_MS)
        kind = number % 10
        if kind == LOOK:
            self._look()
            return
        self._dock.output_box.setFilePath(str(self._output))
        self._person.click(self._dock.enhance_button)
        if kind == 1:
            self._person.click(self._dock.cancel_button)
        elif kind == 2:
            self._person.click(self._dock.run_box.finish_button)
        elif kind == 3:
            self._person.choose(self._dock.method_box, "Decrappify only")
            self._dock.output_box.setFilePath(str(self._output.with_name("second.tif")))
            self._person.click(self._dock.enhance_button)
            self._person.choose(self._dock.method_box, "Anchor (no network)")
        self._wait()
        assert len(self._results()) == RESULTS.get(kind, 1)
        assert self._dock.notice.sentence == ""
        if kind == 4:
            assert self._dock.result_panel.compare_box.isEnabled()
            self._person.click(self._dock.result_panel.compare_box.swipe_button)
            self._qtbot.wait(100)
        self._clear_away()

    def _look(self) -> None:
        self._person.click(self._dock.look_button)
        self._qtbot.waitUntil(lambda: self._dock.live_preview.has_picture, timeout=TIMEOUT_MS)
        self._person.click(self._dock.run_box.finish_button)
        self._wait()
        assert self._dock.live_preview.has_picture
        self._person.click(self._dock.look_button)
        assert not self._dock.live_preview.has_picture
        assert self._results() == []

    def _results(self) -> list[str]:
        """The ids of the layers that came of the runs."""
        return [key for key in QgsProject.instance().mapLayers() if key != self._source.id()]

    def _wait(self) -> None:
        self._qtbot.waitUntil(self._dock.run_box.isHidden, timeout=TIMEOUT_MS)

    def _clear_away(self) -> None:
        """Remove the results, as a person does who has drawn the fields."""
        QgsProject.instance().removeMapLayers(self._results())
        self._dock.parentWidget().message_bar.clearWidgets()
        self._dock.output_box.setFilePath("")


@pytest.fixture
def source(scene: Path, window: Window, project: QgsProject) -> Iterator[QgsRasterLayer]:
    layer = project.addMapLayer(QgsRasterLayer(str(scene), "Fields 2024"))
    window.canvas.setDestinationCrs(layer.crs())
    window.canvas.setLayers([layer])
    window.canvas.setExtent(VIEW)
    return layer


@pytest.fixture
def own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One in which nobody else's files come and go."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    return temporary


@pytest.mark.slow
@pytest.mark.timeout(ALL_RUNS_S)
@pytest.mark.usefixtures("own_temporary_folder")
def test_a_hundred_runs_in_a_row_leave_nothing_behind_and_qgis_no_larger(
    dock: EnhanceDock,
    source: QgsRasterLayer,
    folder: Path,
    use_engine: UseEngine,
    qtbot: QtBot,
) -> None:
    window = dock.parentWidget()
    engines = [environment.location(), *[use_engine("repeat").folder] * 3]
    drawing = use_engine("draw").folder
    Person(qtbot).choose(dock.method_box, "Anchor (no network)")
    analyst = Analyst(dock, source, folder / "result.tif", qtbot)
    for number in range(RUNS):
        engine = drawing if number % 10 == LOOK else engines[number % len(engines)]
        os.environ[environment.LOCATION_VARIABLE] = str(engine)
        analyst.work(number)
        if number == WARM_UP:
            settle(qtbot)
            before, before_bytes = Left.now(window, folder), resident_bytes()
    settle(qtbot)
    assert Left.now(window, folder) == before
    assert resident_bytes() - before_bytes < MOST_GROWTH_BYTES


def settle(qtbot: QtBot) -> None:
    """Let what is to be deleted go, and the preview that lingers until the map is drawn."""
    qtbot.wait(LINGER_MS + 500)
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
