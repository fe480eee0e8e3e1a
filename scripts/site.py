"""The documentation as a site, which needs no network to build or to read: `scripts/site [FOLDER]`.

Zensical builds it from docs/, README.md and its companions, by zensical.toml. Whatever it warns of, such as a broken
link or anchor, is an error, and nothing is written then.
"""

import importlib.util
import posixpath
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

ROOT = Path(__file__).resolve().parent.parent
CONFIG = "zensical.toml"
BESIDE = {  # pages that stand beside docs/, by their names in the site
    "index.md": "README.md",
    "changelog.md": "CHANGELOG.md",
    "contributing.md": "CONTRIBUTING.md",
    "security.md": "SECURITY.md",
}
GUIDES = "How to"
_LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)(?P<path>[^)#\s]+)")


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=ROOT / "build/site")
def main(folder: Path) -> None:
    """Build the site into FOLDER (build/site), in place of what is there."""
    if importlib.util.find_spec("zensical") is None:
        sys.exit("error: zensical is not installed: .venv/bin/python -m pip install -e '.[site]'")
    with tempfile.TemporaryDirectory() as place:
        project = Path(place)
        prepare(ROOT, project)
        if not build(project):
            sys.exit("error: the site is not built: see above")
        for name in missing(project / "site"):
            sys.exit(f"error: {name}: is no file of the site")
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(project / "site", folder)
    click.echo(folder / "index.html")


def prepare(root: Path, project: Path) -> None:
    """Lay out in an empty folder what Zensical builds from."""
    shutil.copytree(root / "docs", project / "docs")
    for name, source in BESIDE.items():
        shutil.copyfile(root / source, project / "docs" / name)
    for page in (project / "docs").glob("*.md"):
        page.write_text(linked(page.read_text("utf-8"), BESIDE.get(page.name, f"docs/{page.name}")), "utf-8")
    text = (root / CONFIG).read_text("utf-8")
    nav = tomllib.loads(text)["project"]["nav"]
    others = sorted({page.name for page in (project / "docs").glob("*.md")} - set(named(nav)))
    added = "".join(f'        "{name}",\n' for name in others)
    head, guides, rest = text.partition(f'{{ "{GUIDES}" = [\n')
    (project / CONFIG).write_text(head + guides + rest.replace("    ] },\n", f"{added}    ] }},\n", 1), "utf-8")


def named(nav: Any) -> Iterator[str]:
    """Yield the pages that a navigation names."""
    for entry in nav.values() if isinstance(nav, dict) else nav:
        if isinstance(entry, str):
            yield entry
        else:
            yield from named(entry)


def linked(text: str, source: str) -> str:
    """Turn links between files of the repository into links between pages of the site."""
    names = {path: name for name, path in BESIDE.items()}

    def page(link: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), link["path"]))
        return names.get(path, path.removeprefix("docs/"))

    return _LINK.sub(page, text)


def build(project: Path) -> bool:
    """Have Zensical build a project; return whether it had nothing to warn of."""
    command = [sys.executable, "-m", "zensical", "build", "--strict"]
    ended = subprocess.run(command, cwd=project, capture_output=True, text=True, encoding="utf-8")
    if ended.returncode:
        said = ended.stdout + ended.stderr.partition("Traceback")[0]
        sys.stderr.write(re.sub(r"\x1b\[[\d;]*m", "", said))
    return ended.returncode == 0


def missing(site: Path) -> Iterator[str]:
    """Yield what pages show or load and is not in the site: pictures, which Zensical does not look for, and scripts."""
    for page in site.rglob("*.html"):
        if page.name == "404.html":  # for a server, with addresses from its root
            continue
        for address in re.findall(r'<(?:img|script|link)\b[^>]*?\s(?:src|href)="([^"#?]+)', page.read_text("utf-8")):
            if "://" in address or not (page.parent / address).exists():
                yield f"{page.name}: {address}"


if __name__ == "__main__":
    main()
