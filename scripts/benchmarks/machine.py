"""What a timing was measured on: processor, cores, versions, load."""

import os
import platform
import re
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")


@dataclass(frozen=True)
class Processor:
    """Its name, and for AMD's the kind of its cores, which the names of virtual machines leave out."""

    name: str
    kind: str  # Zen 3; empty where the name says it

    def __str__(self) -> str:
        """`AMD EPYC (Zen 3)`."""
        return f"{self.name} ({self.kind})" if self.kind else self.name


def processor() -> Processor:
    """The processor of this machine."""
    try:
        facts = CPUINFO.read_text()
    except OSError:
        return Processor(platform.processor() or platform.machine(), "")
    fields = dict(re.findall(r"^([\w ]+?)\s*: (.*)$", facts.partition("\n\n")[0], re.MULTILINE))
    kind = _zen(int(fields["cpu family"]), int(fields["model"])) if "AuthenticAMD" in facts else ""
    return Processor(fields.get("model name", platform.machine()), kind)


def _zen(family: int, model: int) -> str:
    """Name the kind of AMD's cores, by the families and models that Linux lists (arch/x86/kernel/cpu/amd.c)."""
    if family == 23:
        return "Zen 2" if model >= 0x30 else "Zen"
    if family == 25:
        return "Zen 4" if 0x10 <= model <= 0x1F or 0x60 <= model <= 0xAF else "Zen 3"
    return {26: "Zen 5"}.get(family, f"family {family}")


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def load() -> float:
    """How many processes waited for a core, on average, in the last minute."""
    return round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else float("nan")


def versions() -> dict[str, str]:
    """Those that a timing depends on."""
    return {"Python": platform.python_version()} | {name: version(name) for name in ("torch", "regbench")}
