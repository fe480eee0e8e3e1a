"""A headless Chromium that tests drive as a person does: by mouse and keys, over the pipe of its DevTools protocol."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FOUND = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
    "--window-size=1000,800",
)
_KEYS = {"Tab": 9, "Enter": 13, " ": 32}
_ERRORS = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")
_START = """
import os, sys
from fcntl import F_DUPFD, fcntl
pipes = [fcntl(int(number), F_DUPFD, 10) for number in sys.argv[1:3]]
for number, pipe in zip((3, 4), pipes): os.dup2(pipe, number)  # Chromium reads 3 and writes 4
os.execv(sys.argv[3], sys.argv[3:])
"""
_PATIENCE = 300.0  # seconds, on a busy machine


class Browser:
    """One page of one browser. `said` collects what its console says: messages and errors."""

    def __init__(self, sends: int, receives: int) -> None:
        self._sends, self._receives = sends, receives
        self._number, self._session, self._rest = 0, "", b""
        self.said: list[str] = []

    def open(self, page: Path) -> None:
        """Open a page."""
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self._call(f"{domain}.enable")
        self._call("Page.navigate", url=page.as_uri())

    def allow(self, *permissions: str) -> None:
        """Give the page permissions, as a person would when asked."""
        self._call("Browser.grantPermissions", permissions=permissions)

    def value(self, script: str) -> Any:
        """Return the value of an expression in the page."""
        found = self._call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def until(self, script: str, wanted: Callable[[Any], bool] = bool) -> Any:
        """Wait for a value; return it."""
        end = time.monotonic() + _PATIENCE
        while not wanted(value := self.value(script)):
            assert time.monotonic() < end, f"{script}: still {value!r}"
            time.sleep(0.03)
        return value

    def click(self, script: str) -> None:
        """Click on an element, scrolled into view."""
        self.value(f"({script}).scrollIntoView({{block: 'center'}})")
        box = f"(() => {{ const box = ({script}).getBoundingClientRect();"
        self.drag(*[self.value(f"{box} return [box.x + box.width / 2, box.y + box.height / 2]; }})()")] * 2)

    def move(self, point: list[float]) -> None:
        """Move the mouse."""
        self._call("Input.dispatchMouseEvent", type="mouseMoved", x=point[0], y=point[1])

    def drag(self, start: list[float], end: list[float]) -> None:
        """Press the mouse at a point, and release it at another."""
        button = {"button": "left", "clickCount": 1}
        self.move(start)
        self._call("Input.dispatchMouseEvent", type="mousePressed", x=start[0], y=start[1], **button)
        if end != start:
            for share in (0.5, 1.0):
                place = [a + share * (b - a) for a, b in zip(start, end, strict=True)]
                self._call("Input.dispatchMouseEvent", type="mouseMoved", x=place[0], y=place[1], buttons=1, **button)
        self._call("Input.dispatchMouseEvent", type="mouseReleased", x=end[0], y=end[1], **button)

    def press(self, key: str) -> None:
        """Press and release a key."""
        text = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
        code = {"key": key, "windowsVirtualKeyCode": _KEYS[key], "code": "Space" if key == " " else key}
        self._call("Input.dispatchKeyEvent", type="keyDown", text=text, **code)
        self._call("Input.dispatchKeyEvent", type="keyUp", **code)

    def type(self, text: str) -> None:
        """Type text into what has the focus."""
        self._call("Input.insertText", text=text)

    def _call(self, method: str, **parameters: Any) -> Any:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._sends, json.dumps(message).encode() + b"\0")
        answer = next(found for found in self._messages() if found.get("id") == self._number)
        assert "error" not in answer, (method, answer)
        return answer["result"]

    def _messages(self) -> Iterator[Any]:
        while True:
            while b"\0" not in self._rest:
                more = os.read(self._receives, 1 << 20)
                assert more, "the browser has ended"
                self._rest += more
            text, self._rest = self._rest.split(b"\0", 1)
            message = json.loads(text)
            if message.get("method") in _ERRORS:
                self.said.append(json.dumps(message["params"])[:500])
            yield message


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """Start a browser whose profile is in a folder, and end it."""
    (hears, sends), (receives, speaks) = os.pipe(), os.pipe()
    flags = [*_FLAGS, f"--user-data-dir={folder / 'profile'}", "--remote-debugging-pipe"]
    with (folder / "browser.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", _START, f"{hears}", f"{speaks}", str(FOUND), *flags],
            pass_fds=(hears, speaks),
            stdout=log,
            stderr=log,
        )
    os.close(hears)
    os.close(speaks)
    try:
        page = Browser(sends, receives)
        yield page
        page._session = ""
        page._call("Browser.close")
    finally:
        os.close(sends)  # ends a browser that is still there
        os.close(receives)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
