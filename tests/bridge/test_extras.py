"""What may be wished for beside the result: Deep Image Prior’s own picture, and how far off it may be."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from osgeo import gdal

from headland.engine.job import Method, Preset
from headland.tests.support.engines import FakeEngine
from headland.tests.support.fixtures import MakeLayer
from headland.tests.support.plans import MakePlan, carry_out


def test_deep_image_priors_own_picture_stands_beside_the_result_and_says_what_it_is(
    fake_engine: FakeEngine, make_plan: MakePlan
) -> None:
    plan = make_plan(method=Method.CHAIN, keeps_dip=True)
    carry_out(plan)
    assert plan.dip_output == plan.output.with_name("schärfer_dip.tif")
    result, dip = gdal.Open(str(plan.output)), gdal.Open(str(plan.dip_output))
    assert dip.GetGeoTransform() == result.GetGeoTransform()
    np.testing.assert_allclose(2.0 * dip.ReadAsArray(), result.ReadAsArray(), atol=1.0)
    assert dip.GetMetadataItem("HEADLAND_METHOD") == "dip"
    assert dip.GetMetadataItem("HEADLAND_NATURE") == "enhanced, not measured"
    assert dip.GetMetadataItem("HEADLAND_RMSE_OVER_NOISE") is None
    assert json.loads(plan.report.read_text(encoding="utf-8"))["dip_output"] == str(plan.dip_output)
    # The next one takes another name, as a layer may show this one.
    assert make_plan(method=Method.CHAIN, keeps_dip=True).dip_output.name == "schärfer_dip_2.tif"


@pytest.mark.parametrize("method", [Method.DIP, Method.ANCHOR])
def test_methods_other_than_the_chain_keep_no_other_picture(
    fake_engine: FakeEngine, make_plan: MakePlan, method: Method
) -> None:
    assert make_plan(method=method, keeps_dip=True).dip_output is None


def test_how_far_off_the_result_may_be_is_a_raster_in_its_units_without_its_offset(
    fake_engine: FakeEngine, make_plan: MakePlan, make_layer: MakeLayer
) -> None:
    layer = make_layer(bands=2, nodata=0, scale=0.0001, offset=-0.1, names=("B04", "B08"))
    plan = make_plan(layer, method=Method.CHAIN, maps_confidence=True)
    carry_out(plan)
    assert plan.confidence == plan.output.with_name("schärfer_confidence.tif")
    result, bound = gdal.Open(str(plan.output)), gdal.Open(str(plan.confidence))
    assert bound.GetGeoTransform() == result.GetGeoTransform()
    band = bound.GetRasterBand(2)
    assert (band.GetDescription(), band.DataType) == ("B08 error", gdal.GDT_Float32)
    assert (band.GetScale(), band.GetOffset() or 0.0) == (0.0001, 0.0)
    np.testing.assert_allclose(bound.ReadAsArray(), result.ReadAsArray() / 50.0, atol=0.02)
    assert bound.GetMetadataItem("HEADLAND_CONFIDENCE") == "nine pixels of ten are off by less than this"
    # Its numbers are no picture that could be enhanced once more.
    assert bound.GetMetadataItem("HEADLAND_NATURE") is None
    report = json.loads(plan.report.read_text(encoding="utf-8"))
    assert report["confidence_output"] == str(plan.confidence)


@pytest.mark.parametrize(
    "wishes", [{"method": Method.DECRAPPIFY}, {"method": Method.ANCHOR}, {"preset": Preset.REFERENCE}], ids=str
)
def test_it_is_not_mapped_where_it_is_not_known(
    fake_engine: FakeEngine, make_plan: MakePlan, wishes: dict[str, Any]
) -> None:
    assert make_plan(**{"method": Method.CHAIN, **wishes}, maps_confidence=True).confidence is None
