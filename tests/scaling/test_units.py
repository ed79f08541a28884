import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaling.units import format_count, format_seconds, parse_count


@pytest.mark.parametrize(
    ("written", "count"),
    [
        ("12.8M", 12_800_000),
        ("3.07B", 3_070_000_000),
        ("1.4T", 1_400_000_000_000),
        ("64K", 64_000),
        ("64k", 64_000),
        ("1e6", 1_000_000),
        (1e6, 1_000_000),
        ("1_024", 1024),
        (1024, 1024),
    ],
)
def test_counts_are_read_as_people_write_them(written: object, count: int) -> None:
    assert parse_count(written) == count


@pytest.mark.parametrize(
    "nonsense", ["64X", "", "-3", 0, -1, "0.5", True, None, "1.5.2", "1,000", "1e400"]
)
def test_what_is_not_a_count_says_what_one_is(nonsense: object) -> None:
    with pytest.raises(ValueError, match=r"is not a count; write .* 12\.8M"):
        parse_count(nonsense)


@given(st.integers(min_value=1, max_value=9999), st.sampled_from([1, 10**3, 10**6, 10**9, 10**12]))
def test_short_counts_survive_printing(digits: int, factor: int) -> None:
    assert parse_count(format_count(digits * factor)) == digits * factor


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(4, "4 s"), (200, "3 min 20 s"), (7500, "2 h 05 min"), (90000, "1 d 1 h")],
)
def test_durations_read_well(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text
