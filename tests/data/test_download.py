"""Downloads, from this machine to itself."""

import hashlib
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from filelock import FileLock, Timeout

from regbench.data import datasets, idx
from regbench.data.datasets import DATASETS
from regbench.errors import UserError
from regbench.images import Images
from support import pack_idx, synthetic_images

SMALL = synthetic_images()
DOWNLOADS = {"fashion_mnist": "FashionMNIST", "kmnist": "KMNIST"}
FILES = {name: pack_idx(tensor.to(torch.uint8)) for name, tensor in zip(idx.FILES, vars(SMALL).values(), strict=True)}


class Mirror:
    """A web server on this machine with the files of a small data set, and torchvision's class pointed to it."""

    def __init__(self, name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        from torchvision import datasets

        self.name, self.folder, self.requests = name, folder, []
        self.monkeypatch, self.dataset = monkeypatch, getattr(datasets, DOWNLOADS[name])
        self.at_request: Callable[[], object] = lambda: None
        folder.mkdir()
        for file, content in FILES.items():
            (folder / file).write_bytes(content)
        mirror = self

        class Handler(SimpleHTTPRequestHandler):
            def log_request(self, code="-", size="-"):
                mirror.requests.append(self.path)
                mirror.at_request()

            def log_error(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setenv("no_proxy", "*")
        monkeypatch.setattr(self.dataset, "resources", [(f, hashlib.md5(c).hexdigest()) for f, c in FILES.items()])
        self.use(self.address)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/"

    def use(self, *mirrors: str) -> None:
        self.monkeypatch.setattr(self.dataset, "mirrors", list(mirrors))

    def kept(self, cache: Path) -> Path:
        return cache / DOWNLOADS[self.name] / "raw"

    def fetch(self, cache: Path) -> Images:
        images = DATASETS[self.name](cache)
        for got, expected in zip(vars(images).values(), vars(SMALL).values(), strict=True):
            assert torch.equal(got, expected)
        return images


@pytest.fixture(params=sorted(DOWNLOADS))
def mirror(request, monkeypatch, tmp_path):
    made = Mirror(request.param, tmp_path / "mirror", monkeypatch)
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_download_once(mirror, tmp_path, capfd):
    mirror.fetch(tmp_path)
    asked = len(mirror.requests)
    assert {path[1:] for path in mirror.requests} == set(FILES)
    mirror.fetch(tmp_path)
    assert len(mirror.requests) == asked
    out, err = capfd.readouterr()
    assert (out, err) == ("", f"downloading {mirror.name} to {mirror.kept(tmp_path)}\n")
    assert {path.name for path in mirror.kept(tmp_path).iterdir()} - {".lock"} == set(FILES)
    assert socket.getdefaulttimeout() is None


def test_only_what_is_damaged_is_downloaded_again(mirror, tmp_path):
    mirror.fetch(tmp_path)
    mirror.requests.clear()
    damaged = mirror.kept(tmp_path) / "t10k-images-idx3-ubyte.gz"
    damaged.write_bytes(damaged.read_bytes()[:100])
    mirror.fetch(tmp_path)
    assert set(mirror.requests) == {"/t10k-images-idx3-ubyte.gz"}


def test_the_next_mirror_serves_when_one_fails(mirror, tmp_path):
    mirror.use("file:///nonexistent/", mirror.address + "missing/", mirror.address)
    mirror.fetch(tmp_path)


def test_offline_says_how_to_do_without_and_then_works(mirror, tmp_path):
    mirror.use("file:///nonexistent/")
    with pytest.raises(UserError) as refusal:
        DATASETS[mirror.name](tmp_path)
    message = str(refusal.value)
    folder = mirror.kept(tmp_path)
    assert "\n" not in message
    assert message.startswith(f"data={mirror.name}: cannot download (")
    assert "No such file or directory" in message
    assert message.endswith(f"put {', '.join(FILES)} from file:///nonexistent/ into {folder}")
    assert [path.name for path in folder.iterdir() if path.name != ".lock"] == []
    for file, content in FILES.items():
        (folder / file).write_bytes(content)
    mirror.fetch(tmp_path)


def test_a_wrong_file_on_the_server_is_refused_and_harms_no_later_try(mirror, tmp_path):
    served = mirror.folder / "train-labels-idx1-ubyte.gz"
    served.write_bytes(b"<html>please log in</html>")
    with pytest.raises(UserError, match=r"cannot download .*corrupted"):
        DATASETS[mirror.name](tmp_path)
    served.write_bytes(FILES[served.name])
    mirror.fetch(tmp_path)


def test_a_cache_that_cannot_be_made_is_one_line(mirror, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match=r"cannot download \(.*Not a directory"):
        DATASETS[mirror.name](tmp_path / "file")


def test_the_folder_is_locked_while_a_file_is_asked_for(mirror, tmp_path):
    def is_locked() -> bool:
        try:
            with FileLock(mirror.kept(tmp_path) / ".lock", timeout=0):
                return False
        except Timeout:
            return True

    locked = []
    mirror.at_request = lambda: locked.append(is_locked())
    mirror.fetch(tmp_path)
    assert len(locked) >= len(FILES) and all(locked)
    assert not is_locked()


def test_two_at_once_download_once(mirror, tmp_path):
    mirror.fetch(tmp_path / "one")
    asked_by_one, mirror.requests = mirror.requests, []
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(mirror.fetch, [tmp_path / "two"] * 2))
    assert sorted(mirror.requests) == sorted(asked_by_one)


def test_digest_needs_no_file_and_follows_the_content(mirror, tmp_path):
    known = "".join(hashlib.md5(FILES[file]).hexdigest() for file in idx.FILES)
    assert datasets.digest(mirror.name) == hashlib.sha256(known.encode()).hexdigest()
    assert mirror.requests == [] and not mirror.kept(tmp_path).exists()
