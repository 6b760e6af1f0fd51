#!/usr/bin/env bash
# Sets up .venv with pinned packages: `scripts/setup.sh` to run urface, `scripts/setup.sh faces` to find faces
# in photos, keep galleries and serve the page as well, `scripts/setup.sh dev` to test it too.
# A second run finds its stamp, installs nothing and opens no connection.
#   PYTHON=python3.12     the interpreter to use (3.11 or 3.12)
#   TORCH_INDEX=<URL>     package index for torch alone, such as the one with its CPU builds
set -euo pipefail
cd "$(dirname "$0")/.."

what=${1:-run}
venv=.venv
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_ROOT_USER_ACTION=ignore

say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: error: %s\n' "$*" >&2; exit 2; }

supported() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null; }

# ensurepip is what Debian splits off into python3-venv.
makes_venvs() { "$1" -c 'import venv, ensurepip' 2>/dev/null; }

find_python() {
    local candidate
    if [[ -n ${PYTHON:-} ]]; then
        supported "$PYTHON" || fail "PYTHON=$PYTHON is not a Python 3.11 or 3.12"
        printf '%s\n' "$PYTHON"
        return
    fi
    for candidate in python3.11 python3.12 python3; do
        if supported "$candidate"; then printf '%s\n' "$candidate"; return; fi
    done
}

apt_install() {
    command -v apt-get >/dev/null || fail "install these first: $*"
    local as_root=()
    if [[ $(id -u) -ne 0 ]]; then
        # -n: a script that waits for a password nobody expects looks as if it hung
        sudo -n true 2>/dev/null || fail "run this first: sudo apt-get install -y $*"
        as_root=(sudo -n)
    fi
    say "installing system packages: $*"
    "${as_root[@]}" apt-get update -qq >/dev/null || say "apt-get update failed, trying without"
    DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq "$@" >/dev/null \
        || fail "apt-get could not install $*"
}

# Of pip's many lines, those that show that it is alive.
pip_install() {
    "$venv/bin/python" -m pip install --progress-bar off "$@" \
        | { grep --line-buffered -E '^ *(Downloading|Installing|Successfully built)' || true; } \
        | cut -c1-100
}

stamp_of() {
    {
        cat "$@"
        [[ -x $venv/bin/python ]] && "$venv/bin/python" --version
        pwd  # an editable install and a venv hold absolute paths
    } 2>&1 | sha256sum | cut -d' ' -f1
}

run_files=(pyproject.toml requirements/runtime.txt scripts/setup.sh)
faces_files=("${run_files[@]}" requirements/detector.txt requirements/people.txt)
browser=tests/web/browser
dev_files=("${faces_files[@]}" requirements/dev.txt requirements/milvus.txt "$browser/package-lock.json")
fresh() { [[ -f $venv/$1.stamp && $(<"$venv/$1.stamp") == "$2" ]]; }

case $what in
    run) fresh run "$(stamp_of "${run_files[@]}")" && exit 0 ;;
    faces) fresh run "$(stamp_of "${run_files[@]}")" && fresh faces "$(stamp_of "${faces_files[@]}")" && exit 0 ;;
    dev) fresh run "$(stamp_of "${run_files[@]}")" && fresh dev "$(stamp_of "${dev_files[@]}")" && exit 0 ;;
    *) fail "unknown set-up '$what': give nothing, faces or dev" ;;
esac

if ! supported "$venv/bin/python" || ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    python=$(find_python)
    if [[ -z $python ]]; then
        apt_install python3 python3-venv
        python=$(find_python)
        [[ -n $python ]] || fail "needs Python 3.11 or 3.12, found $(python3 --version); name one with PYTHON="
    fi
    if ! makes_venvs "$python"; then
        apt_install "python$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv"
        makes_venvs "$python" || fail "$python cannot make virtual environments"
    fi
    say "creating $venv with $("$python" --version)"
    "$python" -m venv --clear "$venv"
fi

if ! fresh run "$(stamp_of "${run_files[@]}")"; then
    say "installing torch 2.13.0"
    pip_install ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} torch==2.13.0
    say "installing the packages of requirements/runtime.txt"
    pip_install -r requirements/runtime.txt
    # The pinned setuptools builds it: an isolated build would download another.
    pip_install --no-build-isolation --no-deps -e .
    stamp_of "${run_files[@]}" >"$venv/run.stamp"
fi
if [[ $what != run ]] && ! fresh faces "$(stamp_of "${faces_files[@]}")"; then
    say "installing the detector of requirements/detector.txt"
    pip_install --no-deps -r requirements/detector.txt
    say "installing what galleries, the page and exports need, of requirements/people.txt"
    pip_install -r requirements/people.txt
    stamp_of "${faces_files[@]}" >"$venv/faces.stamp"
fi
if [[ $what == dev ]]; then
    say "installing the tools of requirements/dev.txt"
    pip_install -r requirements/dev.txt
    # A layer over the same packages: pymilvus wants another protobuf than mediapipe declares.
    say "installing what Milvus is tested with, of requirements/milvus.txt"
    "$venv/bin/python" -m venv --without-pip --clear "$venv/milvus"
    "$venv/bin/python" -m pip --python "$venv/milvus/bin/python" install --progress-bar off --quiet --no-deps \
        -r requirements/milvus.txt || say "Milvus could not be installed: its tests will be skipped"
    for library in "$venv"/milvus/lib/python3*/site-packages; do
        # Relative to that folder: the packages of the layer below, and ours.
        printf '%s\n' "../../../../lib/$(basename "$(dirname "$library")")/site-packages" ../../../../../src >"$library/below.pth"
    done
    # The page is tested in a real browser; without one those tests skip and say so.
    missing=()
    command -v npm >/dev/null || missing+=(nodejs npm)
    command -v chromium >/dev/null || missing+=(chromium)
    [[ ${#missing[@]} -eq 0 ]] || (apt_install "${missing[@]}") || say "no browser: the tests of the page will be skipped"
    if command -v npm >/dev/null; then
        say "installing what drives the browser"
        (cd "$browser" && npm ci --silent --no-audit --no-fund) || say "npm failed: the tests of the page will be skipped"
    fi
    stamp_of "${dev_files[@]}" >"$venv/dev.stamp"
fi
say "done"
