"""The mathematics of diffusion: noise schedule, samplers, losses, and noise."""
