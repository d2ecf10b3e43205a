#!/usr/bin/env bash
# Shows that the loom models notice: breaks the protocol in one place at a time (mutants/*.patch) and runs
# the models that are said to catch it.
#
#   mutants.sh            all mutants
#   mutants.sh --quick    all must apply and compile; runs those marked "Quick: yes"
#   mutants.sh NAME...    just those
#
# A mutant is killed if all the models that it names fail. One that does not apply, does not compile or runs out of
# time is an error, not a kill. Exit status 1 if any mutant survives or is in error.
#
# MUTANTS_TARGET  cargo's target directory (target/mutants), kept for the next run
# MUTANTS_LIMIT   seconds that a mutant's models may take (300)
# MUTANTS_DIR     where the patches are
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
dir=${MUTANTS_DIR:-$here/mutants}
limit=${MUTANTS_LIMIT:-300}
export CARGO_TARGET_DIR=${MUTANTS_TARGET:-$root/target/mutants}
export RUSTFLAGS="--cfg slipring_loom" CARGO_INCREMENTAL=1 RUST_BACKTRACE=0
unset SLIPRING_LOOM_PREEMPTIONS SLIPRING_LOOM_SECONDS SLIPRING_LOOM_SHARE

quick=no
if [[ ${1:-} == --quick ]]; then
    quick=yes
    shift
fi
if (($#)); then
    names=("$@")
else
    mapfile -t names < <(cd "$dir" && for patch in *.patch; do echo "${patch%.patch}"; done)
fi

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
tree=$tmp/tree
mkdir "$tree"
(cd "$root" && git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$tree")
cd "$tree"

# Builds the models; prints the path of their program.
build() {
    cargo test --quiet --profile model --lib --no-run --message-format=json 2>"$tmp/build" |
        sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | tail -n 1
}

# What a header line of a patch says.
header() {
    sed -n "/^---/q; s/^$2: //p" "$1"
}

now() {
    echo "${EPOCHREALTIME/[^0-9]/}"
}

# Seconds since a time that `now` printed.
seconds() {
    local tenths=$((($(now) - $1) / 100000))
    echo "$((tenths / 10)).$((tenths % 10))"
}

killed=0
checked=0
wrong=()
begin=$(now)

say() {
    printf '%-8s %6s s  %-36s %s\n' "$1" "$2" "$3" "${4:-}"
}

# Unbroken, a short look at every model must be clean: else a failure would say nothing.
exe=$(build) || { cat "$tmp/build"; exit 1; }
if ! SLIPRING_LOOM_SECONDS=1 "$exe" models:: --test-threads=1 >"$tmp/run" 2>&1; then
    cat "$tmp/run"
    echo "the models fail without any mutant"
    exit 1
fi
say clean "$(seconds "$begin")" "(no mutant)"

for name in "${names[@]}"; do
    patch=$dir/$name.patch
    since=$(now)
    if [[ ! -f $patch ]] || ! patch -s -p1 --forward --fuzz=0 --no-backup-if-mismatch -r - <"$patch" >"$tmp/apply" 2>&1; then
        say ERROR "$(seconds "$since")" "$name" "does not apply"
        wrong+=("$name")
        # It may have been applied in part.
        rm -r src && cp -r "$root/src" src
        continue
    fi
    read -ra models <<<"$(header "$patch" "Killed by")"
    if ! exe=$(build) || [[ -z $exe ]]; then
        say ERROR "$(seconds "$since")" "$name" "does not compile"
        wrong+=("$name")
    elif [[ $quick == yes && $(header "$patch" Quick) != yes ]]; then
        checked=$((checked + 1))
        say compiled "$(seconds "$since")" "$name"
    elif ((${#models[@]} == 0)); then
        say ERROR "$(seconds "$since")" "$name" "names no model"
        wrong+=("$name")
    else
        status=0
        timeout "$limit" "$exe" "${models[@]}" --test-threads=1 >"$tmp/run" 2>&1 || status=$?
        cause=$(sed -n '/panicked at/{n;p;q}' "$tmp/run" | cut -c1-90)
        missed=()
        for model in "${models[@]}"; do
            grep -q "::$model \.\.\. FAILED$" "$tmp/run" || missed+=("$model")
        done
        if ((status != 124 && ${#missed[@]})); then
            say SURVIVED "$(seconds "$since")" "$name" "${missed[*]}"
            wrong+=("$name")
        elif ((status == 124)); then
            say ERROR "$(seconds "$since")" "$name" "no verdict within $limit s"
            wrong+=("$name")
        else
            killed=$((killed + 1))
            say killed "$(seconds "$since")" "$name" "$cause"
        fi
    fi
    # Back, with new times: cargo goes by them.
    rm -r src && cp -r "$root/src" src
done

echo "$killed of ${#names[@]} killed, $checked only compiled, ${#wrong[@]} wrong, $(seconds "$begin") s"
if ((${#wrong[@]})); then
    printf 'wrong: %s\n' "${wrong[*]}"
    exit 1
fi
