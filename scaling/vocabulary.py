"""The words of the embedded dataset's captions, and their token ids."""

SHAPES = (
    "circle", "square", "triangle", "diamond", "cross",
    "ring", "frame", "star", "moon", "heart",
)  # fmt: skip
COLOURS = (
    "red", "orange", "yellow", "lime", "green",
    "cyan", "blue", "purple", "pink", "brown",
)  # fmt: skip
TEXTURES = ("solid", "striped", "dotted", "checkered")
SIZES = ("small", "large")
BACKGROUNDS = ("snow", "fog", "night", "sand", "sky", "moss", "dusk", "steel")
RELATIONS = ("left of", "right of", "above", "below")
"""Where the first object is, seen from the second."""

OPENINGS = ("", "photo of ", "picture of ", "image of ")
"""How a caption may begin."""
ANY_SHAPE = "thing"
"""What an object is called in a caption that leaves out its shape."""

START, END = "<start>", "<end>"

VOCABULARY = (
    "<pad>",
    START,
    *("a", "an", "of", "on", "photo", "picture", "image", "left", "right", "above", "below"),
    *SHAPES,
    ANY_SHAPE,
    *COLOURS,
    *TEXTURES,
    *SIZES,
    *BACKGROUNDS,
    # Last, because CLIP pools the text at its highest token id.
    END,
)
"""Every token, at its id."""

WORD_IDS = {word: index for index, word in enumerate(VOCABULARY)}


def with_article(noun_phrase: str) -> str:
    """'a red circle', 'an orange ring'."""
    return f"{'an' if noun_phrase[0] in 'aeiou' else 'a'} {noun_phrase}"
