"""Grids for the page: pairs of the same noise, and nearest real images."""

import dataclasses

import numpy as np

from tf_student.data import grids

_COLUMNS = 16
_ROWS, _WORST_ROWS = 4, 2


@dataclasses.dataclass(frozen=True)
class Picture:
    """What the page shows.

    Attributes:
        name: of its file.
        caption: above it.
        image: uint8 `[height, width, channels]`.
    """

    name: str
    caption: str
    image: np.ndarray

    def write(self, path: str) -> None:
        """Writes it as a PNG of about 768 pixels in width; it appears whole."""
        grids.write_png(path, self.image, width=768)


def pairs(
    names: tuple[str, str], sets: tuple[np.ndarray, np.ndarray], distances: np.ndarray
) -> list[Picture]:
    """The first pairs of two generators' images, and the most distant ones.

    Args:
        names: of the generators.
        sets: their images, uint8 `[n, height, width, channels]`.
        distances: of each pair, `[n]`.
    """

    def grid(chosen):
        parts = [part[chosen] for part in sets]
        return grids.grid(grids.alternate_rows(parts, _COLUMNS), _COLUMNS)

    rows = f"{names[0]} (upper rows) and {names[1]} (lower rows)"
    first = np.arange(min(len(distances), _COLUMNS * _ROWS))
    worst = np.argsort(-distances)[: _COLUMNS * _WORST_ROWS]
    farthest = f"{rows}: the pairs with the most distant features"
    return [
        Picture("same_noise", f"{rows} on the same noise", grid(first)),
        Picture("worst_pairs", farthest, grid(worst)),
    ]


def neighbours(name: str, queries: np.ndarray, nearest: np.ndarray) -> Picture:
    """Images, each at the left of the real ones that are nearest to it.

    Args:
        name: where the images come from.
        queries: uint8 `[n, height, width, channels]`.
        nearest: uint8 `[n, k, height, width, channels]`.
    """
    sheet = np.concatenate([queries[:, None], nearest], axis=1)
    caption = f"Samples of {name} (left) and their nearest real images"
    flat = sheet.reshape(-1, *queries.shape[1:])
    return Picture("neighbours", caption, grids.grid(flat, sheet.shape[1]))
