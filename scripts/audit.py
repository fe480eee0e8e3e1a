"""Look for known weaknesses of what is installed (pip-audit), and build the wheel twice: the same bytes.

`scripts/audit`. The first needs the network, and `pip install pip-audit`.
"""

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

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


def told(report: str) -> tuple[list[str], bool]:
    """Read pip-audit's JSON: lines to print, and whether all is well. A package that nobody knows is not audited."""
    packages = json.loads(report)["dependencies"]
    audited = [package for package in packages if "skip_reason" not in package]
    weak = [line for package in audited for line in _weaknesses(package)]
    left = len(packages) - len(audited)
    why = f"; {left} are not known to the service, or are installed from here" if left else ""
    total = f"{len(audited)} of {len(packages)} packages audited: {len(weak)} known weaknesses{why}"
    return [*weak, total], bool(audited and not weak)


def _weaknesses(package: dict[str, Any]) -> list[str]:
    name = f"{package['name']} {package['version']}"
    return [f"{name}: {found['id']}, mended in {', '.join(found['fix_versions']) or '?'}" for found in package["vulns"]]


def _audited() -> bool:
    """Print what pip-audit finds; tell whether all is well."""
    if importlib.util.find_spec("pip_audit") is None:
        sys.exit("pip-audit is not installed: pip install pip-audit")
    command = [sys.executable, "-m", "pip_audit", "--skip-editable", "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True)
    if not done.stdout:
        sys.exit(f"pip-audit failed: {done.stderr.strip()}")
    lines, is_well = told(done.stdout)
    print("\n".join(lines))
    return is_well


def main() -> None:
    """Print both results, and leave with 1 if one is bad."""
    first, second = _wheel(), _wheel()
    print(f"wheel: {first}, {'the same twice' if first == second else f'then {second}'}")
    is_well = _audited()
    sys.exit(not (is_well and first == second))


if __name__ == "__main__":
    main()
