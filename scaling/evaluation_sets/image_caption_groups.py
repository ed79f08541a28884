"""Pictures and texts that are to be matched: the files of Winoground and of SugarCrepe.

    FOLDER/data/examples.jsonl, FOLDER/data/images/       as facebook/winoground has them, unzipped
    FOLDER/add_att.json, ..., FOLDER/val2017/             SugarCrepe's, and COCO's pictures

Annotations in JSON lines are Winoground's, an object a group: `image_0`, `image_1` (names of
files, with or without their suffix), `caption_0`, `caption_1`. Annotations in one JSON are
SugarCrepe's, an object of groups: `filename`, `caption`, `negative_caption`. Other keys are
ignored.

Source: CLIP_benchmark's `WinoGround` and `SugarCrepe`; arXiv:2204.03162, arXiv:2306.14610.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field

from scaling.datasets import Options
from scaling.evaluation_sets import Broken, Truth
from scaling.evaluation_sets._folders import stays_below

if TYPE_CHECKING:
    from scaling.evaluation_sets._caption_groups import CaptionGroups

Below = Annotated[str, Field(min_length=1), AfterValidator(stays_below)]


class CaptionGroupOptions(Options):
    """Where the files are."""

    folder: Below
    """Within the folder of evaluation sets, or an absolute path."""
    annotations: Annotated[Below, Field(pattern=r"\.jsonl?$")]
    """Within `folder`: .jsonl as Winoground has it, or .json as SugarCrepe has it."""
    pictures: Below
    """The folder of pictures within `folder`."""


class ImageCaptionGroups:
    """See `scaling.evaluation_sets.EvaluationSet`."""

    options: type[Options] = CaptionGroupOptions

    def truths(self, options: Options) -> frozenset[Truth]:
        """See `EvaluationSet.truths`."""
        return frozenset({"choices"})

    def check(self, options: Options, folder: Path | None) -> None:
        """See `EvaluationSet.check`; reads the annotations, and no picture."""
        self.open(options, folder)

    def open(
        self, options: Options, folder: Path | None, broken: Broken = "error"
    ) -> "CaptionGroups":
        """See `EvaluationSet.open`."""
        from scaling.evaluation_sets._caption_groups import CaptionGroups

        assert isinstance(options, CaptionGroupOptions)
        return CaptionGroups(options, folder, broken)


SET = ImageCaptionGroups()
