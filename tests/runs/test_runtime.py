import jax
import pytest

from l2o.runs import set_up_jax


@pytest.fixture(autouse=True)
def settings():
    """Keeps what is set for the whole process from other tests."""
    names = (
        "jax_compilation_cache_dir",
        "jax_persistent_cache_min_compile_time_secs",
        "jax_persistent_cache_min_entry_size_bytes",
    )
    before = {name: getattr(jax.config, name) for name in names}
    yield
    for name, value in before.items():
        jax.config.update(name, value)


def test_programs_are_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("L2O_CACHE", str(tmp_path / "cache"))
    set_up_jax()
    assert getattr(jax.config, "jax_compilation_cache_dir") == str(tmp_path / "cache" / "jax")  # noqa: B009
    assert (tmp_path / "cache" / "jax").is_dir()


def test_a_cache_that_cannot_be_written_is_no_obstacle(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("L2O_CACHE", str(tmp_path / "file"))
    before = getattr(jax.config, "jax_compilation_cache_dir")  # noqa: B009
    with pytest.warns(UserWarning, match=r"cannot be kept in .*L2O_CACHE"):
        set_up_jax()
    assert getattr(jax.config, "jax_compilation_cache_dir") == before  # noqa: B009
    monkeypatch.setenv("L2O_CACHE", "~no-such-user/cache")
    with pytest.raises(ValueError, match="L2O_CACHE"):
        set_up_jax()
