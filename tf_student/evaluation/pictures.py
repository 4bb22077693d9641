"""Image grids of the report: pairs of the same noise, and nearest real images."""

import dataclasses

import numpy as np

from tf_student.data import grids

_COLUMNS = 16
_ROWS, _WORST_ROWS = 4, 2
_WIDTH = 768


@dataclasses.dataclass(frozen=True)
class Picture:
    """An image of the report.

    Attributes:
        name: of its file, without the suffix.
        caption: text above the image.
        image: uint8 `[height, width, channels]`.
    """

    name: str
    caption: str
    image: np.ndarray

    def write(self, path: str) -> None:
        """Writes the image atomically, as a PNG that is about 768 pixels wide."""
        grids.write_png(path, self.image, width=_WIDTH)


def pairs(
    names: tuple[str, str], images: tuple[np.ndarray, np.ndarray], distances: np.ndarray
) -> list[Picture]:
    """Shows the first pairs of two generators' images, and the most distant pairs.

    Args:
        names: of the two generators.
        images: of the two generators, uint8 `[n, height, width, channels]` each.
        distances: of the images of each pair, `[n]`.
    """

    def grid(chosen):
        parts = [part[chosen] for part in images]
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
    """Shows generated images, each to the left of its nearest real images.

    Args:
        name: of the generator.
        queries: uint8 `[n, height, width, channels]`.
        nearest: uint8 `[n, k, height, width, channels]`.
    """
    sheet = np.concatenate([queries[:, None], nearest], axis=1)
    caption = f"Samples of {name} (left) and their nearest real images"
    flat = sheet.reshape(-1, *queries.shape[1:])
    return Picture("neighbours", caption, grids.grid(flat, sheet.shape[1]))
