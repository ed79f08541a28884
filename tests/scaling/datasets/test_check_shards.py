import json
from pathlib import Path

import pytest
from open_clip.tokenizer import SimpleTokenizer
from small_shards import picture, write_shard

from scaling.datasets._shard_tools.check import Look, ShardReport, look_at
from scaling.datasets._shard_tools.check_summary import CheckSummary, Fault, summarize


def summary(*reports: ShardReport) -> CheckSummary:
    return summarize(reports, [], 1.0)


def sample(seed: int, caption: str = "a cat") -> dict[str, bytes]:
    return {"jpg": picture(seed, 40 + seed, 30), "txt": caption.encode()}


def test_what_is_whole_is_counted(tmp_path: Path) -> None:
    captions = ["a cat", "", "  \n", "the quick brown fox"]
    samples = {f"{n:04d}": sample(n, caption) for n, caption in enumerate(captions)}
    samples["0004"] = {"webp": picture(4, 64, 128, "WEBP"), "txt": b"a dog"}
    samples["0005"] = {"jpg": picture(5, 64, 128, "PNG"), "txt": b"named wrongly"}

    found = summary(look_at(Look(write_shard(tmp_path / "0.tar", samples), tokens=True)))

    assert (found.samples, found.captions, found.empty_captions) == (6, 6, 2)
    assert found.formats == {"jpeg": 4, "png": 1, "webp": 1}
    assert found.shorter_side == {"min": 30, "median": 30, "p99": 64, "max": 64}
    assert found.longer_side == {"min": 40, "median": 42, "p99": 128, "max": 128}
    assert found.words == {"min": 0, "median": 2, "p99": 4, "max": 4}
    longest = max(len(SimpleTokenizer().encode(caption)) for caption in captions)
    assert found.tokens["max"] == 2 + longest
    assert found.tokens["min"] == 2
    assert found.faults == ()


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"jpg": picture(0, 40, 30)[:300], "txt": b"cut"}, "Truncated"),
        ({"jpg": b"", "txt": b"empty"}, "not a picture"),
        ({"png": picture(0, 40, 30, "PNG")[:200], "txt": b"x"}, "truncated"),
        ({"jpg": picture(0, 40, 30), "txt": b"\xff\xfe"}, "utf-8"),
        ({"txt": b"alone"}, "no image"),
        ({"jpg": picture(0, 40, 30)}, "no caption"),
    ],
)
def test_what_cannot_be_trained_on_is_named_with_the_reason(
    tmp_path: Path, files: dict[str, bytes], reason: str
) -> None:
    shard = write_shard(tmp_path / "0.tar", {"a": sample(0), "b": files, "c": sample(1)})

    (fault,) = summary(look_at(Look(shard))).faults

    assert (fault.shard, fault.key) == (str(shard), "b")
    assert reason in fault.reason


def test_a_shard_that_ends_early_is_damaged_and_read_up_to_there(tmp_path: Path) -> None:
    shard = write_shard(tmp_path / "0.tar", {f"{n}": sample(n) for n in range(8)})
    shard.write_bytes(shard.read_bytes()[: shard.stat().st_size // 2])

    found = summary(look_at(Look(shard)))

    assert 2 <= found.samples < 8
    assert found.faults[0].key == ""
    assert found.faults[0].reason.startswith("at byte")


def test_what_is_no_tar_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "0.tar").write_text("not a tar" * 100)

    (fault,) = summary(look_at(Look(tmp_path / "0.tar"))).faults

    assert fault == Fault(
        str(tmp_path / "0.tar"), "", "at byte 0: this is not the header of a member of a tar"
    )


def test_captions_may_be_in_the_json(tmp_path: Path) -> None:
    texts = {"a": {"again": ["a cat", "one cat"]}, "b": {"again": "a dog"}, "c": {"other": "x"}}
    shard = write_shard(
        tmp_path / "0.tar",
        {
            key: {"jpg": picture(0, 40, 30), "json": json.dumps(fields).encode()}
            for key, fields in texts.items()
        },
    )

    found = summary(look_at(Look(shard, caption_key="again")))

    assert found.captions == 3
    assert [(fault.key, fault.reason) for fault in found.faults] == [("c", "no caption")]


def test_keys_that_are_there_twice_are_counted_and_the_first_are_named(tmp_path: Path) -> None:
    first = write_shard(tmp_path / "0.tar", {"a": sample(0), "b": sample(1)})
    second = write_shard(tmp_path / "1.tar", {"c": sample(0), "b": sample(1), "a": sample(2)})

    found = summary(look_at(Look(first)), look_at(Look(second)))

    assert found.duplicate_keys == 2
    assert found.duplicates == (f"b in {second}", f"a in {second}")
    assert found.faults == ()
