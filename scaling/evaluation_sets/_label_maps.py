"""Pictures and label maps, found and read."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from scaling.datasets._webdataset.decoding import UNREADABLE, center_crop, decode, framed
from scaling.errors import DataError
from scaling.evaluation_sets import IGNORED, Batch, Broken, Half, Picture
from scaling.evaluation_sets._folders import set_folder
from scaling.evaluation_sets.label_maps import LabelMapOptions
from scaling.families._images import CLIP_FRAMING, Framing

_BATCH_SIZE = 64

Pair = tuple[Path, Path]
"""A picture and its label map."""


class LabelMapExamples:
    """See `scaling.evaluation_sets.MaskedExamples`."""

    templates: Sequence[str] = ()

    def __init__(self, options: LabelMapOptions, root: Path | None, broken: Broken) -> None:
        """Find all files; raises `DataError` where one is missing."""
        self._options = options
        self._folder = set_folder(options.folder, root)
        self._broken = broken
        self._undecodable: set[Path] = set()
        self.class_names = _class_names(self._folder, options)
        self._pairs: dict[Half, tuple[Pair, ...]] = {
            "training": self._found(options.training_images, options.training_masks),
            "scored": self._found(options.scored_images, options.scored_masks),
        }
        if both := {image for image, _ in self._pairs["training"]}.intersection(
            image for image, _ in self._pairs["scored"]
        ):
            raise DataError(
                f"{min(both)}: is among the pictures that are scored and those to learn from"
            )

    @property
    def skipped(self) -> int:
        """See `Examples.skipped`."""
        return len(self._undecodable)

    @cached_property
    def identity(self) -> str:
        """See `Examples.identity`; lengths of files stand for what is in them."""
        digest = hashlib.sha256(
            self._options.model_dump_json(
                include={"classes", "ignore_index", "reduce_zero_label"}
            ).encode()
        )
        for half, pairs in sorted(self._pairs.items()):
            for path in (path for pair in pairs for path in pair):
                name = path.relative_to(self._folder).as_posix()
                digest.update(f"{half} {name} {path.stat().st_size}\n".encode())
        return f"label-maps-{digest.hexdigest()[:16]}"

    def pictures(self, half: Half, image_size: int) -> "LabelledPictures":
        """See `MaskedExamples.pictures`."""
        values = Values(
            len(self.class_names), self._options.ignore_index, self._options.reduce_zero_label
        )
        return LabelledPictures(self._pairs[half], values, self._broken, self._undecodable)

    def batches(self, image_size: int, framing: Framing = CLIP_FRAMING) -> Iterator[Batch]:
        """See `Examples.batches`: the same square of each picture and of its label map."""
        pictures = self.pictures("scored", image_size)
        for first in range(0, len(pictures), _BATCH_SIZE):
            positions = range(first, min(first + _BATCH_SIZE, len(pictures)))
            found = [there for n in positions if (there := pictures[n]) is not None]
            if found:
                images = [framed(Image.fromarray(own.image), image_size, framing) for own in found]
                masks = [_framed_mask(own.mask, image_size, framing) for own in found]
                yield Batch(np.stack(images), masks=np.stack(masks))

    def _found(self, images: str, masks: str) -> tuple[Pair, ...]:
        options = self._options
        pictures, maps = self._folder / images, self._folder / masks
        for folder in (pictures, maps):
            if not folder.is_dir():
                raise DataError(f"evaluation set {options.folder}: there is no folder {folder}")
        pairs = []
        for path in sorted(pictures.rglob(f"*{options.image_suffix}")):
            stem = path.name.removesuffix(options.image_suffix)
            own = maps / path.relative_to(pictures).parent / f"{stem}{options.mask_suffix}"
            pairs.append((path, own))
        if not pairs:
            raise DataError(f"{pictures}: there is no picture *{options.image_suffix}")
        there = set(maps.rglob(f"*{options.mask_suffix}"))
        if without := [pair for pair in pairs if pair[1] not in there]:
            raise DataError(
                f"{without[0][1]}: the label map of {without[0][0].name} is missing"
                + (f", and {len(without) - 1:,} others" if len(without) > 1 else "")
            )
        return tuple(pairs)


@dataclass(frozen=True)
class Values:
    """What the values of label maps mean."""

    classes: int
    ignore_index: int
    reduce_zero_label: bool

    def classes_of(self, values: NDArray[np.int32], path: Path) -> NDArray[np.uint8]:
        """Classes of pixels, or `IGNORED`; raises `DataError` for a value that is neither."""
        is_ignored = values == self.ignore_index
        if self.reduce_zero_label:
            is_ignored |= values == 0
            values = values - 1
        is_class = (values >= 0) & (values < self.classes)
        if not (is_class | is_ignored).all():
            wrong = int(values[~(is_class | is_ignored)][0]) + self.reduce_zero_label
            first = int(self.reduce_zero_label)
            raise DataError(
                f"{path}: has the value {wrong}, which is no class ({first} to "
                f"{first + self.classes - 1}) and not ignored ({self.ignore_index})"
            )
        return np.where(is_ignored, IGNORED, values).astype(np.uint8)


class LabelledPictures:
    """See `scaling.evaluation_sets.Pictures`."""

    def __init__(
        self, pairs: Sequence[Pair], values: Values, broken: Broken, undecodable: set[Path]
    ) -> None:
        """`undecodable` gets what is left out."""
        self._pairs, self._values = pairs, values
        self._broken, self._undecodable = broken, undecodable

    def __len__(self) -> int:
        """See `Pictures`."""
        return len(self._pairs)

    def __getitem__(self, position: int, /) -> Picture | None:
        """See `Pictures`."""
        picture, label_map = self._pairs[position]
        path = picture
        try:
            image = np.asarray(decode(picture.read_bytes()))
            path = label_map
            values = _values(label_map)
        except UNREADABLE as error:
            if self._broken == "skip":
                self._undecodable.add(picture)
                return None
            raise DataError(
                f"{path}: does not decode: {error} (`broken_images: skip` leaves such "
                "pictures out and counts them)"
            ) from error
        if values.ndim != 2:
            raise DataError(
                f"{label_map}: is a picture in colours; a label map has one channel, or a palette"
            )
        if values.shape != image.shape[:2]:
            raise DataError(
                f"{label_map}: has {values.shape[1]} x {values.shape[0]} pixels, and its picture "
                f"{image.shape[1]} x {image.shape[0]}"
            )
        return Picture(image, self._values.classes_of(values, label_map))


def _values(path: Path) -> NDArray[np.int32]:
    """(H, W), or (H, W, channels) of what is no label map."""
    with Image.open(path) as found:
        return np.asarray(found).astype(np.int32)


def _framed_mask(mask: NDArray[np.uint8], size: int, framing: Framing) -> NDArray[np.uint8]:
    """The pixels of the mask nearest to those of `framed`; beyond its edges, `IGNORED`."""
    image, nearest = Image.fromarray(mask), Image.Resampling.NEAREST
    if framing.resize == "shortest":
        return center_crop(image, size, nearest)
    if framing.resize == "squash":
        return np.asarray(image.resize((size, size), nearest))
    ratio = max(image.size) / size
    scaled = (round(image.width / ratio), round(image.height / ratio))
    canvas = Image.new("L", (size, size), IGNORED)
    canvas.paste(image.resize(scaled, nearest), ((size - scaled[0]) // 2, (size - scaled[1]) // 2))
    return np.asarray(canvas)


def _class_names(folder: Path, options: LabelMapOptions) -> tuple[str, ...]:
    if options.class_names is None:
        return tuple(f"class {label}" for label in range(options.classes or 0))
    path = folder / options.class_names
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    names = tuple(line.strip() for line in lines if line.strip())
    if options.classes not in (None, len(names)):
        raise DataError(f"{path}: names {len(names)} classes, and there are {options.classes}")
    if not 2 <= len(names) < IGNORED:
        raise DataError(f"{path}: names {len(names)} classes; 2 to {IGNORED - 1} can be scored")
    return names
