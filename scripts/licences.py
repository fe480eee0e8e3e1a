"""List the licences of what regbench needs, and of what that needs: `scripts/licences`."""

import re
from importlib.metadata import Distribution, PackageNotFoundError, distribution

_NAME = re.compile(r"[A-Za-z0-9._-]+")


def _needed(name: str, seen: dict[str, Distribution]) -> None:
    """Collect the distributions that one needs without extras, each once."""
    key = re.sub(r"[-_.]+", "-", name).lower()
    if key in seen:
        return
    try:
        found = seen[key] = distribution(name)
    except PackageNotFoundError:  # of another system or Python
        return
    for requirement in found.requires or ():
        if "extra ==" not in requirement and (match := _NAME.match(requirement)):
            _needed(match[0], seen)


def _licence(found: Distribution) -> str:
    """Read the licence: the expression, or the classifier, or the first line of the text."""
    about = found.metadata
    classifiers = [text.rpartition(" :: ")[2] for text in about.get_all("Classifier", []) if text.startswith("License")]
    text = about.get("License-Expression") or ", ".join(classifiers) or (about.get("License") or "").split("\n")[0]
    return text[:60] or "not stated"


def main() -> None:
    """Print a line for each distribution."""
    seen: dict[str, Distribution] = {}
    _needed("regbench", seen)
    for name, found in sorted(seen.items()):
        print(f"{name:<28} {found.version:<14} {_licence(found)}")


if __name__ == "__main__":
    main()
