"""As many rows at once as are known to fit: the same batch in smaller parts."""

from dataclasses import replace

from scaling.trial import Note, Work


def fitting(work: Work, device: str, processes: int) -> tuple[Work, int | None, list[Note]]:
    """`work` as `device` can do it, the rows that a process computes at once, and what to say.

    The rows are None if the trainer finds them out by itself (`auto`).
    """
    execution = work.execution
    if execution.micro_batch_size == "auto":
        return work, None, []
    rows = work.trial.recipe.batch_size // processes
    rows = min(rows, execution.micro_batch_size or rows)
    fewer = work.fits.get(device, rows)
    if fewer >= rows:
        return work, rows, []
    note = Note(
        trial_id=work.trial.id,
        text=f"micro-batches of {fewer}: more rows have exceeded the memory of {device}",
    )
    return replace(work, execution=replace(execution, micro_batch_size=fewer)), fewer, [note]
