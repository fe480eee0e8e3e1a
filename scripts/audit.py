"""Look for known weaknesses of what is installed (pip-audit), and build the wheel twice: the same bytes.

`scripts/audit`. The first needs the network, and `pip install pip-audit`.
"""

import hashlib
import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent
_EPOCH = "1735689600"  # the time in the wheel: 2025-01-01


def _wheel() -> str:
    """Build a wheel; return its digest."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "build", "--wheel", "--outdir", folder]
        environment = os.environ | {"SOURCE_DATE_EPOCH": _EPOCH}
        subprocess.run(command, cwd=_ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
        (path,) = Path(folder).glob("*.whl")
        return hashlib.sha256(path.read_bytes()).hexdigest()


def main() -> None:
    """Print both results, and leave with 1 if one is bad."""
    first, second = _wheel(), _wheel()
    print(f"wheel: {first}, {'the same twice' if first == second else f'then {second}'}")
    if importlib.util.find_spec("pip_audit") is None:
        sys.exit("pip-audit is not installed: pip install pip-audit")
    code = subprocess.run([sys.executable, "-m", "pip_audit", "--skip-editable"]).returncode
    sys.exit(code or first != second)


if __name__ == "__main__":
    main()
