import os
from pathlib import Path

import pytest

from regbench.config import user_files
from regbench.config.location import config_dir
from regbench.errors import UserError

BOMB = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 7)
)
CODE = {
    "a callback": "hydra:\n  callbacks:\n    a:\n      _target_: torch.load\n",
    "a callback by its package": "# @package hydra.callbacks.a\n_target_: builtins.open\n",
    "a handler of logs": "hydra: {job_logging: {handlers: {a: {class: logging.FileHandler, filename: x}}}}",
    "a factory of handlers": "hydra.job_logging: {handlers: {a: {(): builtins.open}}}",
    "a variable of the environment": "hydra: {job: {env_set: {LD_PRELOAD: x.so}}}",
    "a folder that Hydra writes": "hydra: {output_subdir: x, run: {dir: /tmp/x}}",
    "a sweeper of one's own": "hydra: {sweeper: {_target_: os.system}}",
    "a database anywhere": "hydra: {sweeper: {storage: sqlite:////tmp/x}}",
    "commands of a job": "hydra: {launcher: {parameters: {setup: [id]}}}",
    "more folders": "hydra: {searchpath: [file:///tmp]}",
    "a node that is copied": "x: {callbacks: {a: {_target_: builtins.open}}}\nhydra: ${x}",
    "a default of Hydra": "defaults:\n  - override /hydra/callbacks: evil\n",
    "a package in a default": "defaults:\n  - norm@hydra.callbacks: evil\n",
    "a merged node": "x: &x {callbacks: {a: 1}}\nhydra:\n  <<: *x\n",
    "a secret": "dropout: ${oc.env:SECRET}",
    "a secret among the values of a sweep": "hydra: {sweeper: {params: {study: '${oc.env:SECRET}'}}}",
}
PLAIN = {
    "an option": "name: batch\neps: 0.1\n",
    "a study": "# @package _global_\nhydra: {mode: MULTIRUN, sweeper: {params: {norm: 'rms,layer', seed: '0,1'}}}",
    "a launcher": "defaults:\n  - override /hydra/launcher: processes\nhydra: {launcher: {n_jobs: 2}}\n",
    "a search": "defaults:\n  - override /hydra/sweeper: optuna\nhydra: {sweeper: {n_trials: 3}}\n",
    "a path from the environment": "runtime:\n  dir: ${oc.env:HOME}/runs\n",
    "a copy of regbench's own": (config_dir() / "config.yaml").read_text(),
    "nothing": "",
    "no YAML": "a: [",
    "no text": "\x00",
}


def write(folder: Path, text: str, name: str = "norm/mine.yaml") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.mark.parametrize("content", CODE)
def test_what_runs_code_or_leaks_needs_trust(content, tmp_path):
    path = write(tmp_path, CODE[content])
    with pytest.raises(UserError) as error:
        user_files.check([tmp_path], trusted=False)
    assert str(error.value).startswith(f"{path}: ")
    assert str(error.value).endswith("add --trust-configs")
    user_files.check([tmp_path], trusted=True)


@pytest.mark.parametrize("content", PLAIN)
def test_plain_configs_need_no_trust(content, tmp_path):
    write(tmp_path, PLAIN[content])
    user_files.check([tmp_path], trusted=False)


def test_a_folder_of_hydras_own_options_needs_trust(tmp_path):
    write(tmp_path, "level: 1", "hydra/callbacks/a.yaml")
    with pytest.raises(UserError, match="option of Hydra itself"):
        user_files.check([tmp_path], trusted=False)


@pytest.mark.parametrize("trusted", [True, False])
def test_aliases_are_counted_as_what_they_stand_for(trusted, tmp_path):
    path = write(tmp_path, BOMB)
    with pytest.raises(UserError, match=f"^{path}: has more than 20,000 values.* Take it out of the folder"):
        user_files.check([tmp_path], trusted)


def test_a_value_that_holds_itself_is_refused(tmp_path):
    write(tmp_path, "a: &a [*a]")
    with pytest.raises(UserError, match="more than 20,000 values"):
        user_files.check([tmp_path], trusted=True)


def test_links_and_pipes_are_looked_at(tmp_path):
    write(tmp_path / "elsewhere", CODE["a callback"])
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/norm").symlink_to(tmp_path / "elsewhere/norm")
    with pytest.raises(UserError, match="_target_"):
        user_files.check([tmp_path / "conf"], trusted=False)
    os.mkfifo(tmp_path / "pipe.yaml")
    with pytest.raises(UserError, match="is no regular file"):
        user_files.check([tmp_path], trusted=True)


def test_the_built_in_configs_are_plain(tmp_path):
    for path in config_dir().rglob("*.yaml"):
        write(tmp_path, path.read_text(), str(path.relative_to(config_dir())))
    user_files.check([tmp_path], trusted=False)
