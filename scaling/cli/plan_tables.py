"""What `scaling plan` prints: tables and sentences for 80 columns."""

from collections.abc import Iterator
from textwrap import wrap
from typing import TYPE_CHECKING

from scaling.cost import shared
from scaling.planning.sharing import rows
from scaling.units import format_bytes, format_count, format_gflops, format_seconds

if TYPE_CHECKING:
    from rich.table import Table

    from scaling.orchestrator.survey import Survey
    from scaling.plan import Plan
    from scaling.planning import Estimate, ModelEstimate

_MOST_REASONS = 5
_INDENT = 12
"""Of sentences, behind what they are about."""


def show(plan: "Plan", found: "Survey", estimate: "Estimate", *, trials: bool) -> None:
    """Print a plan, what it takes, what is done, and with `trials` each of them."""
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=False)
    console.print(f"study {plan.study}", style="bold")
    console.print(_what(estimate))
    console.print()
    console.print(_takes(estimate))
    console.print()
    for name, sentence in _sentences(plan, found, estimate):
        begin = f"{name:<{_INDENT}}"
        for line in wrap(sentence, max(40, console.width - _INDENT), break_long_words=False):
            console.print(f"{begin}{line}", markup=False, soft_wrap=True)
            begin = " " * _INDENT
    if trials:
        console.print()
        for line in _trials(plan, found):
            console.print(line, markup=False, soft_wrap=True)


def _what(estimate: "Estimate") -> "Table":
    """What each family trains."""
    table = _table(
        "family",
        numbers=("cells", "cosine", "trunks", "cooldowns", "samples", "GFLOPs"),
    )
    by_family: dict[str, list[ModelEstimate]] = {}
    for its in estimate.models:
        by_family.setdefault(its.family, []).append(its)
    for family, models in by_family.items():
        kinds = [
            sum(its.kinds[kind] for its in models) for kind in ("cosine", "trunk", "cooldown")
        ]
        table.add_row(
            family,
            f"{sum(its.cells for its in models):,}",
            *(f"{count:,}" for count in kinds),
            format_count(sum(its.samples for its in models)),
            format_gflops(sum(its.gflops for its in models)),
        )
    return table


def _takes(estimate: "Estimate") -> "Table":
    """What each model takes."""
    hours = f"{estimate.machine.device_word}-hours"
    table = _table("family", "model", numbers=("GFLOPs", "samples/s", hours, "memory", "disk"))
    for its in estimate.models:
        mark = {"measured": "", "other models": "~", "stated": ""}[its.pace.source]
        unknown = "" if its.memory.activations is not None else "> "
        table.add_row(
            its.family,
            its.model,
            format_gflops(its.gflops),
            f"{mark}{_rate(its.pace.samples_per_second)}",
            _hours(its.device_seconds),
            unknown + format_bytes(its.memory.total),
            format_bytes(its.checkpoints * its.bytes_per_checkpoint),
        )
    return table


def _sentences(plan: "Plan", found: "Survey", estimate: "Estimate") -> Iterator[tuple[str, str]]:
    samples = sum(its.samples for its in estimate.models)
    gflops = sum(its.gflops for its in estimate.models)
    yield (
        "together",
        f"{len(plan.cells):,} cells, {len(plan.trials):,} trials, {format_count(samples)} "
        f"samples, {format_gflops(gflops)} forward GFLOPs (training is about 3x)",
    )
    yield "time", _time(estimate)
    if len(found.left) < len(plan.trials):
        yield "done", _done(plan, found, estimate)
    if found.left:
        yield "makespan", _makespan(estimate)
    yield "disk", _disk(estimate)
    yield (
        "memory",
        "of each device: states, and activations of the rows that it computes at once, without "
        "what libraries keep (docs/running.md has the formula)",
    )
    yield from _sharing(plan, estimate)
    for model, execution in dict.fromkeys(
        (its.trial.model, str(its.execution)) for its in plan.trials
    ):
        if execution:
            yield "execution", f"{model} is computed with {execution}"


