"""The Processing algorithm ``headland:enhanceextent``: the dock's job without a screen."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Any, Optional

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsMapLayer,
    QgsProcessing,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingOutputRasterLayer,
    QgsProcessingOutputVectorLayer,
    QgsProcessingParameterBand,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterDistance,
    QgsProcessingParameterEnum,
    QgsProcessingParameterExtent,
    QgsProcessingParameterFile,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterRasterLayer,
    QgsProcessingUtils,
    QgsReferencedRectangle,
)
from qgis.PyQt.QtGui import QIcon

from ..bridge.doubts import doubts_in_words
from ..bridge.enhance import EnhanceCancelled, EnhanceFailed, EnhanceResult, enhance, unexpected
from ..bridge.estimating import estimate_plan, in_words
from ..bridge.prepare import CannotEnhance, EnhancePlan, checked_layer
from ..bridge.qgis_errors import qgis_failures_in_words
from ..bridge.request import EnhanceRequest
from ..engine.job import LARGEST_MTF, LARGEST_SEED, SCALE_FACTORS, SMALLEST_MTF, Device, Method, Preset, Sensor
from .help import LABELS, SHORT_HELP
from .loading import prepare_loading
from .planning import cautions_of, plan_for
from .teller import Teller
from .typed_values import as_flag, check_model, check_seed, is_four_numbers, with_choice_as_text

ICON_FILE = Path(__file__).resolve().parent.parent / "ui" / "icons" / "headland.svg"

INPUT = "INPUT"
EXTENT = "EXTENT"
RESOLUTION = "RESOLUTION"
BANDS = "BANDS"
METHOD = "METHOD"
SCALE = "SCALE"
PRESET = "PRESET"
SENSOR = "SENSOR"
MTF = "MTF"
SEED = "SEED"
DEVICE = "DEVICE"
MODEL = "MODEL"
COG = "COG"
MAP_CONFIDENCE = "MAP_CONFIDENCE"
KEEP_DIP = "KEEP_DIP"
TRACE_BORDERS = "TRACE_BORDERS"
OUTPUT = "OUTPUT"
REPORT = "REPORT"
CONFIDENCE_OUTPUT = "CONFIDENCE_OUTPUT"
UNCERTAIN_AREAS = "UNCERTAIN_AREAS"
DIP_OUTPUT = "DIP_OUTPUT"
BORDERS = "BORDERS"

_DEFAULTS = EnhanceRequest(layer=None)
# Four numbers and a CRS; a layer's name may hold brackets too.
_CRS_IN_EXTENT = re.compile(r"^(?:[^,]+,){3}[^,\[]+\[(.*\S.*)\]\s*$")


class EnhanceExtentAlgorithm(QgsProcessingAlgorithm):
    """Enhance extent. The camel-case names are QGIS's.

    Args:
        is_unloaded: set when the plugin goes away; what runs then ends as if it had been cancelled.
    """

    def __init__(self, is_unloaded: threading.Event) -> None:
        super().__init__()
        self._is_unloaded = is_unloaded
        self._plan: Optional[EnhancePlan] = None
        # As Processing spells it.
        self._output = ""

    def createInstance(self) -> EnhanceExtentAlgorithm:  # noqa: N802
        """Return a new algorithm for one run."""
        return EnhanceExtentAlgorithm(self._is_unloaded)

    def name(self) -> str:
        """Return the second part of the id."""
        return "enhanceextent"

    def displayName(self) -> str:  # noqa: N802
        """Return what the toolbox shows."""
        return "Enhance extent"

    def icon(self) -> QIcon:
        """Return the plugin's icon."""
        return QIcon(str(ICON_FILE))

    def tags(self) -> list[str]:
        """Return words to find the algorithm by."""
        return ["super-resolution", "sharpen", "upscale", "deep image prior", "decrappify", "sentinel", "field borders"]

    def shortDescription(self) -> str:  # noqa: N802
        """Return one sentence for the tool tip."""
        return "Sharpens an extent of a raster layer by 2 or 4 and checks that it agrees with what the sensor measured."

    def shortHelpString(self) -> str:  # noqa: N802
        """Return the text beside the parameters."""
        return SHORT_HELP

    def initAlgorithm(self, configuration: Optional[dict[str, Any]] = None) -> None:  # noqa: ARG002, N802
        """Declare the parameters."""
        self.addParameter(QgsProcessingParameterRasterLayer(INPUT, LABELS[INPUT]))
        self.addParameter(QgsProcessingParameterExtent(EXTENT, LABELS[EXTENT], optional=True))
        self.addParameter(
            QgsProcessingParameterDistance(
                RESOLUTION, LABELS[RESOLUTION], parentParameterName=INPUT, optional=True, minValue=0.0
            )
        )
        self.addParameter(
            QgsProcessingParameterBand(
                BANDS, LABELS[BANDS], parentLayerParameterName=INPUT, optional=True, allowMultiple=True
            )
        )
        self._add_choice(METHOD, [method.value for method in Method], _DEFAULTS.method.value)
        self._add_choice(SCALE, [str(scale) for scale in SCALE_FACTORS], str(_DEFAULTS.scale))
        self._add_choice(PRESET, [preset.value for preset in Preset], _DEFAULTS.preset.value)
        self._add_choice(SENSOR, [sensor.value for sensor in Sensor], _DEFAULTS.sensor.value)
        self.addParameter(
            QgsProcessingParameterNumber(
                MTF,
                LABELS[MTF],
                QgsProcessingParameterNumber.Type.Double,
                optional=True,
                minValue=SMALLEST_MTF,
                maxValue=LARGEST_MTF,
            )
        )
        self.addParameter(
            QgsProcessingParameterNumber(
                SEED,
                LABELS[SEED],
                QgsProcessingParameterNumber.Type.Integer,
                defaultValue=_DEFAULTS.seed,
                minValue=0,
                maxValue=LARGEST_SEED,
            )
        )
        self._add_choice(DEVICE, [device.value for device in Device], _DEFAULTS.device.value)
        model = QgsProcessingParameterFile(MODEL, LABELS[MODEL], extension="onnx", optional=True)
        model.setFlags(model.flags() | QgsProcessingParameterDefinition.Flag.FlagAdvanced)
        self.addParameter(model)
        self._add_flag(COG, is_on=_DEFAULTS.is_cloud_optimised, is_advanced=True)
        self._add_flag(MAP_CONFIDENCE, is_on=_DEFAULTS.maps_confidence)
        self._add_flag(KEEP_DIP, is_on=_DEFAULTS.keeps_dip, is_advanced=True)
        self._add_flag(TRACE_BORDERS, is_on=_DEFAULTS.traces_borders)
        self.addParameter(QgsProcessingParameterRasterDestination(OUTPUT, LABELS[OUTPUT]))
        self.addParameter(
            QgsProcessingParameterFileDestination(
                REPORT, LABELS[REPORT], "JSON files (*.json)", optional=True, createByDefault=False
            )
        )
        self.addOutput(QgsProcessingOutputRasterLayer(CONFIDENCE_OUTPUT, LABELS[CONFIDENCE_OUTPUT]))
        self.addOutput(
            QgsProcessingOutputVectorLayer(
                UNCERTAIN_AREAS, LABELS[UNCERTAIN_AREAS], QgsProcessing.SourceType.TypeVectorPolygon
            )
        )
        self.addOutput(QgsProcessingOutputRasterLayer(DIP_OUTPUT, LABELS[DIP_OUTPUT]))
        self.addOutput(
            QgsProcessingOutputVectorLayer(BORDERS, LABELS[BORDERS], QgsProcessing.SourceType.TypeVectorLine)
        )

    def checkParameterValues(  # noqa: N802
        self, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> tuple[bool, str]:
        """Return whether the job can be done, and if not, the sentence that says why."""
        parameters = with_choice_as_text(SCALE, parameters)
        try:
            checked_layer(self._layer(parameters, context))
            # QGIS's own check does not say what is allowed.
            self._mtf(parameters, context)
            self._resolution(parameters, context)
            self._extent(parameters, context)
            self._check_choices(parameters)
            check_seed(parameters.get(SEED))
            check_model(parameters.get(MODEL))
            for flag in (COG, MAP_CONFIDENCE, KEEP_DIP, TRACE_BORDERS):
                as_flag(flag, parameters.get(flag))
            is_fine, message = super().checkParameterValues(parameters, context)
            if not is_fine:
                return False, message
            # Asked for in the real context, the output would wait there to be loaded.
            request = self._request(parameters, context, QgsProcessingContext())
            plan_for(request, context.transformContext())
        except CannotEnhance as error:
            return False, str(error)
        except Exception as error:  # noqa: BLE001, QGIS expects an answer, not an exception
            return False, unexpected(error).sentence
        return True, ""

    def prepareAlgorithm(  # noqa: N802
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> bool:
        """Look at the layer, on the main thread."""
        parameters = with_choice_as_text(SCALE, parameters)
        try:
            request = self._request(parameters, context, context)
            self._plan = plan_for(request, context.transformContext())
        except CannotEnhance as error:
            raise QgsProcessingException(str(error)) from error
        for caution in cautions_of(self._plan):
            feedback.pushWarning(caution)
        return True

    def processAlgorithm(  # noqa: N802
        self,
        parameters: dict[str, Any],  # noqa: ARG002, they are in the plan
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> dict[str, Any]:
        """Do the job, in any thread.

        Raises:
            QgsProcessingException: if it failed or was cancelled.
        """
        if self._plan is None:
            raise QgsProcessingException("The algorithm was not prepared.")
        feedback.pushInfo(f"Estimate: {in_words(estimate_plan(self._plan))}")
        try:
            result = enhance(self._plan, Teller(feedback), lambda: feedback.isCanceled() or self._is_unloaded.is_set())
        except EnhanceCancelled as error:
            raise QgsProcessingException("The enhancement was cancelled.") from error
        except EnhanceFailed as error:
            if error.details:
                feedback.pushDebugInfo(error.details)
            raise QgsProcessingException(error.sentence) from error
        for sentence in doubts_in_words(result.summary):
            feedback.pushWarning(sentence)
        feedback.pushInfo(f"Written to {result.output}; the report is {result.report}.")
        files = {name: file for name, file in _files_of(result).items() if file is not None}
        prepare_loading(result, self._output, {file: name for name, file in files.items()}, context)
        return {name: str(file) for name, file in files.items()}

    def _add_choice(self, name: str, words: list[str], default: str) -> None:
        self.addParameter(
            QgsProcessingParameterEnum(name, LABELS[name], options=words, defaultValue=default, usesStaticStrings=True)
        )

    def _add_flag(self, name: str, *, is_on: bool, is_advanced: bool = False) -> None:
        flag = QgsProcessingParameterBoolean(name, LABELS[name], defaultValue=is_on)
        if is_advanced:
            flag.setFlags(flag.flags() | QgsProcessingParameterDefinition.Flag.FlagAdvanced)
        self.addParameter(flag)

    def _check_choices(self, parameters: dict[str, Any]) -> None:
        for definition in self.parameterDefinitions():
            given = parameters.get(definition.name())
            if not isinstance(definition, QgsProcessingParameterEnum) or given is None:
                continue
            if isinstance(given, (str, int)) and str(given) not in definition.options():
                words = ", ".join(definition.options())
                raise CannotEnhance(f"{definition.name()} is “{given}”; choose one of {words}.")

    def _layer(self, parameters: dict[str, Any], context: QgsProcessingContext) -> Optional[QgsMapLayer]:
        """Return the layer, of whatever sort, or None if none is given."""
        given = parameters.get(INPUT)
        with qgis_failures_in_words(str(given)):
            layer: Optional[QgsMapLayer] = self.parameterAsLayer(parameters, INPUT, context)
        if layer is None and given:
            raise CannotEnhance(f"{given} cannot be read as a raster; check that the file is there, or choose another.")
        return layer

    def _request(
        self, parameters: dict[str, Any], context: QgsProcessingContext, output_context: QgsProcessingContext
    ) -> EnhanceRequest:
        report = self.parameterAsFileOutput(parameters, REPORT, output_context)
        self._output = self.parameterAsOutputLayer(parameters, OUTPUT, output_context)
        sensor, mtf = self._sensor(parameters, context)
        model = self.parameterAsFile(parameters, MODEL, context)
        return EnhanceRequest(
            layer=self._layer(parameters, context),
            extent=self._extent(parameters, context),
            resolution=self._resolution(parameters, context),
            bands=self._bands(parameters, context),
            method=Method(self.parameterAsEnumString(parameters, METHOD, context)),
            scale=int(self.parameterAsEnumString(parameters, SCALE, context)),
            preset=Preset(self.parameterAsEnumString(parameters, PRESET, context)),
            sensor=sensor,
            mtf_at_nyquist=mtf,
            seed=self.parameterAsInt(parameters, SEED, context),
            device=Device(self.parameterAsEnumString(parameters, DEVICE, context)),
            model=Path(model) if model else None,
            is_cloud_optimised=as_flag(COG, parameters.get(COG)),
            maps_confidence=as_flag(MAP_CONFIDENCE, parameters.get(MAP_CONFIDENCE)),
            keeps_dip=as_flag(KEEP_DIP, parameters.get(KEEP_DIP)),
            traces_borders=as_flag(TRACE_BORDERS, parameters.get(TRACE_BORDERS)),
            output=Path(self._output),
            report=Path(report) if report else None,
        )

    def _extent(self, parameters: dict[str, Any], context: QgsProcessingContext) -> Optional[QgsReferencedRectangle]:
        """Return the extent, None if none is given."""
        given = parameters.get(EXTENT)
        text = given.strip() if isinstance(given, str) else ""
        crs_in_text = _CRS_IN_EXTENT.search(text)
        if crs_in_text and not QgsCoordinateReferenceSystem(crs_in_text[1]).isValid():
            # QGIS would take the coordinates for the layer's.
            raise CannotEnhance(
                f"“{crs_in_text[1]}” in the extent is no CRS that QGIS knows; give one like EPSG:32618, or none for "
                "the layer’s own."
            )
        if (
            text
            and not is_four_numbers(text.partition("[")[0])
            and QgsProcessingUtils.mapLayerFromString(text, context) is None
        ):
            raise CannotEnhance(
                f"“{text}” is no extent; give xmin,xmax,ymin,ymax, and a CRS such as [EPSG:32618] if need be."
            )
        extent = self.parameterAsExtent(parameters, EXTENT, context)
        # A rectangle of zeros counts as none in QGIS, but who wrote one did not mean the whole layer.
        if extent.isNull() and not text:
            return None
        return QgsReferencedRectangle(extent, self.parameterAsExtentCrs(parameters, EXTENT, context))

    def _resolution(self, parameters: dict[str, Any], context: QgsProcessingContext) -> Optional[float]:
        """Return the ground size of an input pixel, None if none is given."""
        if parameters.get(RESOLUTION) in (None, ""):
            return None
        resolution = float(self.parameterAsDouble(parameters, RESOLUTION, context))
        # What is no number at all arrives as 0.
        if resolution <= 0:
            raise CannotEnhance(f"The resolution is {parameters[RESOLUTION]}; it must be a number above 0.")
        return resolution

    def _sensor(self, parameters: dict[str, Any], context: QgsProcessingContext) -> tuple[Sensor, Optional[float]]:
        """Return the sensor and its MTF: who gives an MTF and names no sensor means a custom one."""
        sensor, mtf = Sensor(self.parameterAsEnumString(parameters, SENSOR, context)), self._mtf(parameters, context)
        if mtf is not None and sensor is Sensor.AUTO:
            sensor = Sensor.CUSTOM
        if mtf is not None and sensor is not Sensor.CUSTOM:
            raise CannotEnhance(
                f"An MTF is given, but the sensor is {sensor.value}, whose MTF is known; leave the MTF out, or choose "
                "custom as the sensor."
            )
        if mtf is None and sensor is Sensor.CUSTOM:
            raise CannotEnhance("A custom sensor needs its MTF at Nyquist; give it as MTF, such as 0.25.")
        return sensor, mtf

    def _mtf(self, parameters: dict[str, Any], context: QgsProcessingContext) -> Optional[float]:
        """Return the MTF at Nyquist, None if none is given."""
        if parameters.get(MTF) in (None, ""):
            return None
        mtf = float(self.parameterAsDouble(parameters, MTF, context))
        if not SMALLEST_MTF <= mtf <= LARGEST_MTF:
            raise CannotEnhance(
                f"The MTF at Nyquist is {mtf:g}; it must lie between {SMALLEST_MTF:g} and {LARGEST_MTF:g}."
            )
        return mtf

    def _bands(self, parameters: dict[str, Any], context: QgsProcessingContext) -> tuple[int, ...]:
        given = parameters.get(BANDS)
        if not isinstance(given, str):
            return tuple(self.parameterAsInts(parameters, BANDS, context))
        # QGIS reads "1,2" and "" as band 0.
        try:
            return tuple(int(word) for word in given.replace(";", " ").replace(",", " ").split())
        except ValueError as error:
            raise CannotEnhance(f"“{given}” is not a list of band numbers; give it like 3,2,1.") from error


def _files_of(result: EnhanceResult) -> dict[str, Optional[Path]]:
    """Return what was written, by output; None for what was not wished for."""
    return {
        OUTPUT: result.output,
        REPORT: result.report,
        CONFIDENCE_OUTPUT: result.confidence,
        UNCERTAIN_AREAS: result.uncertain_areas,
        DIP_OUTPUT: result.dip_output,
        BORDERS: result.borders,
    }
