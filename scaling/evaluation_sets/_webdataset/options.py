"""What YAML says of a set in the webdataset layout."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from scaling.datasets import Options
from scaling.evaluation_sets._folders import stays_below

SampleTruth = Literal["labels", "multilabel", "captions", "choices", "attributes"]


class WebdatasetOptions(Options):
    """Where a set is, and what is true of its pictures."""

    folder: Annotated[str, Field(min_length=1), AfterValidator(stays_below)]
    """Within the folder of evaluation sets, as `wds_imagenet1k_test`; or an absolute path."""
    split: Annotated[str, Field(pattern=r"^\w[\w.-]*$")] = "test"
    """The folder of the shards, within that of the set."""
    truth: SampleTruth = "labels"
    """What members say of a picture: `labels` a class, in key.cls; `multilabel` 0 or 1 for each
    class, in key.npy; `captions` a text a line, in key.txt; `choices` texts of which the first
    alone is true; `attributes` no more than `metadata`."""
    metadata: Mapping[str, Annotated[int, Field(ge=0)]] = Field(default_factory=dict)
    """Names for elements of key.npy, by their position: what metrics by group go by."""

    @model_validator(mode="after")
    def _attributes_have_names(self) -> Self:
        if self.truth == "attributes" and not self.metadata:
            raise ValueError("truth: attributes needs `metadata`, e.g. {age: 0, gender: 1}")
        return self
