"""tf-student: one-step generators distilled from diffusion models."""

__version__ = "0.1.0"
