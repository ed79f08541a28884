"""Semantic segmentation: a linear head on patch features, the network frozen or fine-tuned.

Fine-tuning, with its defaults, is how the reference study (arXiv:2506.04598) measured ADE20K, as
far as its code tells. The network that is measured stays as it is: copies are trained.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from scaling.datasets import Options
from scaling.evals._needed import check_set
from scaling.evals._segmentation.confusion import SCORES
from scaling.evals._segmentation.options import SegmentationOptions

if TYPE_CHECKING:
    from scaling.evals._segmentation.segmenter import Segmenter
    from scaling.evals._subject import Subject
    from scaling.evaluation_sets import MaskedExamples
    from scaling.families import Ability


class SemanticSegmentation:
    """See `scaling.evals.TaskKind`."""

    options: type[Options] = SegmentationOptions
    needs: "Ability" = "patches"

    def metrics(self, options: Any) -> tuple[str, ...]:
        """See `TaskKind.metrics`."""
        return SCORES

    def check(self, options: Any, sets: Path | None) -> None:
        """See `TaskKind.check`."""
        check_set(options.picture_set, sets)

    def measure(self, options: Any, subject: "Subject") -> dict[str, float]:
        """See `TaskKind.measure`."""
        from scaling.evals._segmentation.segmenter import confusion_of

        assert isinstance(options, SegmentationOptions)
        examples = cast("MaskedExamples", subject.examples(options.picture_set))
        crop = options.sizes[0] or subject.config.image_size
        segmenter = _segmenter(options, subject, examples, crop)
        return confusion_of(segmenter, examples.pictures("scored", crop), crop).scores()


def _segmenter(
    options: SegmentationOptions, subject: "Subject", examples: "MaskedExamples", crop: int
) -> "Segmenter":
    from scaling.evals._segmentation.closed_form import closed_form_head
    from scaling.evals._segmentation.segmenter import PatchEncoder, Segmenter
    from scaling.evals._segmentation.training import fitted
    from scaling.families._patches import copied_tower

    network: Any = subject.network
    tower = copied_tower(network.visual, crop, options.sizes[1])
    encoder = PatchEncoder(tower, subject.preprocessing)
    pictures, classes = examples.pictures("training", crop), len(examples.class_names)
    if options.is_closed_form:
        strengths = options.closed_form.strengths
        head = closed_form_head(encoder, pictures, classes=classes, crop=crop, strengths=strengths)
        return Segmenter(encoder, head)
    found = fitted(
        encoder,
        pictures,
        classes=classes,
        crop=crop,
        options=options.training,
        is_frozen=options.mode == "frozen",
    )
    return found.segmenter


TASK = SemanticSegmentation()
