"""Readers of foreign weight files, one format a file; see `sprat.weights.foreign`."""
