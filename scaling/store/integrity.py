"""Whether the rows of a store can be true, asked in SQL: each check reads a table once.

Columns are read as they are stored: the types of `scaling.store.tables` refuse what is damaged.
"""

from collections.abc import Iterator

from sqlalchemy import (
    ColumnElement,
    Connection,
    ForeignKeyConstraint,
    String,
    Table,
    and_,
    exists,
    func,
    not_,
    or_,
    select,
    true,
    type_coerce,
)

from scaling.findings import Finding, fine, problem, some, warning
from scaling.store.states import TrialState
from scaling.store.tables import AttemptRow, CellRow, CurveRow, MeasurementRow, Row, TrialRow

_AGAIN = "restore the store from a copy, or record it again: `scaling run GRID`, `scaling import`"


def pages(connection: Connection) -> Iterator[Finding]:
    """Whether the file is what SQLite has written; a server checks its files itself."""
    if connection.dialect.name != "sqlite":
        return
    said = [str(row[0]) for row in connection.exec_driver_sql("PRAGMA integrity_check(20)")]
    if said == ["ok"]:
        yield fine("the file is whole, its indexes agree with its tables", "pages")
    else:
        yield problem(f"the file is damaged: {some(said)}", "pages", _AGAIN)


def orphans(connection: Connection) -> Iterator[Finding]:
    """Rows that refer to a trial, a study or an attempt that is not there."""
    for name, table in Row.metadata.tables.items():
        constraints = table.foreign_key_constraints
        for constraint in sorted(constraints, key=lambda its: tuple(its.column_keys)):
            yield from _orphans(connection, name, table, constraint)


def _orphans(
    connection: Connection, name: str, table: Table, constraint: ForeignKeyConstraint
) -> Iterator[Finding]:
    parent = constraint.referred_table.alias("parent")
    pairs = [(key.parent, parent.c[key.column.name]) for key in constraint.elements]
    there = exists().where(*(own == its for own, its in pairs))
    lacking = and_(*(own.is_not(None) for own, _ in pairs), not_(there))
    columns = [type_coerce(own, String) for own, _ in pairs]
    found = connection.execute(select(*columns).where(lacking).distinct().limit(100)).all()
    if not found:
        return
    count = connection.scalar(select(func.count()).select_from(table).where(lacking))
    names = [" ".join(map(str, row)) for row in found]
    yield problem(
        f"{count:,} rows refer to what is not in the table {constraint.referred_table.name}: "
        f"{some(names)}",
        f"table {name}, {', '.join(constraint.column_keys)}",
        _AGAIN,
    )


def values(connection: Connection) -> Iterator[Finding]:
    """Measurements that are no finite number, or cannot be what their metric's name says."""
    value = MeasurementRow.value
    number = _is_number(connection, value)
    # Infinity less itself is NULL or not a number, and neither is 0.
    finite = func.coalesce(value - value, 1.0) == 0
    yield from _measurements(
        connection,
        or_(not_(number), not_(finite)),
        "are no finite number; nothing can be fitted to them",
    )
    beyond = connection.execute(
        select(MeasurementRow.metric, (value < 0).label("negative"))
        .where(number, finite, or_(value < 0, value > 1))
        .distinct()
    ).all()
    for metric, negative in sorted((str(row.metric), bool(row.negative)) for row in beyond):
        if negative or not _is_loss(metric):
            yield from _out_of_range(connection, metric, and_(number, finite), negative=negative)


def _out_of_range(
    connection: Connection, metric: str, sound: ColumnElement[bool], *, negative: bool
) -> Iterator[Finding]:
    value = MeasurementRow.value
    which = and_(sound, MeasurementRow.metric == metric, value < 0 if negative else value > 1)
    count, lowest, highest = connection.execute(
        select(func.count(), func.min(value), func.max(value)).where(which)
    ).one()
    extreme = lowest if negative else highest
    yield warning(
        f"{count:,} values of {metric} are {'below 0' if negative else 'above 1'}, up to "
        f"{extreme:g}; fits take 1 - value for the error of what is no loss",
        _place(connection, which),
        "import fractions and not percentages; call a loss so (loss, perplexity, nll)",
    )


def _measurements(
    connection: Connection, which: ColumnElement[bool], what: str
) -> Iterator[Finding]:
    count = connection.scalar(select(func.count(MeasurementRow.id)).where(which))
    if count:
        yield problem(f"{count:,} measurements {what}", _place(connection, which), _AGAIN)


def _place(connection: Connection, which: ColumnElement[bool]) -> str:
    """The first measurement of those, as people know it."""
    row = connection.execute(
        select(
            MeasurementRow.id,
            MeasurementRow.trial_id,
            type_coerce(MeasurementRow.samples_seen, String),
            MeasurementRow.task,
            MeasurementRow.metric,
        )
        .where(which)
        .order_by(MeasurementRow.id)
        .limit(1)
    ).one()
    return "measurement {}: {} after {} samples, {} {}".format(*row)


def counts(connection: Connection) -> Iterator[Finding]:
    """Samples seen that are no positive number."""
    for row in (MeasurementRow, CellRow, CurveRow):
        seen = row.samples_seen
        which = or_(not_(_is_number(connection, seen)), seen <= 0)
        count = connection.scalar(select(func.count(row.id)).where(which))
        if count:
            yield problem(
                f"{count:,} rows have samples_seen that is no positive number",
                f"table {row.__tablename__}",
                _AGAIN,
            )


def trials(connection: Connection) -> Iterator[Finding]:
    """Trials whose state is no word we know, or cannot be."""
    state = type_coerce(TrialRow.state, String)
    unknown = connection.execute(
        select(TrialRow.id, state).where(state.not_in([str(word) for word in TrialState]))
    ).all()
    if unknown:
        names = [f"{trial_id} ({word!r})" for trial_id, word in unknown]
        yield problem("trials are in an unknown state", some(names), _AGAIN)
    attempted = exists().where(AttemptRow.trial_id == TrialRow.id)
    going_on = exists().where(AttemptRow.trial_id == TrialRow.id, AttemptRow.ended.is_(None))
    idle = list(
        connection.scalars(
            select(TrialRow.id).where(state == str(TrialState.RUNNING), not_(going_on))
        )
    )
    if idle:
        yield warning(
            f"{len(idle):,} trials are said to run and no attempt is at them",
            some(idle),
            "`scaling run GRID` goes on with them",
        )
    untried = list(
        connection.scalars(
            select(TrialRow.id).where(
                state == str(TrialState.COMPLETE), TrialRow.source == "own", not_(attempted)
            )
        )
    )
    if untried:
        yield problem(
            f"{len(untried):,} trials are said to be complete and none was ever begun",
            some(untried),
            _AGAIN,
        )


CHECKS = (pages, orphans, values, counts, trials)
"""Each reads; in the order in which findings are worth reading."""


def _is_number(connection: Connection, column: object) -> ColumnElement[bool]:
    """Where it is stored as a number; only SQLite lets anyone write text in its place."""
    if connection.dialect.name != "sqlite":
        return true()
    return func.typeof(column).in_(("real", "integer"))


def _is_loss(metric: str) -> bool:
    from scaling.evals import is_loss

    return is_loss(metric)
