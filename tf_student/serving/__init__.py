"""Exported networks: SavedModels for TF Serving, and their verification."""
