"""Pieces that formats are made of: tables, messages, blocks, checksums. Nothing here knows a network."""
