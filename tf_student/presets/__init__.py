"""The configs of the systems in the paper, and of small systems."""
