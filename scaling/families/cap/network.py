"""Cap's network: MaMMUT's, of which only the captioning pass runs.

What captioning does not use is there, so that released weights of either family load, but frozen:
`visual.proj`, `visual.ln_post` and `logit_scale`. So every parameter that is trained has a
gradient in every step, as DDP requires. The reference study's code freezes `text.ln_final` as
well, at scale 1 and shift 0, although captioning goes through it. That is not repeated: it looks
like a slip in a list of what contrast needs, and it costs the captioner its only output bias.
"""

from torch import Tensor

from scaling.families import Outputs
from scaling.families._towers import ViTConfig
from scaling.families.mammut.network import Captioner


class Cap(Captioner):
    """An image tower and a decoder that says what is in the image."""

    def __init__(self, config: ViTConfig) -> None:
        """Fresh weights."""
        super().__init__(config)
        self.visual.proj.requires_grad_(False)
        self.visual.ln_post.requires_grad_(False)
        self.logit_scale.requires_grad_(False)

    def forward(self, images: Tensor, tokens: Tensor, captions: bool = True) -> Outputs:
        """See `scaling.families.Outputs`; without captions there is nothing to compute."""
        if not captions:
            return Outputs({}, {}, {})
        _, image_tokens_BPv = self.visual(images)
        return Outputs({}, {}, {"caption": self.caption_loss(image_tokens_BPv, tokens)})
