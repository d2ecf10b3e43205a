#!/usr/bin/env bash
# LINES lines go from `slipring send` through `slipring-bridge out`, RabbitMQ and `slipring-bridge in` to `slipring recv` of another
# queue, and must be the input by cmp(1). Meanwhile SIGKILL ends the two bridges KILLS times in turn, and the broker BROKER_KILLS
# times; a plain loop starts the bridges again. Run by hand, after
#
#   cargo build --release --features cli --bin slipring && cargo build --release --manifest-path bridges/Cargo.toml
#   bridges/tests/million.sh [LINES [KILLS [BROKER_KILLS [classic|quorum]]]]       1000000 20 3 classic
#
# SLIPRING and SLIPRING_BRIDGE name other builds of the two programs.
set -euo pipefail

lines=${1:-1000000}
kills=${2:-20}
broker_kills=${3:-3}
kind=${4:-classic}
here=$(realpath "$(dirname "$0")")
slipring=${SLIPRING:-$here/../../target/release/slipring}
bridge=${SLIPRING_BRIDGE:-$here/../target/release/slipring-bridge}
rabbitmq=$here/rabbitmq.sh
dir=$(mktemp -d)
metrics=$((12000 + RANDOM % 8000)) copies=0
a=million-a-$$ b=million-b-$$
loops=()

finish() {
    kill -TERM "${loops[@]}" 2>/dev/null || true
    wait 2>/dev/null || true
    "$rabbitmq" stop "$dir/broker"
    for queue in $a $b; do "$slipring" rm --force $queue 2>/dev/null || true; done
    rm -rf "$dir"
}
trap finish EXIT

# Runs a command again and again until it ends well. Its process id is in the file named by $1.
again() {
    local name=$1 pid=
    shift
    trap '[ -z "$pid" ] || kill -TERM $pid 2>/dev/null; wait; exit 0' TERM
    while :; do
        "$@" 2>>"$dir/$name.err" &
        pid=$!
        echo $pid >"$dir/$name.pid"
        if wait $pid 2>/dev/null; then break; fi
        sleep 0.1
    done
    rm "$dir/$name.pid"
}

# How many lines have come out.
came() { wc -l <"$dir/out"; }

wait_for() {
    local had=-1 has until=$((SECONDS + 120))
    while has=$(came) && [ "$has" -lt "$1" ]; do
        if [ "$has" -gt "$had" ]; then had=$has until=$((SECONDS + 120)); fi
        [ $SECONDS -lt $until ] || { echo "nothing came for 120 s after line $has"; tail -n 3 "$dir"/*.err; exit 1; }
        sleep 0.05
    done
}

# Messages that the bridge has acked because they were in the queue already: what the broker held twice, or gave out again
# after a kill. A bridge counts from its start on.
count_copies() {
    local line
    {
        exec 3<>"/dev/tcp/127.0.0.1/$metrics" && printf 'GET /metrics HTTP/1.0\r\n\r\n' >&3
        while read -r line; do
            case $line in *already_there*) copies=$((copies + ${line##* })) ;; esac
        done <&3
        exec 3>&-
    } 2>/dev/null || true
}

SLIPRING_BROKER_OWNER=$$ "$rabbitmq" start "$dir/broker" >"$dir/url"
url=$(cat "$dir/url")
seq 1 "$lines" >"$dir/in"
: >"$dir/out"
"$slipring" create $a --capacity 16384 --payload 48 --sources 4 --group rabbit
"$slipring" create $b --capacity 16384 --payload 48 --sources 4 --group out

begin=$SECONDS
"$slipring" recv $b --group out --count "$lines" >"$dir/out" 2>"$dir/recv.err" & receiver=$!
again out "$bridge" out $a --group rabbit --to "$url" --routing-key million --declare "$kind" & loops+=($!)
again in "$bridge" in "$url" --from million --to $b --declare "$kind" --listen "127.0.0.1:$metrics" & loops+=($!)
"$slipring" send $a "$dir/in" --source numbers:seq --close 2>"$dir/send.err" &
loops+=($!)

all=$((kills + broker_kills)) broker_killed=0
killed_out=0 killed_in=0
for ((number = 1; number <= all; number++)); do
    wait_for $((lines * number / (all + 1)))
    # The broker's kills are spread among the others.
    if [ $((number * broker_kills / all)) -gt $broker_killed ]; then
        "$rabbitmq" kill "$dir/broker"
        "$rabbitmq" restart "$dir/broker" >/dev/null
        broker_killed=$((broker_killed + 1))
        continue
    fi
    name=out
    if [ $((number % 2)) = 0 ]; then name=in; fi
    [ $name = out ] || count_copies
    until kill -KILL "$(cat "$dir/$name.pid")" 2>/dev/null; do sleep 0.01; done
    if [ $name = out ]; then killed_out=$((killed_out + 1)); else killed_in=$((killed_in + 1)); fi
done
wait_for "$lines"
wait $receiver
seconds=$((SECONDS - begin))
# A copy of the last line would come now.
"$slipring" recv $b --group out --follow --timeout 2 >>"$dir/out" 2>/dev/null || [ $? = 3 ]
count_copies

cmp "$dir/in" "$dir/out" || { tail -n 3 "$dir"/*.err; exit 1; }
echo "$lines lines came out as they went in, in $seconds s, through a $kind queue"
echo "SIGKILL: out $killed_out, in $killed_in, broker $broker_killed"
echo "the bridge passed over $copies copies: the broker held them, or delivered them again"
