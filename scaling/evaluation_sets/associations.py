"""Words, and which of some pictures each brings to mind: the layout of WinoGAViL.

    FOLDER/winogavil_dataset.csv      columns candidates, cue, associations; the first and the last
                                      are lists in JSON of names of pictures
    FOLDER/winogavil_images/NAME.jpg

Source: Bitton et al. 2022 (arXiv:2207.12576), their table and pictures as they host them.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from scaling.datasets import Options
from scaling.evaluation_sets import Broken, Truth

if TYPE_CHECKING:
    from scaling.evaluation_sets._associations import AssociationExamples


class AssociationOptions(Options):
    """Where the files are."""

    folder: str
    """In the folder of evaluation sets, or an absolute path."""
    table: str = "winogavil_dataset.csv"
    images: str = "winogavil_images"
    image_suffix: Annotated[str, Field(min_length=1)] = ".jpg"


class Associations:
    """See `scaling.evaluation_sets.EvaluationSet`."""

    options: type[Options] = AssociationOptions

    def truths(self, options: Options) -> frozenset[Truth]:
        """See `EvaluationSet.truths`."""
        return frozenset({"associations"})

    def check(self, options: Options, folder: Path | None) -> None:
        """See `EvaluationSet.check`; reads the table, and not into pictures."""
        self.open(options, folder)

    def open(
        self, options: Options, folder: Path | None, broken: Broken = "error"
    ) -> "AssociationExamples":
        """See `EvaluationSet.open`."""
        from scaling.evaluation_sets._associations import AssociationExamples

        assert isinstance(options, AssociationOptions)
        return AssociationExamples(options, folder, broken)


SET = Associations()
