"""`scaling doctor`: whether a store, its files and this machine are sound."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from scaling.cli import options

if TYPE_CHECKING:
    from scaling.doctor import Section
    from scaling.findings import Finding


def doctor(
    digests: Annotated[
        bool,
        typer.Option("--digests", help="Read every checkpoint and compare its SHA-256 (slow)."),
    ] = False,
    db: options.Database = options.RESULTS,
    checkpoints: options.Checkpoints = None,
    as_json: options.Json = False,
) -> None:
    """Check the store, its checkpoints, disks, versions, GPUs and Ray; nothing is written.

    Each finding says what, where, and what to do. The exit code is 1 if there is a problem, 0 if
    there are warnings only. Without a store the machine alone is checked.
    """
    from scaling.doctor import examine
    from scaling.findings import Level

    is_expected = db != options.RESULTS
    sections = examine(db, checkpoints, is_expected=is_expected, digests=digests)
    levels = [finding.level for section in sections for finding in section.findings]
    problems, warnings = levels.count(Level.PROBLEM), levels.count(Level.WARNING)
    if as_json:
        import json

        typer.echo(json.dumps([row for each in sections for row in _rows(each)], indent=2))
    else:
        for section in sections:
            _show(section)
        typer.echo(f"problems: {problems}, warnings: {warnings}")
    if problems:
        raise typer.Exit(1)


def _rows(section: "Section") -> list[dict[str, Any]]:
    from dataclasses import asdict

    return [
        {"section": section.name, **asdict(finding), "level": str(finding.level)}
        for finding in section.findings
    ]


def _show(section: "Section") -> None:
    typer.echo(section.name)
    for finding in section.findings:
        for line in _lines(finding):
            typer.echo(line)


def _lines(finding: "Finding") -> list[str]:
    """The level at the left, as wide as the longest; what to do on a line of its own."""
    import textwrap

    from scaling.cli.columns import one_line, width_of_terminal

    indent = " " * 11
    texts = [f"{finding.where}: {finding.what}"]
    texts += [f"-> {finding.remedy}"] if finding.remedy else []
    width = width_of_terminal()
    found: list[str] = []
    for text in map(one_line, texts):
        start = f"  {finding.level!s:9}" if not found else indent
        if width is None:
            found.append(f"{start}{text}")
        else:
            found += textwrap.wrap(
                text,
                max(width, 40),
                initial_indent=start,
                subsequent_indent=indent,
                break_long_words=False,
                break_on_hyphens=False,
            )
    return found
