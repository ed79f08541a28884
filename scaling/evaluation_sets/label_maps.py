"""Pictures and label maps, a file each: the layout of ADE20K, Cityscapes, Pascal VOC and others.

    FOLDER/images/training/NAME.jpg        FOLDER/annotations/training/NAME.png
    FOLDER/images/validation/NAME.jpg      FOLDER/annotations/validation/NAME.png

A label map is an image of one channel, or with a palette, whose values are the classes of pixels.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field, model_validator

from scaling.datasets import Options
from scaling.evaluation_sets import IGNORED, Broken, Truth
from scaling.evaluation_sets._folders import stays_below

if TYPE_CHECKING:
    from scaling.evaluation_sets._label_maps import LabelMapExamples

Below = Annotated[str, Field(min_length=1), AfterValidator(stays_below)]
Suffix = Annotated[str, Field(min_length=1)]


class LabelMapOptions(Options):
    """Where the files are, and what the values of label maps mean."""

    folder: Below
    """In the folder of evaluation sets, or an absolute path."""
    training_images: Below = "images/training"
    training_masks: Below = "annotations/training"
    """The half that a head is fitted to, or a network fine-tuned on."""
    scored_images: Below = "images/validation"
    scored_masks: Below = "annotations/validation"
    """The half that is scored."""
    image_suffix: Suffix = ".jpg"
    """How names of pictures end, at any depth below their folder."""
    mask_suffix: Suffix = ".png"
    """What label maps have in its place: `_leftImg8bit.png` and `_gtFine_labelTrainIds.png`."""
    classes: Annotated[int, Field(ge=2, lt=IGNORED)] | None = None
    """How many there are; unless given, as many as `class_names` names."""
    class_names: Below | None = None
    """A file in the folder that names a class a line."""
    ignore_index: Annotated[int, Field(ge=0, lt=2**16)] = IGNORED
    """The value of pixels that count nowhere."""
    reduce_zero_label: bool = False
    """Whether 0 counts nowhere either, and classes begin at 1, as in ADE20K."""

    @model_validator(mode="after")
    def _classes_are_known(self) -> "LabelMapOptions":
        if self.classes is None and self.class_names is None:
            raise ValueError("say how many `classes` there are, or which file has `class_names`")
        return self


class LabelMaps:
    """See `scaling.evaluation_sets.EvaluationSet`."""

    options: type[Options] = LabelMapOptions

    def truths(self, options: Options) -> frozenset[Truth]:
        """See `EvaluationSet.truths`."""
        return frozenset({"masks"})

    def check(self, options: Options, folder: Path | None) -> None:
        """See `EvaluationSet.check`; looks at names of files, not into them."""
        self.open(options, folder)

    def open(
        self, options: Options, folder: Path | None, broken: Broken = "error"
    ) -> "LabelMapExamples":
        """See `EvaluationSet.open`."""
        from scaling.evaluation_sets._label_maps import LabelMapExamples

        assert isinstance(options, LabelMapOptions)
        return LabelMapExamples(options, folder, broken)


SET = LabelMaps()
