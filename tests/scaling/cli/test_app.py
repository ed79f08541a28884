import subprocess
import sys
from pathlib import Path

import pytest

from scaling.cli.app import repeated


def scaling(*words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "scaling", *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False)


@pytest.mark.parametrize(
    ("written", "parsed"),
    [
        ("fit --compare clip mammut --json", "fit --compare clip --compare mammut --json"),
        ("fit --json --compare a b c", "fit --json --compare a --compare b --compare c"),
        ("fit --compare a --compare b", "fit --compare a --compare b"),
        ("fit --compare --json", "fit --compare --json"),
        ("fit --json --compare", "fit --json --compare"),
        ("run grid.yaml --slots 2", "run grid.yaml --slots 2"),
    ],
)
def test_options_of_several_words_are_told_to_the_parser_one_by_one(
    written: str, parsed: str
) -> None:
    assert repeated(written.split()) == parsed.split()


def test_help_teaches_the_three_commands() -> None:
    shown = scaling("--help").stdout

    assert all(command in shown for command in ("run", "fit", "plot", "plan", "import"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run", "nowhere.yaml"], "nowhere.yaml"),
        (["plan", "nowhere.yaml"], "nowhere.yaml"),
        (["fit", "--compare", "clip", "mammut"], "results.db"),
        (["plot", "--compare", "clip", "mammut", "-o", "x.png"], "results.db"),
        (["plot", "--compare", "clip", "mammut", "-o", "x.bmp"], ".png, .pdf, .svg"),
        (["plot", "--compare", "clip", "mammut", "-o", "no/x.png"], "there is no folder no"),
        (["fit", "--compare", "clip"], "two or more names"),
        (["import", "nowhere"], "nowhere"),
        (["fit", "--max-compute", "much"], "--max-compute"),
        (["fti"], "fti"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_one_message_and_exit_code_2(
    tmp_path: Path, words: list[str], message: str
) -> None:
    done = scaling(*words, cwd=tmp_path)

    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert not list(tmp_path.iterdir())


def test_an_internal_fault_keeps_its_traceback_in_a_file_whose_path_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from scaling.cli import app

    def broken(**_: object) -> None:
        raise ZeroDivisionError("one by zero")

    monkeypatch.setattr(app, "app", broken)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))

    with pytest.raises(SystemExit) as left:
        app.main(["fit"])

    shown = capsys.readouterr().err
    log = Path(shown.split()[-1])
    assert left.value.code == 1
    assert "ZeroDivisionError: one by zero" in shown
    assert "Traceback" not in shown
    assert "Traceback" in log.read_text()
