"""Decrappify: a network that restores an already enlarged image (×1), trained on aerial and satellite imagery."""
