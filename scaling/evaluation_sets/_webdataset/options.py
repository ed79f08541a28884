"""What YAML says of a set in the webdataset layout."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from scaling.datasets import Options

SampleTruth = Literal["labels", "multilabel", "captions"]


def _stays_below(path: str) -> str:
    if not Path(path).expanduser().is_absolute() and ".." in Path(path).parts:
        raise ValueError(
            f"{path!r} leads out of the folder of evaluation sets; name a folder in it, or an "
            "absolute path"
        )
    return path


class WebdatasetOptions(Options):
    """Where a set is, and what is true of its pictures."""

    folder: Annotated[str, Field(min_length=1), AfterValidator(_stays_below)]
    """Within the folder of evaluation sets, as `wds_imagenet1k_test`; or an absolute path."""
    split: Annotated[str, Field(pattern=r"^\w[\w.-]*$")] = "test"
    """The folder of the shards, within that of the set."""
    truth: SampleTruth = "labels"
    """What members say of a picture: `labels` a class, in key.cls; `multilabel` 0 or 1 for each
    class, in key.npy; `captions` a text a line, in key.txt."""
    metadata: Mapping[str, Annotated[int, Field(ge=0)]] = Field(default_factory=dict)
    """Names for elements of key.npy, by their position: what metrics by group go by."""
