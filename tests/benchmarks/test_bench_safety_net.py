"""The safety net's figures are those of its cases: a sound network is used, a broken one caught, the gain counted."""

from __future__ import annotations

import bench_safety_net
import numpy as np
import pytest
from bench_safety_net import CASES, FULL_RANGE, Answer, row
from radiometry_pictures import PICTURES, places_of

from headland.engine.dip.held_out import HeldOut
from headland.engine.job import Method, Preset
from headland.engine.pipeline import PRIOR_WEIGHTS
from headland.models.dip.prior_network import PriorNetwork, load_weights

SCALE = 2


@pytest.fixture(scope="module")
def network() -> PriorNetwork:
    return load_weights(PRIOR_WEIGHTS[Preset.FAST])


def answer_of(case_name: str, network: PriorNetwork) -> Answer:
    (case,) = (case for case in CASES if case.name == case_name)
    (crop,) = places_of(PICTURES[0], None)
    ground = (crop[:3, 100:292, 60:252] / FULL_RANGE).astype(np.float32)
    return bench_safety_net.asked(case, ground, SCALE, network, seed=0)


def test_a_broken_network_is_caught_and_the_sound_one_is_used_after_it_as_before(network: PriorNetwork) -> None:
    broken = answer_of("network: corrections of the wrong sign", network)
    assert broken.held_out.chosen is Method.ANCHOR
    assert broken.dip_db < broken.anchor_db
    sound = answer_of("true MTF 0.25", network)
    assert sound.held_out.chosen is Method.DIP
    assert sound.dip_db > broken.dip_db


def test_a_network_without_numbers_is_caught_and_reported_as_such(network: PriorNetwork) -> None:
    answer = answer_of("network: not a number", network)
    assert answer.held_out.chosen is Method.ANCHOR
    assert "no number" in row("not a number", [answer])


def test_the_gain_is_what_taking_the_anchor_brings_and_nothing_where_it_is_not_taken() -> None:
    ahead = Answer(dip_db=32.0, anchor_db=30.0, held_out=HeldOut(dip=1.0, anchor=3.0))
    behind = Answer(dip_db=26.0, anchor_db=30.0, held_out=HeldOut(dip=3.0, anchor=1.0))
    assert row("case", [ahead, behind]) == "| case | 2 | -1.00 | -4.00 | 0.00 | -3.01 | 1 | 2.00 |"
