from pathlib import Path

from regbench.config.location import cache_dir


def test_cache_dir_is_the_setting_or_the_system_s(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    assert cache_dir("~/data") == tmp_path / "data"
    assert cache_dir("relative") == Path("relative")
    assert cache_dir(None).name == "regbench"
