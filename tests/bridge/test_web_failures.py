"""A map server that fails: the message is true, nothing is left, and nobody waits for ever."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Callable

import pytest

from headland.bridge import web_source
from headland.bridge.enhance import EnhanceCancelled, EnhanceFailed, enhance
from headland.bridge.prepare import EnhancePlan
from headland.tests.support.plans import carry_out
from headland.tests.support.rasters import read_valid
from headland.tests.support.web_plans import ZOOM, one_sentence, plan_of, tiles_extent, wms_extent
from headland.tests.support.web_server import WebServer, resolution_of

pytestmark = pytest.mark.usefixtures("fake_engine", "no_pause")


@pytest.fixture
def short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server counts as silent sooner."""
    monkeypatch.setattr(web_source, "LONGEST_SILENCE_S", 0.5)


def failure(plan: EnhancePlan) -> str:
    """Carry out ``plan``, which must fail and leave nothing, and return the sentence."""
    with pytest.raises(EnhanceFailed) as error:
        carry_out(plan)
    assert list(plan.output.parent.iterdir()) == []
    assert "secret" not in error.value.sentence + error.value.details
    return one_sentence(error.value.sentence)


@pytest.fixture
def plan_for(web: WebServer, tmp_path: Path) -> Callable[..., EnhancePlan]:
    """Makes a plan whose result goes into a folder of its own."""
    target = tmp_path / "results"
    target.mkdir()

    def plan_for(kind: str = "xyz_layer", side_px: int = 300) -> EnhancePlan:
        layer = getattr(web, kind)()
        if kind == "wms_layer":
            return plan_of(layer, wms_extent(side_px * 10, side_px * 10), resolution=10.0, output=target / "out.tif")
        extent = tiles_extent(side_px, side_px)
        return plan_of(layer, extent, resolution=resolution_of(ZOOM), output=target / "out.tif")

    return plan_for


@pytest.mark.parametrize("kind", ["xyz_layer", "wmts_layer", "wms_layer"])
class TestFailingServers:
    @pytest.mark.parametrize(
        ("behaviour", "part"),
        [
            ("error 500", "answered with an error (500 Internal Server Error); try again later"),
            ("error 403", "answered with an error (403 Forbidden)"),
            ("login", "answered with an error (401 Unauthorized)"),
            ("drop", "cannot be reached (Connection closed); check the network"),
            ("html", "sent text/html where a picture was asked for"),
            ("exception", "sent text/xml where a picture was asked for"),
            ("damaged", "sent a picture that is damaged where a picture was asked for"),
            ("error 404", "has no picture of this extent at this resolution"),
        ],
    )
    def test_a_bad_answer(
        self, web: WebServer, plan_for: Callable[..., EnhancePlan], kind: str, behaviour: str, part: str
    ) -> None:
        plan = plan_for(kind)
        web.behaviour = behaviour
        text = failure(plan)
        assert text.startswith(f"The server {web.host} ")
        assert part in text

    def test_one_bad_answer_among_good_ones(
        self, web: WebServer, plan_for: Callable[..., EnhancePlan], kind: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(web_source, "BLOCK_PX", 150)
        plan = plan_for(kind)
        web.behaviour, web.only_tile = "error 503", "441000,4178000" if kind == "wms_layer" else "/2058/2029.png"
        assert "503" in failure(plan)

    def test_a_failure_that_passes_is_no_failure(
        self, web: WebServer, plan_for: Callable[..., EnhancePlan], kind: str
    ) -> None:
        plan = plan_for(kind)
        web.behaviour, web.failures_left = "error 503", 2
        carry_out(plan)
        assert read_valid(plan.output)[:3].all()

    def test_a_server_that_is_silent(
        self, web: WebServer, plan_for: Callable[..., EnhancePlan], kind: str, short_patience: None
    ) -> None:
        plan = plan_for(kind)
        web.behaviour = "slow"
        began = time.monotonic()
        assert "did not answer for 0.5 seconds" in failure(plan)
        assert time.monotonic() - began < 3.0
        wait_until_no_download()

    def test_cancelling_while_the_server_is_waited_for(
        self, web: WebServer, plan_for: Callable[..., EnhancePlan], kind: str
    ) -> None:
        plan = plan_for(kind)
        web.behaviour = "slow"
        began = time.monotonic()
        with pytest.raises(EnhanceCancelled):
            enhance(plan, lambda _phase, _fraction: None, lambda: time.monotonic() - began > 0.5)
        assert time.monotonic() - began < 2.0
        assert list(plan.output.parent.iterdir()) == []
        wait_until_no_download()


def wait_until_no_download() -> None:
    deadline = time.monotonic() + 2.0
    while any(thread.name == "headland-download" for thread in threading.enumerate()):
        assert time.monotonic() < deadline, "the download goes on"
        time.sleep(0.02)


def test_a_slow_server_that_answers_now_and_then_is_waited_for(
    web: WebServer, plan_for: Callable[..., EnhancePlan], short_patience: None
) -> None:
    plan = plan_for("wms_layer")
    web.behaviour, web.delay_s = "slow", 0.3
    carry_out(plan)
    assert read_valid(plan.output)[:3].all()


@pytest.mark.parametrize("kind", ["xyz_layer", "wms_layer"])
def test_a_server_that_went_away(tmp_path: Path, kind: str) -> None:
    from headland.tests.support.web_server import web_server

    with web_server() as web:
        layer = getattr(web, kind)()
        extent = wms_extent(1000, 1000) if kind == "wms_layer" else tiles_extent(100, 100)
        target = tmp_path / "results"
        target.mkdir()
        plan = plan_of(layer, extent, output=target / "out.tif")
    text = failure(plan)
    assert text == f"The server {web.host} cannot be reached (Connection refused); check the network and try again."