def _time(estimate: "Estimate") -> str:
    paces = estimate.paces
    word = estimate.machine.device_word
    hours = _hours(sum(its.device_seconds for its in estimate.models))
    if paces.device is None:
        device = f"a {word}" if estimate.machine.has_gpus else "a CPU core"
        return (
            f"{hours} {word}-hours of training at {paces.tflops:g} TFLOP/s x {paces.mfu:.0%} for "
            f"{device}: stated, not measured (--tflops, --mfu, or --db STORE)"
        )
    sources = [its.pace.source for its in estimate.models]
    text = f"{hours} {word}-hours of training at the pace measured on {paces.device}"
    if others := sources.count("other models"):
        text += f"; of {others} models (~) by their FLOPs at the pace of the others"
    if stated := sources.count("stated"):
        text += f"; of {stated} models at a stated {paces.tflops:g} TFLOP/s x {paces.mfu:.0%}"
    return text


def _done(plan: "Plan", found: "Survey", estimate: "Estimate") -> str:
    left = sum(its.device_seconds_left for its in estimate.models)
    gflops = format_gflops(sum(its.gflops_left for its in estimate.models))
    text = f"{len(found.done):,} of {len(plan.trials):,} trials"
    if found.failed or found.blocked:
        text += f"; {len(found.failed):,} failed, {len(found.blocked):,} wait for those"
    if not found.left:
        return text
    return (
        f"{text}; left: {len(found.left):,} trials, {gflops} GFLOPs, "
        f"{_hours(left)} {estimate.machine.device_word}-hours"
    )


def _makespan(estimate: "Estimate") -> str:
    if estimate.makespan is None:
        return f"cannot run on {estimate.machine}: {'; '.join(estimate.too_large)}"
    takes = estimate.makespan
    text = f"about {format_seconds(takes.seconds)} on {estimate.machine}"
    if takes.seconds:
        text += f" ({takes.bound / takes.seconds:.0%} of what no order could beat)"
    return text if estimate.machine.has_gpus else f"{text}; --gpus N plans for GPUs"


def _disk(estimate: "Estimate") -> str:
    checkpoints = sum(its.checkpoints for its in estimate.models)
    return f"{format_bytes(estimate.disk_bytes)} for {checkpoints:,} checkpoints, one at each stop"


def _sharing(plan: "Plan", estimate: "Estimate") -> Iterator[tuple[str, str]]:
    sharing, cells = shared(plan), rows(plan)
    if cells.sharing:
        saved = sum(its.device_seconds_alone - its.device_seconds for its in estimate.models)
        yield (
            "sharing",
            f"{cells.sharing:,} cells share trunks with other lengths: "
            f"{format_gflops(sharing.with_gflops)} instead of "
            f"{format_gflops(sharing.without_gflops)} GFLOPs, {sharing.saved:.0%} less; saves "
            f"{_hours(saved)} {estimate.machine.device_word}-hours",
        )
    for apart in cells.apart[:_MOST_REASONS]:
        yield (
            "apart",
            f"{apart.cells:,} cells of {_counted(apart.rows, 'row')} need "
            f"{_counted(apart.trunks, 'trunk')}: what changes with length is {apart.reason}",
        )
    if len(cells.apart) > _MOST_REASONS:
        yield "", f"and {len(cells.apart) - _MOST_REASONS} more reasons (--json has all)"
    if cells.cosine:
        yield (
            "cosine",
            f"{cells.cosine:,} cells share nothing: the learning rate of a cosine depends on "
            "its length from the start",
        )


def _trials(plan: "Plan", found: "Survey") -> Iterator[str]:
    """A line for each trial; ids, which may be long, come last and are never broken."""
    is_begun = len(found.left) < len(plan.trials)
    left_word = f" {'left':>7}" if is_begun else ""
    yield f"{'from':>7} {'to':>7} {'GFLOPs':>8} {'stops':>5}{left_word}  trial"
    for planned in plan.trials:
        end = planned.stops[-1].samples_seen
        left = found.left.get(planned.trial.id)
        samples = format_count(left.samples) if left else "done"
        yield (
            f"{format_count(end - planned.samples):>7} {format_count(end):>7} "
            f"{format_gflops(planned.samples * planned.profile.published_gflops):>8} "
            f"{len(planned.stops):>5}{f' {samples:>7}' if is_begun else ''}  {planned.trial.id}"
        )


def _table(*words: str, numbers: tuple[str, ...] = ()) -> "Table":
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in words:
        table.add_column(heading, overflow="fold")
    for heading in numbers:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _counted(count: int, word: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def _hours(seconds: float) -> str:
    hours = seconds / 3600
    return f"{hours:,.0f}" if hours >= 100 else f"{hours:.2g}"


def _rate(samples_per_second: float) -> str:
    return (
        f"{samples_per_second:,.0f}" if samples_per_second >= 10 else f"{samples_per_second:.2g}"
    )
