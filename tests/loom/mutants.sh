#!/usr/bin/env bash
# Shows that models and tests notice: runs each mutant of mutants.md, a process that breaks the protocol in one place,
# through the models that are said to catch it.
#
#   mutants.sh            all mutants
#   mutants.sh --quick    those marked quick; the others are built only
#   mutants.sh NAME...    just those
#
# A mutant is killed if every model of its row fails, by a panic that its row expects, and every place that its row
# names was reached. All else is wrong: a model that passes, a place that is not reached, a patch that does not apply,
# a time limit. Exit status 1 if anything is.
#
# One build serves all mutants that are switches (see src/sync/mutants.rs), another one those that are patches. Models of
# the unbroken code are run first: if one fails, a mutant's failure says nothing.
#
# MUTANTS_TARGET  cargo's target directory (target/mutants), kept for the next run
# MUTANTS_LIMIT   seconds that a mutant may take (600)
# MUTANTS_SHARE   times that a model that is cut is searched longer than its own share (30), since processors may be
#                 busy; a model ends at its first failure
# MUTANTS_JOBS    mutants at a time (as many as there are processors)
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
patches=$root/tests/loom/mutants
limit=${MUTANTS_LIMIT:-600}
share=${MUTANTS_SHARE:-30}
jobs=${MUTANTS_JOBS:-$(nproc)}
target=${MUTANTS_TARGET:-$root/target/mutants}
export RUST_BACKTRACE=0
unset SLIPRING_LOOM_PREEMPTIONS SLIPRING_LOOM_SECONDS SLIPRING_LOOM_SHARE
unset SLIPRING_MUTANT SLIPRING_MUTANT_REACHED

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$root"

