"""Small pictures, and the content of image files, for tests."""

import io

import numpy as np
from PIL import Image


def picture(height: int = 8, width: int = 8, offset: int = 0) -> np.ndarray:
    """A smooth picture in colour, uint8 `[height, width, 3]`."""
    rows, columns = np.mgrid[:height, :width]
    channels = (columns * 20 + offset, rows * 20, (rows + columns) * 10 + offset)
    return np.stack(channels, axis=-1).astype(np.uint8)


def encode(image: Image.Image | np.ndarray, kind: str, **options) -> bytes:
    """The content of an image file of a format of Pillow's."""
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def write(path, content: bytes) -> str:
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_bytes(content)
    return str(path)
