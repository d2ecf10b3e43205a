#!/bin/bash
# Kills senders and receivers with SIGKILL, restarts each where the queue says, and compares what came
# out with what went in. Run by hand:
#
#   cargo build --release --features cli && tests/kill_resume.sh [KILLS [LINES]]
#
# KILLS (50) senders and as many receivers are killed while LINES (3000000) go through two groups. A new
# sender gets the lines from the queue's tail on. Of each group's messages, repeated sequences may only
# follow a killed receiver, at most one batch for each.
set -euo pipefail

kills=${1:-50}
lines=${2:-3000000}
slipring=${SLIPRING:-$(dirname "$0")/../target/release/slipring}
batch=256
queue=kill-$$
dir=$(mktemp -d)
pids=()
finish() {
    kill -KILL "${pids[@]}" 2>/dev/null || true
    wait 2>/dev/null || true
    rm -rf "$dir"
    "$slipring" rm --force "$queue" 2>/dev/null || true
}
trap finish EXIT

seq 1 "$lines" >"$dir/file"
"$slipring" create "$queue" --capacity 4096 --payload 48 --group a --group b

tail_now() { "$slipring" inspect "$queue" --json | jq .tail; }
position() { "$slipring" groups "$queue" --json | jq ".groups[] | select(.name == \"$1\").head"; }
pause() { sleep "0.0$((RANDOM % 30 + 10))"; }

sender() {
    local sent killed=0 pid
    while sent=$(tail_now) && [ "$sent" -lt "$lines" ]; do
        "$slipring" send "$queue" --batch $batch < <(tail -n +"$((sent + 1))" "$dir/file") &
        pid=$!
        if [ "$killed" -lt "$kills" ]; then
            pause
            if kill -KILL $pid 2>/dev/null; then killed=$((killed + 1)); fi
            wait $pid 2>/dev/null || true
        else
            wait $pid
        fi
    done
    echo "$killed" >"$dir/killed.sender"
}

receiver() {
    local group=$1 killed=0 run=0 pid
    while [ "$(position "$group")" -lt "$lines" ]; do
        run=$((run + 1))
        # A file for each: a kill may cut the last line of its output.
        "$slipring" recv "$queue" --group "$group" --json --batch $batch --timeout 2 \
            2>/dev/null >"$dir/$group.$(printf %05d $run)" &
        pid=$!
        if [ "$killed" -lt "$kills" ]; then
            pause
            if kill -KILL $pid 2>/dev/null; then killed=$((killed + 1)); fi
            wait $pid 2>/dev/null || true
        else
            # Also ends by its timeout, once everything is acked.
            wait $pid || [ $? = 3 ]
        fi
    done
    echo "$killed" >"$dir/killed.$group"
}

sender & pids+=($!)
receiver a & pids+=($!)
receiver b & pids+=($!)
for pid in "${pids[@]}"; do wait "$pid"; done
pids=()

for group in a b; do
    killed=$(cat "$dir/killed.$group")
    # Whole lines only; each sequence once, and none out of order.
    for part in "$dir/$group".[0-9]*; do
        if [ -s "$part" ] && [ -n "$(tail -c 1 "$part")" ]; then sed '$d' "$part"; else cat "$part"; fi
    done | sed -E 's/^\{"sequence":([0-9]+),.*"payload":"([0-9]+)"\}$/\1 \2/' >"$dir/$group.all"
    awk 'BEGIN { next_one = 0 }
         $1 > next_one { print "a hole before " $1 > "/dev/stderr"; exit 1 }
         $1 == next_one { print $2; next_one++ }' "$dir/$group.all" >"$dir/$group.out"
    repeated=$(($(wc -l <"$dir/$group.all") - $(wc -l <"$dir/$group.out")))
    cmp "$dir/file" "$dir/$group.out"
    if [ "$repeated" -gt $((killed * batch)) ]; then
        echo "group $group: $repeated messages repeated after $killed kills" >&2
        exit 1
    fi
    echo "group $group: all $lines messages after $killed kills; $repeated came again"
done
echo "sender: $(cat "$dir/killed.sender") kills"
