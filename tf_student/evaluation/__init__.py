"""Figures of generated images: FID, KID, Inception Score and others."""
