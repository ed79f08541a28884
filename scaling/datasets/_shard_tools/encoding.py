"""Pictures to bytes."""

import io
from typing import Any, Literal

from PIL import Image

Format = Literal["png", "webp", "jpg"]
"""Also the suffix of a file in a shard."""

_PILLOW_NAMES = {"png": "PNG", "webp": "WEBP", "jpg": "JPEG"}


def encode(image: Image.Image, form: Format, *, quality: int | None) -> bytes:
    """`image` in a format, lossless where the format can be if `quality` is None.

    JPEG cannot be: it has quality 95 then, and like everywhere full chroma from 90 on, as sharp
    edges of colour need it.
    """
    options: dict[str, Any] = {}
    if form == "jpg":
        options = {"quality": quality or 95}
        if options["quality"] >= 90:
            options["subsampling"] = 0
    elif form == "webp":
        options = {"lossless": True} if quality is None else {"quality": quality}
    buffer = io.BytesIO()
    image.save(buffer, _PILLOW_NAMES[form], **options)
    return buffer.getvalue()
