"""Likely field borders, traced in the finished result as lines that meet in shared nodes."""
