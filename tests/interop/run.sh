#!/usr/bin/env bash
# Holds floret to the programs it exchanges files with: each check_*.py here lets one of them read what `flowers` wrote, or
# `flowers` read what it wrote. usage: tests/interop/run.sh [CHECK...]   such as `tensorboard`; all without.
#
# Installs what it needs (requirements.txt, some 3 GB) into an environment that it throws away; FLORET_INTEROP_ENV names one
# to use instead. Where that fails, nothing is checked, and it says so; with FLORET_INTEROP=require it is an error.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

python=${FLORET_INTEROP_ENV:+$FLORET_INTEROP_ENV/bin/python}
if [ -z "$python" ]; then
  python=$scratch/env/bin/python
  if ! { python3 -m venv "$scratch/env" && "$python" -m pip install --quiet --no-cache-dir -r "$here/requirements.txt"; }; then
    echo "################ SKIPPED: the packages of tests/interop/requirements.txt can't be installed: NOTHING WAS CHECKED" >&2
    [ "${FLORET_INTEROP:-}" != require ]
    exit
  fi
fi

cd "$root"
cargo build --release --example flowers --example serve
flowers=$root/target/release/examples/flowers
if [ -n "${CARGO_TARGET_DIR:-}" ]; then flowers=$CARGO_TARGET_DIR/release/examples/flowers; fi

# What every check may use: pictures of flowers as shards, and the network trained on them.
(cd "$scratch" && "$flowers" --folder "$scratch/demo" >"$scratch/demo.log") || { cat "$scratch/demo.log"; exit 1; }

checks=("$@")
if [ ${#checks[@]} -eq 0 ]; then
  for file in "$here"/check_*.py; do name=${file##*/check_}; checks+=("${name%.py}"); done
fi
for check in "${checks[@]}"; do
  printf '\n== %s (%ds)\n' "$check" "$SECONDS"
  mkdir "$scratch/$check"
  TF_CPP_MIN_LOG_LEVEL=2 "$python" "$here/check_$check.py" --flowers "$flowers" --demo "$scratch/demo" --scratch "$scratch/$check"
done
printf '\nall of %s hold (%ds)\n' "${checks[*]}" "$SECONDS"
