"""How a network is measured by segmentation, as YAML says it."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from scaling.datasets import Options
from scaling.evals._declared import ChosenSet, SetChoice
from scaling.evals._needed import knows

Share = Annotated[float, Field(ge=0, le=1)]
Rate = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Pixels = Annotated[int, Field(ge=1)]

STUDY_CROP, STUDY_PATCH = 224, 14


class ClosedFormOptions(Options):
    """A linear head in closed form (`scaling.evals._segmentation.closed_form`)."""

    strengths: Annotated[tuple[Positive, ...], Field(min_length=1)] = (
        1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0,
    )  # fmt: skip
    """Weights of the penalty to choose from, for features of unit variance."""


class TrainingOptions(Options):
    """A head, and with `finetune` the image tower, trained by AdamW.

    Defaults are those of github.com/tue-mps/benchmark-vfm-ss at b657aad, the evaluation that the
    reference study (arXiv:2506.04598) points to.
    """

    epochs: Annotated[int, Field(ge=1)] = 31
    batch_size: Annotated[int, Field(ge=1)] = 16
    learning_rate: Rate = 1e-4
    """Of the head."""
    encoder_learning_rate: Rate = 1e-5
    """Of the image tower, if it is trained."""
    weight_decay: Rate = 0.05
    warmup_steps: Annotated[int, Field(ge=0)] = 1500
    """Over which learning rates rise linearly from 0."""
    decay_power: Positive = 0.9
    """After them, learning rates fall to 0 as the remaining share of steps to this power."""
    smallest_scale: Positive = 0.5
    largest_scale: Positive = 2.0
    """Pictures are scaled at random between these; at 1 they just fit into a crop."""
    flip: Share = 0.5
    """Probability of a mirrored picture."""
    jitter: Share = 0.5
    """Probability of each of the four changes of colour below."""
    brightness: Share = 32 / 255
    contrast: Share = 0.5
    saturation: Share = 0.5
    """Largest relative change."""
    hue: Annotated[float, Field(ge=0, le=0.5)] = 18 / 360
    """Largest change, in turns of the circle of colours."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0

    @model_validator(mode="after")
    def _scales_are_in_order(self) -> "TrainingOptions":
        if self.smallest_scale > self.largest_scale:
            raise ValueError("'smallest_scale' is larger than 'largest_scale'")
        return self


class SegmentationOptions(Options):
    """On what, and how much of the network is fitted to it."""

    picture_set: ChosenSet = Field(alias="set")
    mode: Literal["frozen", "finetune"] = "frozen"
    """`frozen`: a linear head on patch features; `finetune`: the image tower is trained too."""
    head: Literal["closed_form", "adamw"] | None = None
    """How the head is fitted: in closed form (frozen, unless said otherwise) or by training."""
    crop_size: Pixels | None = None
    """Pixels of the windows that the network sees; unless given, 224 if it is fine-tuned, else the
    size that it was trained at."""
    patch_size: Pixels | None = None
    """Pixels of patches; unless given, 14 if it is fine-tuned, else as it was trained."""
    closed_form: ClosedFormOptions = ClosedFormOptions()
    training: TrainingOptions = TrainingOptions()

    @field_validator("picture_set")
    @classmethod
    def _set_has_masks(cls, choice: SetChoice) -> SetChoice:
        return knows(choice, "masks")

    @model_validator(mode="after")
    def _options_are_of_the_head(self) -> "SegmentationOptions":
        if self.mode == "finetune" and self.head == "closed_form":
            raise ValueError("'head: closed_form' is for a network that is frozen")
        unused = "training" if self.is_closed_form else "closed_form"
        if unused in self.model_fields_set:
            how = "in closed form" if self.is_closed_form else "by training"
            raise ValueError(f"'{unused}' says nothing here: the head is fitted {how}")
        return self

    @property
    def is_closed_form(self) -> bool:
        """Whether the head has a closed form."""
        return self.mode == "frozen" and self.head != "adamw"

    @property
    def sizes(self) -> tuple[int | None, int | None]:
        """Pixels of windows and of patches; None is the network's own."""
        if self.mode == "frozen":
            return self.crop_size, self.patch_size
        return self.crop_size or STUDY_CROP, self.patch_size or STUDY_PATCH
