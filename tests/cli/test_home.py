"""`~` and names that are too long, in every setting that becomes a path."""

from pathlib import Path

import pytest

from golden.records import record, write
from regbench.cli.home import with_homes
from regbench.config.location import user_config_dirs, user_path
from regbench.errors import UserError

TINY = ("epochs=1", "data.train_size=100", "model.hidden=[4]", "runtime.threads=1", "runtime.progress=off")


@pytest.fixture
def home(monkeypatch, tmp_path) -> Path:
    """A home folder."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    return folder


@pytest.mark.parametrize("key", ["runtime.dir", "runtime.cache", "data.path", "hydra.launcher.folder", "+data.path"])
def test_a_path_at_home_is_written_as_hydra_reads_it(home, key):
    assert with_homes([f"{key}=~/a b"]) == [f"{key}='~/a b'"]
    assert with_homes([f"{key}=~/a,b,~/c"]) == [f"{key}='~/a',b,'~/c'"]


def test_other_words_stay(home):
    words = [
        "norm=batch",
        "~norm",
        "runtime.dir=runs",
        "runtime.dir='~/x'",
        "-m",
        "seed=0,1",
        "study=~",
        "--config-dir=x",
    ]
    assert with_homes(words) == words


@pytest.mark.parametrize("flag", ["--config-dir", "-cd"])
def test_a_folder_of_configs_at_home_is_spelled_out(home, flag):
    assert with_homes([f"{flag}=~/conf"]) == [f"{flag}={home}/conf"]


def test_a_path_of_nobody_is_named():
    assert user_path("runtime.dir", "a/~") == Path("a/~")
    with pytest.raises(UserError, match=r"^runtime\.dir=~nobody-there/x: no home folder for ~nobody-there$"):
        user_path("runtime.dir", "~nobody-there/x")


def test_folders_of_configs_are_there_or_named(home, monkeypatch):
    (home / "mine").mkdir()
    monkeypatch.setenv("REGBENCH_CONFIG_PATH", f"~/mine::{home}")
    assert user_config_dirs() == [home / "mine", home]
    monkeypatch.setenv("REGBENCH_CONFIG_PATH", "~/mine:~/typo")
    with pytest.raises(UserError, match=rf"^REGBENCH_CONFIG_PATH: {home}/typo is not a folder$"):
        user_config_dirs()
    monkeypatch.delenv("REGBENCH_CONFIG_PATH")
    assert user_config_dirs() == []


@pytest.mark.slow
def test_runs_at_home(home, train):
    assert train(*TINY, "runtime.dir=~/mine").code == 0
    assert len(list((home / "mine/default").iterdir())) == 1
    assert not Path("~").exists()
    ended = train(*TINY, "runtime.dir=~nobody-there/x")
    assert (ended.code, ended.err) == (2, "error: runtime.dir=~nobody-there/x: no home folder for ~nobody-there\n")


def test_a_typo_in_the_path_of_configs_is_one_line(train, monkeypatch):
    monkeypatch.setenv("REGBENCH_CONFIG_PATH", "/nowhere/conf")
    for words in ((), ("-m", "seed=0,1", "--plan")):
        ended = train(*TINY, *words)
        assert (ended.code, ended.err) == (2, "error: REGBENCH_CONFIG_PATH: /nowhere/conf is not a folder\n")


LONG = {
    f"study={'a' * 256}": f"study={'a' * 20}…: names a folder: must be at most 255 bytes, not 256",
    f"study='{'ü' * 128}'": f"study={'ü' * 20}…: names a folder: must be at most 255 bytes, not 256",
    f"seed={'1' * 280}": f"seed={'1' * 20}…: is part of the run's name: must have at most 219 digits, not 280",
}


@pytest.mark.slow
@pytest.mark.parametrize("word", LONG, ids=["study", "bytes", "seed"])
@pytest.mark.parametrize("more", [(), ("-m", "norm=none,batch"), ("-m", "norm=none,batch", "--plan")], ids=" ".join)
def test_a_name_that_no_file_system_takes_is_refused_before_anything_is_written(train, word, more):
    ended = train(*TINY, word, *more)
    assert (ended.code, ended.err) == (2, f"error: {LONG[word]}\n")
    assert not list(Path().iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("word", [f"study={'a' * 255}", f"seed={'1' * 219}"], ids=["study", "seed"])
def test_the_longest_names_train(train, word):
    ended = train(*TINY, word)
    assert (ended.code, ended.err) == (0, "")


@pytest.mark.slow
@pytest.mark.parametrize("more", [(), ("-m", "seed=0,1"), ("-m", "seed=0,1", "--plan")], ids=" ".join)
def test_a_path_that_is_too_long_blames_the_folder_of_runs(train, more):
    ended = train(*TINY, f"runtime.dir={'d' * 300}", *more)
    assert ended.code == 2
    assert ended.err.startswith(f"error: runtime.dir={'d' * 300}: must be a folder that can be written: ")
    assert ended.err.endswith("File name too long\n")


def test_other_commands_know_the_home_folder_too(home, invoke):
    write(home / "runs", record())
    for word in (["--csv=~/t.csv"], ["--csv", "~/t.csv"]):
        assert invoke("summary", "~/runs", *word).code == 0
        assert (home / "t.csv").read_text().startswith("runs,")
        (home / "t.csv").unlink()
    assert invoke("ls", "~nobody-there/x").err.startswith("error: no directory '~nobody-there/x'")
