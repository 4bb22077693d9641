"""How alike two generators' images of the same noise are, pair by pair."""

import dataclasses

import numpy as np
import tensorflow as tf

_WINDOW = 11
# PSNR of equal images, which has no value of its own.
_MOST_PSNR = 100.0


@dataclasses.dataclass(frozen=True)
class Similarity:
    """Means over pairs.

    Attributes:
        pairs: how many.
        l1: mean absolute difference, in grey levels of 0 to 255.
        l2: root mean square difference, in grey levels.
        psnr: peak signal to noise ratio in dB; 100 for equal images.
        ssim: structural similarity (Wang et al. 2004), 1 for equal images; 11x11
            windows, smaller on smaller images.
        cosine: distance 1 - cos of the extractor's features, 0 for equal ones.
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
    """The similarity of pairs, and the cosine distance of each.

    Args:
        images: two uint8 arrays `[n, height, width, channels]`.
        features: of them, two arrays `[n, dimensions]`.
    """
    a, b = (part.astype(np.float32) for part in images)
    squared = np.square(a - b, dtype=np.float64).mean(axis=(1, 2, 3))
    # The largest odd window that fits.
    window = min(_WINDOW, *((size - 1) // 2 * 2 + 1 for size in a.shape[1:3]))
    with np.errstate(divide="ignore"):
        psnr = np.minimum(10 * np.log10(255.0**2 / squared), _MOST_PSNR)
    ssim = np.concatenate(
        [
            tf.image.ssim(*parts, 255.0, filter_size=window).numpy()
            for parts in zip(_blocks(a), _blocks(b), strict=True)
        ]
    )
    cosine = _cosine(*features)
    found = Similarity(
        pairs=len(a),
        l1=float(np.abs(a - b).mean(dtype=np.float64)),
        l2=float(np.sqrt(squared).mean()),
        psnr=float(psnr.mean()),
        ssim=float(ssim.mean(dtype=np.float64)),
        cosine=float(cosine.mean()),
    )
    return found, cosine


def _cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return 1 - (a * b).sum(axis=1) / np.maximum(norms, np.finfo(np.float64).tiny)


def _blocks(images: np.ndarray) -> list[np.ndarray]:
    return [images[start : start + 256] for start in range(0, len(images), 256)]
