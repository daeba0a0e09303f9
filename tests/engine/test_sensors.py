"""The sensor is recognised from what a raster says about itself."""

from __future__ import annotations

import pytest

from headland.engine.job import Sensor
from headland.engine.sensors import is_known, mtf_at_nyquist, recognise, sentinel_2_band


@pytest.mark.parametrize(
    ("name", "band"),
    [
        ("B02", "B02"),
        ("Band 1: B8A, narrow near infrared", "B8A"),
        ("b4", "B04"),
        ("T45RTM_20220101_B11_20m", "B11"),
        ("B13", None),
        ("", None),
        ("SWIR", None),
    ],
)
def test_sentinel_2_bands_are_read_off_names(name: str, band: str | None) -> None:
    assert sentinel_2_band(name) == band


def test_ten_metre_pixels_with_sentinel_2_names_are_sentinel_2() -> None:
    assert recognise(("B02", "B8A"), (10.0, 10.0)) is Sensor.SENTINEL_2


def test_a_sensor_is_known_if_the_user_or_every_band_name_says_so() -> None:
    assert is_known(Sensor.CUSTOM, ("grey",), None)
    assert is_known(Sensor.AUTO, ("B02", "B8A"), (10.0, 10.0))
    assert not is_known(Sensor.AUTO, ("B02", "NDVI"), (10.0, 10.0))
    assert not is_known(Sensor.AUTO, ("red", "green"), (10.0, 10.0)), "a hint, no more"
    assert not is_known(Sensor.AUTO, ("B2", "B3"), (30.0, 30.0))


def test_thirty_metre_pixels_are_landsat_whatever_the_bands_are_called() -> None:
    assert recognise(("B2", "B3"), (30.0, 30.0)) is Sensor.LANDSAT


def test_an_aerial_image_is_no_known_sensor_and_gets_the_middle_mtf() -> None:
    assert recognise(("red", "green"), (0.5, 0.5)) is None
    assert mtf_at_nyquist(Sensor.AUTO, ("red", "green"), (0.5, 0.5), None) == (0.25, 0.25)


def test_each_sentinel_2_band_has_its_own_mtf() -> None:
    assert mtf_at_nyquist(Sensor.AUTO, ("B02", "B05"), (10.0, 10.0), None) == (0.26, 0.38)


def test_a_custom_mtf_holds_for_every_band() -> None:
    assert mtf_at_nyquist(Sensor.CUSTOM, ("B02", "B05"), (10.0, 10.0), 0.15) == (0.15, 0.15)
