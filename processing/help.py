"""What the toolbox says about the algorithm and its parameters."""

from __future__ import annotations

from ..engine.job import LARGEST_MTF, SMALLEST_MTF

LABELS = {
    "INPUT": "Raster layer",
    "EXTENT": "Extent (the whole layer if empty; needed for web layers)",
    "RESOLUTION": "Resolution: ground size of an input pixel (web layers only)",
    "BANDS": "Bands (all if none is chosen)",
    "METHOD": "Method",
    "SCALE": "Scale factor",
    "PRESET": "Effort of Deep Image Prior",
    "SENSOR": "Sensor",
    "MTF": f"MTF at Nyquist, from {SMALLEST_MTF:g} to {LARGEST_MTF:g} (custom sensor only)",
    "SEED": "Seed",
    "DEVICE": "Device",
    "MODEL": "Decrappify model of your own (ONNX with its card beside it)",
    "COG": "Cloud-optimised GeoTIFF",
    "MAP_CONFIDENCE": "Map how far off the result may be",
    "KEEP_DIP": "Keep what Deep Image Prior alone gives",
    "TRACE_BORDERS": "Trace field borders",
    "OUTPUT": "Enhanced raster",
    "REPORT": "Report",
    "CONFIDENCE_OUTPUT": "Confidence",
    "UNCERTAIN_AREAS": "Uncertain areas",
    "DIP_OUTPUT": "Deep Image Prior alone",
    "BORDERS": "Field borders (traced)",
}

SHORT_HELP = """\
<p>Sharpens an extent of a raster layer: pixels become 2 or 4 times smaller, and field borders, roads and buildings
become clearer. The result is a GeoTIFF with the same CRS, data type, nodata, band names, scale and offset, and with
the window’s outer corners unchanged.</p>
<p>The result is checked against the input: made coarse again, it agrees with what the sensor measured. It cannot know
what the sensor never saw: detail that is finer than the input suggests is an estimate.</p>
<p>Areas of 8 × 8 pixels or more that are 0 in every chosen band become nodata where the raster declares none and looks
like an image (three or more bands, integers of more than 8 bits, or a known sensor); the log says so. If 0 was measured
there, give the raster another nodata value first.</p>
<p><b>Resolution</b>: a web layer (WMS, WMTS, XYZ) has pictures of any resolution; this is the size of the pixels to
download, in units of the layer’s CRS. If empty, it is the finest of the server’s own zoom levels in which the extent’s
longer side has at most 1000 pixels. The result has the bands red, green and blue.</p>
<p><b>Method</b>: <i>chain</i> is Deep Image Prior, then Decrappify. <i>dip</i> and <i>decrappify</i> are each of the
two alone. <i>anchor</i> needs no network and takes seconds; <i>bicubic</i> is a plain enlargement, to compare with.
These two work without the engine, too: QGIS itself computes them where it is not set up.</p>
<p><b>Effort</b>: <i>fast</i> takes some seconds a hundred pixels square on a laptop, <i>balanced</i> several times as
long; <i>reference</i> is the published setting and takes days without a GPU.</p>
<p><b>Sensor</b>: whose blur is undone. <i>auto</i> goes by band names and pixel size; <i>custom</i> takes the MTF at
Nyquist that you give; an MTF alone means custom.</p>
<p><b>Model</b>: a Decrappify model that you trained yourself, in place of the one that comes with the plugin.</p>
<p><b>Cloud-optimised GeoTIFF</b>: writes the result in the order that web maps and cloud storage read well.</p>
<p><b>Map how far off the result may be</b>: with <i>chain</i> and <i>dip</i> (not with the effort
<i>reference</i>, nor with a model of your own), also writes <i>name</i>_confidence.tif, a band for each band: nine
pixels of ten are off by less, in the source’s units; and <i>name</i>_uncertain.gpkg, the areas where that is a quarter
of the bands’ usual range or more.</p>
<p><b>Keep what Deep Image Prior alone gives</b>: with <i>chain</i>, also writes what Decrappify built on, as
<i>name</i>_dip.tif.</p>
<p><b>Trace field borders</b>: also writes a line layer of likely field borders beside the result, as
<i>name</i>_borders.gpkg, to snap to and to trace along. Each line is a guess, with a strength from 0 to 1.</p>
<p>In scripts the choices are given by their words: METHOD=chain SCALE=4 PRESET=fast. An extent is written
xmin,xmax,ymin,ymax.</p>
<p><b>Seed</b>: the same seed on the same device gives the same pixels.</p>
<p>A run that was cancelled, or that a crash ended, goes on where it was when the same is asked for again.</p>
<p><b>Report</b>: a JSON file with input, window, settings, versions, seconds by stage and figures of consistency; if
empty it goes beside the result.</p>
"""
