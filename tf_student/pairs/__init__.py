"""Pairs of noise and teacher images: generating, storing and reading them."""
