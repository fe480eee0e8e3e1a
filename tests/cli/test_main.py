"""How the command ends where a machine gives it too little."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (4 * 10**8, 4 * 10**8))
sys.argv = ["regbench", "train", "epochs=1"]
from regbench.cli.main import main
main()
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not hold a process to the limit")
def test_too_little_memory_for_torch_is_one_line(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", LIMITED], capture_output=True, text=True, cwd=tmp_path, timeout=300)
    assert (done.returncode, done.stdout) == (1, "loading torch\n")
    assert re.fullmatch(r"error: this process may not have as much memory as it needs: .*\n", done.stderr)
    assert not list(tmp_path.iterdir())


CLOSED = """
import os, sys
from regbench.cli.main import main
sys.argv = ["regbench", "--version"]
try:
    main()
finally:
    with open("streams", "w") as file:
        file.write(" ".join(os.readlink(f"/proc/self/fd/{number}") for number in range(3)) + f" {file.fileno() > 2}")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_no_file_takes_the_number_of_a_closed_stream(tmp_path: Path) -> None:
    done = subprocess.run(["sh", "-c", 'exec "$0" -c "$1" <&- >&- 2>&-', sys.executable, CLOSED], cwd=tmp_path)
    assert done.returncode == 0
    assert (tmp_path / "streams").read_text() == "/dev/null /dev/null /dev/null True"
