"""Similarity of two generators' images of the same noise, pair by pair."""

import dataclasses

import numpy as np
import tensorflow as tf

_WINDOW = 11
# Stands for the infinite PSNR of equal images.
_MAX_PSNR = 100.0
_BLOCK = 256


@dataclasses.dataclass(frozen=True)
class Similarity:
    """Mean similarity over pairs of images.

    Attributes:
        pairs: number of pairs.
        l1: mean absolute difference, in grey levels of 0 to 255.
        l2: root mean square difference of a pair, in grey levels.
        psnr: peak signal-to-noise ratio in dB, at most 100, the value of equal images.
        ssim: structural similarity (Wang et al. 2004), which is 1 for equal images. Its
            windows are 11x11 pixels, or smaller on smaller images.
        cosine: distance 1 - cos(a, b) of the extractor's features, in [0, 2].
    """

    pairs: int
    l1: float
    l2: float
    psnr: float
    ssim: float
    cosine: float


def compare(
    images: tuple[np.ndarray, np.ndarray], features: tuple[np.ndarray, np.ndarray]
) -> tuple[Similarity, np.ndarray]:
    """Compares pairs of images, and their features.

    Args:
        images: two uint8 arrays `[n, height, width, channels]`.
        features: two arrays `[n, dimensions]`, the features of these images.

    Returns:
        The mean similarity, and the cosine distance of each pair, float64 `[n]`.
    """
    a, b = (part.astype(np.float32) for part in images)
    squared = np.square(a - b, dtype=np.float64).mean(axis=(1, 2, 3))
    with np.errstate(divide="ignore"):
        psnr = np.minimum(10 * np.log10(255.0**2 / squared), _MAX_PSNR)
    cosine = _cosine_distances(*features)
    similarity = Similarity(
        pairs=len(a),
        l1=float(np.abs(a - b).mean(dtype=np.float64)),
        l2=float(np.sqrt(squared).mean()),
        psnr=float(psnr.mean()),
        ssim=float(_ssim(a, b).mean(dtype=np.float64)),
        cosine=float(cosine.mean()),
    )
    return similarity, cosine


def _ssim(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    # The largest odd window that fits.
    window = min(_WINDOW, *((size - 1) // 2 * 2 + 1 for size in a.shape[1:3]))
    return np.concatenate(
        [
            tf.image.ssim(*parts, 255.0, filter_size=window).numpy()
            for parts in zip(_blocks(a), _blocks(b), strict=True)
        ]
    )


def _blocks(images: np.ndarray) -> list[np.ndarray]:
    return [images[start : start + _BLOCK] for start in range(0, len(images), _BLOCK)]


def _cosine_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return 1 - (a * b).sum(axis=1) / np.maximum(norms, np.finfo(np.float64).tiny)
