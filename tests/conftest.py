"""What every test shares: hypothesis draws the same examples in every run."""

from hypothesis import Phase, settings

settings.register_profile(
    "repeatable",
    derandomize=True,
    deadline=None,
    # Explaining a failure takes many times as long as finding and shrinking it.
    phases=[phase for phase in Phase if phase is not Phase.explain],
)
settings.load_profile("repeatable")
