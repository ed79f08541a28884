"""Sets of a few pictures, in the files of Winoground and of SugarCrepe."""

import json
from pathlib import Path
from typing import Any

from small_sets import picture

COLOURS = ("red", "blue", "green", "yellow")
SUGAR_CREPE = {"folder": "sugar_crepe", "annotations": "swap_obj.json", "pictures": "val2017"}
WINOGROUND = {
    "folder": "winoground",
    "annotations": "data/examples.jsonl",
    "pictures": "data/images",
}


def texts(number: int) -> tuple[str, str]:
    one, other = COLOURS[number % 4], COLOURS[(number + 1 + number // 4) % 4]
    return f"a {one} circle above a {other} star", f"a {other} circle above a {one} star"


def write_sugar_crepe(root: Path, count: int = 40) -> None:
    folder = root / "sugar_crepe"
    (folder / "val2017").mkdir(parents=True)
    groups = {}
    for number in range(count):
        name = f"{number:012d}.jpg"
        (folder / "val2017" / name).write_bytes(picture(number))
        true, false = texts(number)
        # Theirs have gaps in their numbers.
        groups[str(3 * number)] = {"filename": name, "caption": true, "negative_caption": false}
    (folder / "swap_obj.json").write_text(json.dumps(groups))


def write_winoground(root: Path, count: int = 40) -> None:
    images = root / "winoground" / "data" / "images"
    images.mkdir(parents=True)
    lines = []
    for number in range(count):
        names = [f"ex_{number}_img_{side}" for side in (0, 1)]
        for side, name in enumerate(names):
            (images / f"{name}.png").write_bytes(picture(2 * number + side, "png"))
        true, other = texts(number)
        lines.append(
            {"id": number, "image_0": names[0], "image_1": names[1], "caption_0": true}
            | {"caption_1": other, "tag": "Noun", "num_main_preds": 1}
        )
    (images.parent / "examples.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")


def groups_in(options: dict[str, str]) -> dict[str, Any]:
    return {"kind": "image_caption_groups", **options}
