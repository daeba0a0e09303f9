"""Where QGIS meets the engine: read a layer, run the job, write the GeoTIFF, add the layer."""
