"""The work itself: arrays in, arrays out. No QGIS, no Qt, no GDAL.

Two kinds of module live here. ``grid``, ``tiling``, ``sensors``, ``job``, ``events``, ``client`` and
``environment`` are used inside the QGIS process, so they need only the standard library and numpy.
Everything else runs in the worker process and may import torch and onnxruntime.
"""
