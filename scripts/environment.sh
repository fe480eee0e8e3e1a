# shellcheck shell=sh disable=SC2154
# Keeps the virtual environment $root/.venv as pyproject.toml asks. Read in by the scripts beside it; POSIX sh.

venv=$root/.venv
stamp=$venv/regbench-stamp # describes the last installation that ended well
lock=$root/.venv.lock      # locked while installing; not empty: an installation began and was killed before its end
supported='import sys; assert (3, 11) <= sys.version_info < (3, 14)'

say() {
    printf 'regbench: %s\n' "$*" >&2
}

die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# Interpreter and place count as well: an upgraded Python or a moved repository leaves an environment that fails.
describe() {
    printf '%s %s %s' "$(cksum <"$root/pyproject.toml")" "$(readlink -f "$venv/bin/python")" "$root"
}

is_current() {
    found=
    [ -r "$stamp" ] && IFS= read -r found <"$stamp" || return 1
    wanted=$(describe)
    [ "$found" = "dev $wanted" ] || [ "$found" = "$1 $wanted" ]
}

# Only running it tells: a command of that name may be another version, or a shim with no Python behind it.
find_python() {
    for python in "$(readlink -f "$venv/bin/python")" python3.13 python3.12 python3.11 python3 python; do
        "$python" -I -c "$supported; import ensurepip, venv" >/dev/null 2>&1 && return
    done
    die "needs Python 3.11, 3.12 or 3.13 with its venv module on the PATH (Debian, Ubuntu: apt install python3-venv)"
}

# What is locked is the open file 9, which the commands that follow inherit: the lock lasts until the last of them
# has ended, even if this shell was killed before, and no longer.
take_lock() {
    exec 9>>"$lock"
    "$python" -I -c '
import fcntl, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
try:
    fcntl.flock(9, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    print("regbench: waits for another call that is installing", file=sys.stderr, flush=True)
    fcntl.flock(9, fcntl.LOCK_EX)' || die "could not lock $lock"
}

is_usable() {
    ! [ -s "$lock" ] && "$venv/bin/python" -I -c "$supported; import pip" 2>/dev/null
}

make_venv() {
    say "makes .venv with $("$python" --version)"
    echo unfinished >&9
    "$python" -I -m venv --clear "$venv" </dev/null >&2 || die "could not make $venv"
}

# WHAT…: into .venv, with one line of progress. A pip that fails takes back its changes, a pip that is killed does
# not: only then does the lock keep its mark.
pip_install() {
    (cd "$root" && PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_USER=0 exec "$venv/bin/python" -I "$root/scripts/quietly.py" \
        "$venv/install.log" "installs into .venv" "$venv/bin/python" -I -m pip install "$@") || {
        : >"$lock"
        die "the installation failed, see above; the same command tries again"
    }
}

# REGBENCH_TORCH_INDEX is the address of an index that torch and torchvision come from, such as that of the builds
# without CUDA. The stamp comes last and at once, so that no call takes an installation for whole that is not.
install() {
    say "installs what pyproject.toml asks for into .venv; the first time this takes minutes"
    installed=$(describe)
    echo unfinished >&9
    rm -f "$stamp"
    if [ -n "${REGBENCH_TORCH_INDEX-}" ]; then
        pip_install --index-url "$REGBENCH_TORCH_INDEX" torch torchvision
    fi
    pip_install --editable "$1"
    printf '%s %s\n' "$2" "$installed" >"$stamp.new"
    mv "$stamp.new" "$stamp"
    : >"$lock"
}

update() {
    [ -w "$root" ] || die "cannot write to $root, the place for .venv"
    find_python
    trap 'say "interrupted; the same command starts again"; trap - INT; kill -INT $$' INT
    take_lock
    if ! is_current "$1"; then
        is_usable || make_venv
        case ${found%% *}$1 in
            *dev*) install '.[dev]' dev ;;
            *) install . base ;;
        esac
    fi
    exec 9>&-
    trap - INT
}

# LEVEL: base for what regbench needs, dev for the tools of development as well. What is there once, stays.
prepare() {
    is_current "$1" || update "$1"
}
