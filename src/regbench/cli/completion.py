"""The command completion: the script that makes a shell complete the words after `regbench`."""

import os
from pathlib import Path

import click

from regbench.cli.options import Command

_BASH = """\
_regbench() {
    local IFS=$'\\n' last
    COMPREPLY=($(regbench _complete bash "${COMP_LINE:0:COMP_POINT}" 2>/dev/null))
    last=${COMPREPLY[0]}
    [[ ${#COMPREPLY[@]} -gt 1 || $last == *[=./] ]] && compopt -o nospace
    [[ ${#COMPREPLY[@]} -gt 1 && $last != *[=./] ]] && compopt +o nospace
}
complete -o default -F _regbench regbench
"""
_ZSH = """\
#compdef regbench
_regbench() {
    local -a names shown open open_shown
    local name about
    while IFS=$'\\t' read -r name about; do
        if [[ $name == *[=./] ]]; then
            open+=("$name") open_shown+=("$name${about:+  ($about)}")
        else
            names+=("$name") shown+=("$name${about:+  ($about)}")
        fi
    done < <(regbench _complete zsh "${(@Q)words[2,CURRENT]}" 2>/dev/null)
    (( ${#names} + ${#open} )) || { _files; return }
    (( ${#names} )) && compadd -l -d shown -a names
    (( ${#open} )) && compadd -S '' -l -d open_shown -a open
}
if [[ $funcstack[1] == _regbench ]]; then _regbench "$@"; else compdef _regbench regbench; fi
"""
_FISH = """\
function __regbench_complete
    set -l found (regbench _complete fish (commandline -opc)[2..] (commandline -ct) 2>/dev/null)
    if test (count $found) -gt 0
        printf '%s\\n' $found
    else
        __fish_complete_path (commandline -ct)
    end
end
complete -c regbench -f -a '(__regbench_complete)'
"""
SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}
_EVAL = 'eval "$(regbench completion zsh)"  # completion of regbench'


@click.command(cls=Command)
@click.argument("shell", type=click.Choice(list(SCRIPTS)))
@click.option("--install", is_flag=True, help="Install it for the shells that start from now on, and say where.")
def completion(shell: str, install: bool) -> None:
    """Print the script that completes words in a shell.

    It completes commands, options, keys and runs: eval "$(regbench completion bash)".
    """
    from regbench.cli.completion_index import rebuild

    if not install:
        click.echo(SCRIPTS[shell], nl=False)
        return
    rebuild()  # so that the first Tab need not wait
    click.echo(f"installed in {_installed(shell)}: start a new shell")


def _installed(shell: str) -> Path:
    """Put the script where the shell looks for it; zsh has no such place, so its ~/.zshrc gets a line."""
    from regbench.cli.output import write_file

    if shell == "zsh":
        return _with_line(Path(os.environ.get("ZDOTDIR") or Path.home()) / ".zshrc")
    data, configs = (os.environ.get(f"XDG_{name}_HOME") for name in ("DATA", "CONFIG"))
    path = {
        "bash": Path(data or Path.home() / ".local/share") / "bash-completion/completions/regbench",
        "fish": Path(configs or Path.home() / ".config") / "fish/completions/regbench.fish",
    }[shell]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file("--install", path, SCRIPTS[shell].encode())
    return path


def _with_line(path: Path) -> Path:
    """Add the line that loads completion, unless it is there."""
    text = path.read_text() if path.exists() else ""
    if _EVAL not in text:
        with path.open("a") as file:
            file.write(
                f"{'' if text.endswith(chr(10)) or not text else chr(10)}autoload -Uz compinit && compinit\n{_EVAL}\n"
            )
    return path
