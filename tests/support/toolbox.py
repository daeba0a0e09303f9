"""Running ``headland:enhanceextent`` as the toolbox does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from qgis.core import QgsApplication, QgsProcessingAlgorithm

from headland.processing.provider import HeadlandProvider

ALGORITHM = "headland:enhanceextent"


@pytest.fixture(autouse=True)
def provider(qgis_processing: None) -> Iterator[HeadlandProvider]:
    provider = HeadlandProvider()
    QgsApplication.processingRegistry().addProvider(provider)
    yield provider
    QgsApplication.processingRegistry().removeProvider(provider)


@pytest.fixture
def algorithm() -> QgsProcessingAlgorithm:
    return QgsApplication.processingRegistry().createAlgorithmById(ALGORITHM)


def run(**parameters: Any) -> dict[str, Any]:
    """Run it with these parameters and, unless another one is given, the method without a network."""
    import processing

    return processing.run(ALGORITHM, {"METHOD": "anchor", **parameters})
