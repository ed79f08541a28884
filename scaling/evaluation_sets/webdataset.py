"""Evaluation sets as the field ships them: shards of pictures with a class or captions each.

    FOLDER/classnames.txt                             a class a line, at its label
    FOLDER/zeroshot_classification_templates.txt      a prompt a line, {c} where the class goes
    FOLDER/dataset_type.txt                           retrieval or multilabel; absent for classes
    FOLDER/test/nshards.txt                           n
    FOLDER/test/{0..n-1}.tar                          key.jpg|jpeg|png|webp and key.cls|npy|txt

Source: CLIP_benchmark's `build_wds_dataset`; hosted for DataComp's tasks as `wds_*_test`.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from scaling.datasets import Options
from scaling.evaluation_sets import Broken, Truth
from scaling.evaluation_sets._webdataset.options import WebdatasetOptions

if TYPE_CHECKING:
    from scaling.evaluation_sets._webdataset.examples import WebdatasetExamples


class Webdataset:
    """See `scaling.evaluation_sets.EvaluationSet`."""

    options: type[Options] = WebdatasetOptions

    def truths(self, options: Options) -> frozenset[Truth]:
        """See `EvaluationSet.truths`."""
        assert isinstance(options, WebdatasetOptions)
        return frozenset({options.truth})

    def check(self, options: Options, folder: Path | None) -> None:
        """See `EvaluationSet.check`; looks at the files, not into shards."""
        from scaling.evaluation_sets._webdataset.files import find_set

        assert isinstance(options, WebdatasetOptions)
        find_set(options, folder)

    def open(
        self, options: Options, folder: Path | None, broken: Broken = "error"
    ) -> "WebdatasetExamples":
        """See `EvaluationSet.open`."""
        from scaling.evaluation_sets._webdataset.examples import WebdatasetExamples
        from scaling.evaluation_sets._webdataset.files import find_set

        assert isinstance(options, WebdatasetOptions)
        return WebdatasetExamples(find_set(options, folder), options, broken)


SET = Webdataset()
