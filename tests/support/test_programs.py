import jax
import pytest

from l2o.support import programs


@pytest.mark.parametrize(("most", "dropped"), [(0, True), (10**9, False)])
def test_programs_are_dropped_before_maps_run_out(most, dropped, monkeypatch):
    cleared = []
    monkeypatch.setattr(programs, "_MANY_MAPS", most)
    monkeypatch.setattr(jax, "clear_caches", lambda: cleared.append(True))
    programs.forget_programs_if_many()
    assert bool(cleared) == dropped
