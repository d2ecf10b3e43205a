#!/usr/bin/env bash
# Lets herd7 judge every test here: the outcome behind `exists` is never seen, and no race of plain accesses. Each
# `weaker:` line is a sed script that weakens the test; one of both must be seen then.
# C is judged by rc11.cat, AArch64 by aarch64.cat. Does nothing where herd7 is not installed; HERD7 names it elsewhere.
set -euo pipefail
cd "$(dirname "$0")"

herd=${HERD7:-herd7}
command -v "$herd" >/dev/null || { echo "herd7 is not installed: the litmus tests did not run"; exit 0; }
weakened=$(mktemp --suffix .litmus)
trap 'rm -f "$weakened"' EXIT
bad=0 verdicts=0

# judge FILE EXPECTED WHAT
judge() {
    local model=rc11.cat out seen
    [[ $(head -1 "$1") == AArch64* ]] && model=aarch64.cat
    out=$("$herd" ${HERDLIB:+-set-libdir "$HERDLIB"} -model "$model" "$1")
    if grep -qF 'Flag *undef*' <<<"$out"; then
        seen=race
    else
        seen=$(awk '/^Observation/ { print tolower($3) }' <<<"$out")
    fi
    verdicts=$((verdicts + 1))
    case $2:$seen in
    never:never | weaker:sometimes | weaker:always | weaker:race) ;;
    *) echo "WRONG: $3: ${seen:-no verdict}"; bad=1 ;;
    esac
    printf '%-9s  %s\n' "${seen:--}" "$3"
}

for test in *.litmus; do
    judge "$test" never "$test"
    while read -r weaker; do
        sed "$weaker" "$test" >"$weakened"
        # A script that changes nothing would be judged as the test itself.
        if cmp -s <(grep -v '^weaker:' "$test") <(grep -v '^weaker:' "$weakened"); then
            echo "WRONG: $test: nothing to weaken: $weaker"
            bad=1
        fi
        judge "$weakened" weaker "$test, $weaker"
    done < <(sed -n 's/^weaker: //p' "$test")
done
echo "$verdicts verdicts"
[ "$verdicts" -gt 20 ] || bad=1
exit $bad
