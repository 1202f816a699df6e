#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Pins what pyproject.toml, requirements/*.in and package.json ask for, with hashes and without hosts.
set -eu
cd "$(dirname "$0")/.."
compile() {
    .venv/bin/uv pip compile --quiet --generate-hashes --no-emit-index-url --universal --python-version 3.11 \
        --custom-compile-command "make lock" "$@"
}
compile pyproject.toml --extra dev --output-file requirements/dev.txt
# the tour shows a loan, and cuts its score into points with scikit-learn
compile pyproject.toml --extra sklearn --constraints requirements/dev.txt --output-file requirements/runtime.txt
compile requirements/build.in --constraints requirements/dev.txt --output-file requirements/build.txt
compile requirements/flower.in --output-file requirements/flower.txt
compile requirements/uagents.in --output-file requirements/uagents.txt
compile requirements/datasets.in --no-deps --output-file requirements/datasets.txt
npm install --package-lock-only --ignore-scripts --silent
# npm notes whom one might pay, with addresses
node -e 'const fs = require("fs"), lock = JSON.parse(fs.readFileSync("package-lock.json"));
for (const each of Object.values(lock.packages)) delete each.funding;
fs.writeFileSync("package-lock.json", JSON.stringify(lock, null, 2) + "\n");'
