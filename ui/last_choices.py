"""The last choices: the user's, how to enhance; the project's, what was enhanced as well."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Optional

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsProject,
    QgsRectangle,
    QgsReferencedRectangle,
    QgsSettings,
)

from ..bridge.request import EnhanceRequest
from .extent_row import ExtentChoice, ExtentSource
from .request_settings import request_with, settings_of

_USER_KEY = "headland/last_choices"
_PROJECT_SCOPE, _PROJECT_KEY = "headland", "last_choices"


@dataclass(frozen=True)
class ProjectChoices:
    """What a project remembers.

    Attributes:
        layer_id: the layer may be gone.
        request: the settings, with the bands; without layer and extent.
    """

    layer_id: str
    extent: ExtentChoice
    request: EnhanceRequest


def remember(request: EnhanceRequest, extent: ExtentChoice, project: QgsProject) -> None:
    """Keep the choices of ``request`` for the next session, and in ``project`` for whoever opens it.

    The file of the result is not among them: the next run must not write over it.
    """
    settings = settings_of(request)
    QgsSettings().setValue(_USER_KEY, json.dumps(settings))
    layer = request.layer
    if layer is None or project.mapLayer(layer.id()) is None:
        return
    content = {**settings, "layer": layer.id(), "bands": list(request.bands), "extent": _extent_as_values(extent)}
    text = json.dumps(content)
    # Writing the same would ask the user to save the project again.
    if project.readEntry(_PROJECT_SCOPE, _PROJECT_KEY)[0] != text:
        project.writeEntry(_PROJECT_SCOPE, _PROJECT_KEY, text)


def choices_of_user() -> Optional[EnhanceRequest]:
    """Return a request without layer and extent, or None if nothing is known."""
    try:
        return request_with(json.loads(QgsSettings().value(_USER_KEY, "", str)))
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError):
        return None


def choices_of_project(project: QgsProject) -> Optional[ProjectChoices]:
    """Return what ``project`` remembers, or None if that is nothing, or another Headland's."""
    try:
        content = json.loads(project.readEntry(_PROJECT_SCOPE, _PROJECT_KEY)[0])
        bands = tuple(int(number) for number in content["bands"])
        return ProjectChoices(
            str(content["layer"]), _extent_from_values(content["extent"]), request_with(content, bands)
        )
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError):
        return None


def _extent_as_values(choice: ExtentChoice) -> dict[str, Any]:
    extent = choice.extent
    if extent is None:
        return {"source": choice.source.name}
    return {
        "source": choice.source.name,
        "name": choice.name,
        "bounds": [extent.xMinimum(), extent.yMinimum(), extent.xMaximum(), extent.yMaximum()],
        "crs": extent.crs().toWkt(QgsCoordinateReferenceSystem.WktVariant.WKT_PREFERRED),
    }


def _extent_from_values(values: dict[str, Any]) -> ExtentChoice:
    source = ExtentSource[values["source"]]
    if source in (ExtentSource.CANVAS, ExtentSource.LAYER):
        return ExtentChoice(source)
    x_min, y_min, x_max, y_max = (float(bound) for bound in values["bounds"])
    crs = QgsCoordinateReferenceSystem.fromWkt(values["crs"])
    return ExtentChoice(
        source, QgsReferencedRectangle(QgsRectangle(x_min, y_min, x_max, y_max), crs), str(values["name"])
    )
