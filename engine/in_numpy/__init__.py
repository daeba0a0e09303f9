"""What QGIS can compute itself where there is no engine: the anchor and the bicubic enlargement, with numpy alone."""
