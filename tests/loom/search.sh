#!/usr/bin/env bash
# The long search: each model alone, one process each, under a loom that forgets no load.
#
#   search.sh               every model, each for up to SEARCH_SECONDS
#   search.sh FILTER...     those whose names contain one of the filters
#   search.sh --write ...   the same, and writes the figures into docs/ordering.md
#
# loom 0.7.3 keeps one last access of a word for its partial-order reduction. A thread that loads a word and then
# stores it hides the load that another thread made before (tokio-rs/loom#166 and #392, both open), so executions are
# left out. loom-loads.patch keeps all loads since the last store. This script applies it to a copy of the
# registry's source, in a copy of the tree, since a patched dependency changes Cargo.lock.
#
# Prints a line for each model: "exhausted", or "CUT" with the executions it came to. Exit status 1 if one fails.
#
# SEARCH_SECONDS  seconds for each model (1200)
# SEARCH_JOBS     models at a time (all processors)
# SEARCH_TARGET   cargo's target directory (target/search), kept for the next run
# SEARCH_LOOM     "stock" searches with loom as it is
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
seconds=${SEARCH_SECONDS:-1200}
jobs=${SEARCH_JOBS:-$(nproc)}
export CARGO_TARGET_DIR=${SEARCH_TARGET:-$root/target/search}
export RUSTFLAGS='--cfg slipring_loom'

write=no
if [[ ${1:-} == --write ]]; then
    write=yes
    shift
fi

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir "$tmp/tree"
(cd "$root" && git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$tmp/tree")
cd "$tmp/tree"

patch=()
if [[ ${SEARCH_LOOM:-} != stock ]]; then
    # The version that Cargo.lock names, as cargo has unpacked it.
    cargo fetch --quiet --locked
    source=$(cargo metadata --format-version 1 --locked --filter-platform x86_64-unknown-linux-gnu |
        grep -o '"manifest_path":"[^"]*/loom-[0-9.]*/Cargo.toml"' | head -n 1 | cut -d'"' -f4)
    cp -r "$(dirname "$source")" "$tmp/loom"
    (cd "$tmp/loom" && patch --quiet -p1 <"$here/loom-loads.patch")
    patch=(--config "patch.crates-io.loom.path=\"$tmp/loom\"")
fi

exe=$(cargo test --quiet --profile model --lib --no-run --message-format=json "${patch[@]}" |
    sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | tail -n 1)
# A run of its own for each: memory and clock are the model's alone.
cp "$exe" "$tmp/models"

"$tmp/models" models:: --list | sed -n 's/: test$//p' >"$tmp/all"
if (($#)); then
    grep -F "$(printf '%s\n' "$@")" "$tmp/all" >"$tmp/names" || { echo "no model of that name"; exit 1; }
else
    cp "$tmp/all" "$tmp/names"
fi

search() {
    local name=$1 log=$tmp/log.$BASHPID
    if SLIPRING_LOOM_SECONDS=$seconds "$tmp/models" --exact "$name" --nocapture >"$log" 2>&1; then
        grep -o 'model .*' "$log"
    else
        cat "$log"
        echo "FAILED $name"
        return 1
    fi
}
export -f search
export tmp seconds
loom=$([[ ${#patch[@]} -gt 0 ]] && echo mended || echo 'as it is')
how="loom 0.7.3, $loom; each model alone, for up to $seconds s, $jobs at a time"
printf '%s models; %s\n' "$(wc -l <"$tmp/names")" "$how"
status=0
xargs -a "$tmp/names" -P "$jobs" -I{} bash -c 'search {}' | tee "$tmp/found" || status=$?
exhausted=$(grep -c '| exhausted$' "$tmp/found" || true)
cut=$(grep -c '| CUT' "$tmp/found" || true)
printf '%s exhausted, %s cut\n' "$exhausted" "$cut"

# Rows are found by the model's name, and keep their scenario.
if [[ $write == yes && $status == 0 ]]; then
    # A search of some models says nothing about how the others were searched.
    searched=
    (($#)) || searched="Searched on $(date +%F): $how. 0 exhausted, 0 cut."
    awk -v searched="$searched" '
        function grouped(n,    rest) {
            for (rest = ""; length(n) > 3; n = substr(n, 1, length(n) - 3)) rest = "," substr(n, length(n) - 2) rest
            return n rest
        }
        NR == FNR {
            if (split($0, cell, / \| /) == 6) {
                sub(/^model /, "", cell[1])
                for (i in cell) sub(/ (executions|s|searches|preemptions)$/, "", cell[i])
                end = cell[6] == "exhausted" ? "exhausted" : "cut"
                row[cell[1]] = cell[5] " | " cell[4] " | " grouped(cell[2]) " | " cell[3] " | " end " |"
            }
            next
        }
        /^Searched on / && searched { $0 = searched }
        /^\| / { split($0, cell, / \| /); name = substr(cell[1], 3); if (name in row) $0 = "| " name " | " cell[2] " | " row[name] }
        { print }
    ' "$tmp/found" "$root/docs/ordering.md" >"$tmp/account"
    exhausted=$(grep -c '^| [a-z_]* | .* | exhausted |$' "$tmp/account" || true)
    cut=$(grep -c '^| [a-z_]* | .* | cut |$' "$tmp/account" || true)
    sed -i "s/^\(Searched on .* at a time\. \).*/\1$exhausted exhausted, $cut cut./" "$tmp/account"
    cp "$tmp/account" "$root/docs/ordering.md"
fi
exit "$status"