# The table, by name.
declare -A killers switches expected quick
all=()
while IFS='|' read -r _ name _ _ by with how fast _; do
    name=${name// /}
    all+=("$name")
    killers[$name]=$by
    switches[$name]=${with// /}
    [[ -n ${switches[$name]} ]] && switches[$name]=$with || switches[$name]=$name
    expected[$name]=" $how "
    quick[$name]=${fast// /}
done < <(sed -n '/^| ---/,$p' tests/loom/mutants.md | sed 1d)

only_quick=no
if [[ ${1:-} == --quick ]]; then
    only_quick=yes
    shift
fi
names=("$@")
if ((${#names[@]} == 0)); then
    for name in "${all[@]}"; do
        [[ $only_quick == no || ${quick[$name]} == yes ]] && names+=("$name")
    done
fi
for name in "${names[@]}"; do
    [[ -v killers[$name] ]] || { echo "no mutant is called $name: see tests/loom/mutants.md"; exit 2; }
done

now() {
    echo "${EPOCHREALTIME/[^0-9]/}"
}

# Seconds since a time that `now` printed.
seconds() {
    local tenths=$((($(now) - $1) / 100000))
    echo "$((tenths / 10)).$((tenths % 10))"
}

say() {
    printf '%-8s %6s s  %-36s %s\n' "$1" "$2" "$3" "${4:-}"
}

# Builds the test programs of the folder that we are in, for `--cfg` flags and arguments of cargo; writes lines of the
# target's name and the program.
build() {
    local flags=$1 log=$tmp/build.$BASHPID
    shift
    RUSTFLAGS=$flags cargo test --quiet --no-run --message-format=json "$@" 2>"$log" |
        sed -n 's/.*"target":{"kind":\["\([a-z-]*\)"\][^}]*"name":"\([^"]*\)".*"executable":"\([^"]*\)".*/\1 \2 \3/p' |
        sed 's/^lib [^ ]*/lib/; s/^test //' || { cat "$log" >&2; return 1; }
}

# A copy of the working tree, so that patches and editors do not meet. What is the same keeps its time, by which cargo
# knows what to build.
tree=$target/tree
copy_tree() {
    local file
    declare -A here=()
    mkdir -p "$tree"
    while IFS= read -r -d '' file; do
        [[ -f $file ]] || continue
        here[$file]=yes
        cmp -s "$file" "$tree/$file" || cp --parents "$file" "$tree"
    done < <(git ls-files -z --cached --others --exclude-standard src tests examples benches '*.toml' Cargo.lock README.md)
    while IFS= read -r -d '' file; do
        [[ -v here[$file] ]] || rm "$tree/$file"
    done < <(find "$tree" -type f -printf '%P\0')
}

# Builds the models of that tree, and leaves the program at this path.
build_models() {
    local program
    program=$(cd "$tree" && build '--cfg slipring_loom --cfg slipring_mutants' --profile model --lib --target-dir "$target")
    cp "${program##* }" "$1"
}

# Full names of a program's tests, by their last part.
declare -A full
list() {
    local path
    while read -r path; do
        full[${path##*::}]=$path
    done < <("$1" --list models:: 2>/dev/null | sed -n 's/: test$//p')
}

# Prints for each test that failed: its name, the kind of its first panic, the message. A panic of loom's that is
# neither a race nor that nobody gets on, or one of std's, is none that a mutant can be killed by.
causes() {
    awk '
        /^---- .* stdout ----$/ { test = $2; next }
        test && /panicked at / { at = $0; getline message; kind = "other"
            if (message ~ /^attempt to .* with overflow/) kind = "overflow"
            else if (at ~ /panicked at (tests|src)\//) kind = "assertion"
            else if (message ~ /^Causality violation/) kind = "race"
            else if (message ~ /^deadlock; /) kind = "deadlock"
            else if (message ~ /^Model exceeded maximum number of branches/) kind = "endless"
            print test, kind, message; test = "" }
    ' "$1"
}

# Runs a mutant with one program, whose tests follow; says what came of it, and leaves that in a file.
try() {
    local name=$1 program=$2 since verdict=killed why='' status=0 test kind message place
    shift 2
    since=$(now)
    SLIPRING_MUTANT=${switches[$name]} SLIPRING_MUTANT_REACHED=$tmp/$name.reached SLIPRING_LOOM_SHARE=$share \
        timeout "$limit" "$program" --exact "$@" --test-threads=1 --show-output >"$tmp/$name.run" 2>&1 || status=$?
    touch "$tmp/$name.reached"
    causes "$tmp/$name.run" >"$tmp/$name.causes"
    for place in ${switches[$name]}; do
        grep -q "^$place " "$tmp/$name.reached" || { verdict=ERROR why="not reached: $place"; }
    done
    for test in "$@"; do
        grep -qE "^test $test( - should panic)? \.\.\. FAILED$" "$tmp/$name.run" || { verdict=SURVIVED why+=" ${test##*::}"; }
    done
    if ((status == 124)); then
        verdict=ERROR why="no verdict within $limit s"
    elif [[ $verdict == killed ]]; then
        while read -r test kind message; do
            why=$message
            [[ ${expected[$name]} == *" $kind "* ]] || { verdict=ERROR why="$kind: $message"; break; }
        done <"$tmp/$name.causes"
    fi
    say "$verdict" "$(seconds "$since")" "$name" "${why:0:90}"
    echo "$verdict" >>"$tmp/$name.verdict"
    [[ -z ${MUTANTS_KEEP:-} ]] || cp "$tmp/$name".{run,reached,causes} "$MUTANTS_KEEP"
}

# The same in the background, once fewer than `jobs` are running.
launch() {
    while (($(jobs -rp | wc -l) >= jobs)); do
        wait -n || true
    done
    try "$@" &
}

fail() {
    say ERROR 0.0 "$1" "$2"
    echo ERROR >"$tmp/$1.verdict"
}

# Launches a mutant's models, with a program that has them.
launch_models() {
    local name=$1 program=$2 test models=()
    for test in ${killers[$name]}; do
        [[ $test == *:* ]] && continue
        [[ -v full[$test] ]] || { fail "$name" "no model is called $test"; return; }
        models+=("${full[$test]}")
    done
    ((${#models[@]} == 0)) || launch "$name" "$program" "${models[@]}"
}

apply() {
    patch -d "$tree" -s -p1 --forward --fuzz=0 --no-backup-if-mismatch "$@"
}

begin=$(now)
copy_tree
build_models "$tmp/models"
list "$tmp/models"
say built "$(seconds "$begin")" "(models)"

# Unbroken, a short look must be clean.
since=$(now)
clean=()
for name in "${names[@]}"; do
    for test in ${killers[$name]}; do
        [[ -v full[$test] ]] && clean+=("${full[$test]}")
    done
done
if ((${#clean[@]})) && ! SLIPRING_LOOM_SECONDS=1 "$tmp/models" --exact "${clean[@]}" --test-threads="$jobs" >"$tmp/run" 2>&1; then
    cat "$tmp/run"
    echo "models fail without any mutant"
    exit 1
fi
say clean "$(seconds "$since")" "(no mutant)"

moved=() native=()
for name in "${names[@]}"; do
    if [[ -f $patches/$name.patch ]]; then
        moved+=("$name")
    else
        launch_models "$name" "$tmp/models"
    fi
    [[ ${killers[$name]} != *:* ]] || native+=("$name")
done

# Those that ordinary tests kill.
if ((${#native[@]})); then
    since=$(now)
    programs=(--lib)
    for name in "${native[@]}"; do
        for test in ${killers[$name]}; do
            [[ $test == lib:* || $test != *:* || " ${programs[*]} " == *" ${test%%:*} "* ]] || programs+=(--test "${test%%:*}")
        done
    done
    (cd "$tree" && build '--cfg slipring_mutants' --features cli,async "${programs[@]}" --target-dir "$target/native") >"$tmp/native"
    say built "$(seconds "$since")" "(tests)"
    for name in "${native[@]}"; do
        for target_name in $(printf '%s\n' ${killers[$name]} | sed -n 's/:.*//p' | sort -u); do
            program=$(sed -n "s/^$target_name //p" "$tmp/native")
            mapfile -t tests < <(printf '%s\n' ${killers[$name]} | sed -n "s/^$target_name://p")
            if "$program" --exact "${tests[@]}" >"$tmp/run" 2>&1; then
                launch "$name" "$program" "${tests[@]}"
            else
                fail "$name" "fails without the mutant: ${tests[*]}"
            fi
        done
    done
fi

# Patches, as many in one build as apply together.
while ((${#moved[@]})); do
    since=$(now)
    copy_tree
    batch=() rest=()
    for name in "${moved[@]}"; do
        # Nothing is written unless all of it applies.
        if apply --dry-run <"$patches/$name.patch" >/dev/null 2>&1; then
            apply <"$patches/$name.patch"
            batch+=("$name")
        else
            rest+=("$name")
        fi
    done
    if ((${#batch[@]} == 0)); then
        for name in "${rest[@]}"; do fail "$name" "does not apply"; done
        break
    fi
    build_models "$tmp/${batch[0]}.models"
    say built "$(seconds "$since")" "(${#batch[@]} patches)"
    for name in "${batch[@]}"; do
        launch_models "$name" "$tmp/${batch[0]}.models"
    done
    moved=("${rest[@]}")
done
wait

killed=0 wrong=()
for name in "${names[@]}"; do
    if [[ -s $tmp/$name.verdict ]] && ! grep -qv '^killed$' "$tmp/$name.verdict"; then
        killed=$((killed + 1))
    else
        wrong+=("$name")
    fi
done
echo "$killed of ${#names[@]} killed, $((${#all[@]} - ${#names[@]})) not run, $(seconds "$begin") s"
if ((${#wrong[@]})); then
    printf 'wrong: %s\n' "${wrong[*]}"
    exit 1
fi
