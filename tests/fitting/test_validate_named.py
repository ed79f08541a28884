import pytest

from fitting import LAWS, FitError
from fitting.validate_named import estimators_named


def test_without_names_every_law_is_an_estimator_and_so_is_the_choice_by_aicc() -> None:
    found = estimators_named()

    assert list(found) == [*LAWS, "auto"]
    assert all(found[name].law is law for name, law in LAWS.items())
    assert found["auto"].law is None


def test_settings_after_a_law_differ_from_the_common_ones() -> None:
    names = ["saturating", "saturating,frontier=pareto", "saturating"]

    found = estimators_named(names, frontier="published", level=0.9)

    assert list(found) == names[:2]
    assert [one.frontier for one in found.values()] == ["published", "pareto"]
    assert {one.level for one in found.values()} == {0.9}


def test_all_wrong_names_are_one_message() -> None:
    wrong = ["linear", "saturating,frontier=spiral", "saturating,level=0.9", "saturating,pareto"]

    with pytest.raises(FitError) as raised:
        estimators_named(wrong)

    message = str(raised.value)
    assert "unknown law 'linear'" in message
    assert "unknown frontier 'spiral'" in message
    assert "'level=0.9' is no setting" in message
    assert "'pareto' is no setting; write a law and settings such as frontier=VALUE" in message
