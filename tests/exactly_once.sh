#!/bin/bash
# A sender and two stages between three queues are killed with SIGKILL over and over, and started again by a plain loop.
# What comes out of the last queue must be the input, by cmp. Run by hand:
#
#   cargo build --release --features cli --bin slipring && tests/exactly_once.sh [KILLS [LINES [EXEC_LINES]]]
#
# Each of the three processes is killed KILLS (200) times while LINES (2000000) pass. Then the same with EXEC_LINES (20000)
# and a command for each message in the last stage. SLIPRING names another build of the program.
set -euo pipefail

kills=${1:-200}
lines=${2:-2000000}
exec_lines=${3:-20000}
target=$(dirname "$0")/../target/release
slipring=${SLIPRING:-$target/slipring}
dir=$(mktemp -d)
a=once-a-$$ b=once-b-$$ c=once-c-$$
loops=()

clean() {
    for queue in $a $b $c; do "$slipring" rm --force $queue 2>/dev/null || true; done
}
finish() {
    kill -TERM "${loops[@]}" 2>/dev/null || true
    wait 2>/dev/null || true
    clean
    rm -rf "$dir"
}
trap finish EXIT

# Runs a command again and again until it ends well; kills it the first $kills times, after up to 40 ms.
again() {
    local name=$1 killed=0 pid=
    shift
    trap '[ -z "$pid" ] || kill -KILL $pid 2>/dev/null; exit 0' TERM
    while :; do
        "$@" 2>>"$dir/$name.err" &
        pid=$!
        if [ "$killed" -lt "$kills" ]; then
            sleep "0.0$((RANDOM % 30 + 10))"
            if kill -KILL $pid 2>/dev/null; then killed=$((killed + 1)); fi
            wait $pid 2>/dev/null || true
        elif wait $pid; then
            break
        fi
        echo "$killed" >"$dir/$name.killed"
    done
}

# LINES, then what the last stage has besides.
check() {
    local count=$1 process
    shift
    seq 1 "$count" >"$dir/in"
    for queue in $a $b $c; do "$slipring" create $queue --payload 48 --sources 4 --group work; done
    loops=()
    again sender "$slipring" send $a "$dir/in" --source numbers:seq --rate 20000 --close & loops+=($!)
    again first "$slipring" forward $a --group work --to $b --follow & loops+=($!)
    again second "$slipring" forward $b --group work --to $c --follow "$@" & loops+=($!)
    # It ends once nothing has come for a while: a repeat of the last message would be noticed.
    "$slipring" recv $c --group work --follow --timeout 10 >"$dir/out" 2>/dev/null || [ $? = 3 ]
    for process in sender first second; do
        echo "$process: killed $(cat "$dir/$process.killed") times"
    done
    if ! cmp "$dir/in" "$dir/out"; then
        tail -n 3 "$dir"/*.err
        exit 1
    fi
    echo "$count lines came out as they went in"
    kill -TERM "${loops[@]}" 2>/dev/null || true
    wait "${loops[@]}" 2>/dev/null || true
    clean
}

check "$lines"
if [ "$exec_lines" -gt 0 ]; then
    echo "with a command for each message:"
    check "$exec_lines" --exec cat
fi
