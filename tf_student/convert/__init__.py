"""Readers of published weights, and tables that map them to the UNet."""
