"""Draws the figures of the documentation from the library itself.

    python docs/figures.py [FIGURE ...]

Writes PNG files beside this script: all of them, or only the named ones. It takes
about half a minute on a CPU.
"""

import pathlib
import sys

import matplotlib
import tomllib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf

from tf_student.data import datasets
from tf_student.diffusion import noise, samplers, schedules
from tf_student.diffusion.diffusion_config import DiffusionConfig, SamplerConfig

FOLDER = pathlib.Path(__file__).parent
BLUE, ORANGE, GREEN, GREY = "#1f5fa8", "#d9730d", "#2e7d4f", "#777777"

PACKAGES = {
    "flags": "the command line",
    "demo": "every step in one call",
    "presets": "the paper's systems",
    "gallery": "a page in the browser",
    "client": "asks a model server",
    "evaluation": "FID, KID, IS, ...",
    "serving": "SavedModels",
    "training": "teachers and students",
    "pairs": "noise and the teacher's images",
    "models": "UNet, Teacher, Student",
    "convert": "tables of published weights",
    "architecture": "blocks and layers as data",
    "data": "real images",
    "diffusion": "schedules, samplers, losses",
    "runtime": "options, run directories, devices",
    "custom_ops": "the fused GroupNorm-SiLU op",
}


def schedule() -> plt.Figure:
    """The noise schedule, and the time steps that the three spacings visit."""
    diffusion = DiffusionConfig()
    alpha_bars = schedules.alpha_bars(diffusion)
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.1), layout="constrained")
    left.plot(np.sqrt(alpha_bars), color=BLUE, label=r"image: $\sqrt{\alpha_t}$")
    left.plot(
        np.sqrt(1 - alpha_bars), color=ORANGE, label=r"noise: $\sqrt{1-\alpha_t}$"
    )
    left.set(xlabel="time step t", ylabel="factor", title="The forward process")
    left.legend(frameon=False)
    shown = {
        "uniform, 50": SamplerConfig("uniform", 50),
        "quadratic, 100": SamplerConfig("quadratic", 100),
        "log_snr, 12": SamplerConfig("log_snr", 12),
    }
    for row, config in enumerate(shown.values()):
        steps = schedules.sampling_timesteps(config, diffusion)
        right.plot(steps, np.full(len(steps), -row), "|", ms=16, color=BLUE)
        right.annotate(
            f"{len(steps)} calls", (1000, -row), xytext=(8, -4), color=GREY,
            textcoords="offset points", annotation_clip=False,
        )  # fmt: skip
    right.set_yticks(range(0, -len(shown), -1), shown)
    right.set(xlabel="time step t", title="Time steps of a sampler", ylim=(-2.6, 0.6))
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def forward() -> plt.Figure:
    """Four digits, noised as the teacher sees them."""
    diffusion, rows = DiffusionConfig(), 4
    alpha_bars = schedules.alpha_bars(diffusion)
    images = datasets.digits()[0][:rows].astype(np.float32) / 127.5 - 1
    eps = noise.normal(0, np.arange(rows), images.shape[1:]).numpy()
    steps = (0, 100, 200, 400, 600, 999)
    figure, grid = plt.subplots(rows, len(steps), figsize=(6.4, 4.4))
    for column, t in enumerate(steps):
        noised = np.sqrt(alpha_bars[t]) * images + np.sqrt(1 - alpha_bars[t]) * eps
        for axes, image in zip(grid[:, column], noised, strict=True):
            axes.imshow(image[..., 0], cmap="gray", vmin=-1, vmax=1)
            axes.axis("off")
        grid[0, column].set_title(f"t = {t}", fontsize=10)
    return figure


def _noise_of_two_points(x: tf.Tensor, t: tf.Tensor) -> tf.Tensor:
    """The exact eps(x, t) for images that are 1 or -1, with a deviation of 0.05."""
    alpha_bars = tf.constant(schedules.alpha_bars(DiffusionConfig()), tf.float32)
    a = tf.reshape(tf.gather(alpha_bars, t), [-1, 1, 1, 1])
    deviation = 0.05
    variance = a * deviation**2 + 1 - a
    side = tf.tanh(tf.sqrt(a) * x / variance)
    mean = side + (tf.sqrt(a) * deviation**2 / variance) * (x - tf.sqrt(a) * side)
    return (x - tf.sqrt(a) * mean) / tf.sqrt(1 - a)


def regression() -> plt.Figure:
    """A DDIM map with two modes, and the smooth functions nearest to it."""
    z = np.linspace(-2.0, 2.0, 2001, dtype=np.float32)
    sample = samplers.make_sampler(
        _noise_of_two_points, sampler=SamplerConfig("uniform", 100)
    )
    x = np.ravel(sample(tf.reshape(tf.constant(z), [-1, 1, 1, 1])))
    # Odd polynomials of low degree stand for a network of limited capacity; normal
    # noise is mostly near zero.
    basis = np.stack([z**power for power in range(1, 8, 2)], axis=1).astype(float)
    weights = np.exp(-(z**2) / 2)
    figure, axes = plt.subplots(figsize=(6.4, 3.2))
    axes.plot(z, x, color=GREY, lw=2.5, label="teacher: 100 DDIM steps")
    for power, color, name in ((2, BLUE, "L2"), (1, ORANGE, "L1")):
        axes.plot(z, basis @ _fit(basis, x, weights, power), color=color, lw=1.8,
                  label=f"smooth student, {name}")  # fmt: skip
    axes.set(xlabel="noise z", ylabel="image", xlim=(-1.7, 1.7), ylim=(-1.6, 1.6))
    axes.legend(frameon=False, loc="upper left")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def _fit(basis, x, weights, power) -> np.ndarray:
    """Coefficients with the least weighted error of that power, by reweighting."""
    own = weights
    for _ in range(1 if power == 2 else 200):
        root = np.sqrt(own)[:, None]
        found = np.linalg.lstsq(basis * root, x * root[:, 0], rcond=None)[0]
        own = weights / np.maximum(np.abs(x - basis @ found), 1e-3)
    return found


def layers() -> plt.Figure:
    """The packages of the library and the order of their imports."""
    rows = _layers()
    figure, axes = plt.subplots(figsize=(7.2, 0.45 * len(rows) + 0.2))
    for row, packages in enumerate(rows):
        width = 10 / len(packages)
        for column, name in enumerate(packages):
            left = column * width + 0.06
            box = plt.Rectangle(
                (left, -row), width - 0.12, 0.82, facecolor="#e8f0fa", edgecolor=BLUE
            )
            axes.add_patch(box)
            middle = left + (width - 0.12) / 2
            axes.text(middle, 0.57 - row, name, ha="center", va="center", weight="bold")
            axes.text(
                middle, 0.22 - row, PACKAGES[name], ha="center", va="center", size=8
            )
    arrow = {"arrowstyle": "->", "color": GREY, "lw": 1.5}
    axes.annotate("", (10.5, 1 - len(rows)), (10.5, 0.82), arrowprops=arrow)
    axes.text(10.7, -len(rows) / 2 + 0.9, "imports", color=GREY, rotation=270)
    axes.set(xlim=(0, 11.2), ylim=(0.9 - len(rows), 0.9))
    axes.axis("off")
    return figure


def _layers() -> list[list[str]]:
    """Rows of packages from top to bottom: what import-linter checks."""
    project = tomllib.loads((FOLDER.parent / "pyproject.toml").read_text())
    contracts = project["tool"]["importlinter"]["contracts"]
    (rows,) = (c["layers"] for c in contracts if c["type"] == "layers")
    return [row.split(" | ") for row in rows]


FIGURES = {f.__name__: f for f in (schedule, forward, regression, layers)}


def main() -> None:
    """Draws what the command line names, or everything."""
    for name in sys.argv[1:] or FIGURES:
        figure = FIGURES[name]()
        # No date and no version, so that the same figure is the same file.
        figure.savefig(
            FOLDER / f"{name}.png", dpi=110, bbox_inches="tight",
            metadata={"Software": None},
        )  # fmt: skip
        plt.close(figure)


if __name__ == "__main__":
    main()
