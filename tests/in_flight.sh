#!/bin/bash
# Jobs that last longer than the ring, workers that are killed and one that is stopped. Run by hand:
#
#   cargo build --release --features cli --bin slipring && tests/in_flight.sh [JOBS [LONG [STOP [TIMEOUT]]]]
#
# JOBS (10000) jobs are sent at 100 a second into a queue of capacity 64 with 256 messages in flight and no limit of
# attempts. Four workers run four commands at once each. Every 500th job (in all, 20 of JOBS) sleeps for LONG (20) seconds;
# the others end at once. After STOP (60) seconds the first worker is stopped for good (SIGSTOP); its messages go to others
# after TIMEOUT (30) seconds. The second worker is killed (SIGKILL) each second, and started again. Every job must be done,
# and none twice but those that a killed or the stopped worker had; `group ls` must name the stopped worker with what it has
# and since when. The sender must find room each time; with fewer than 10000 jobs that is told, and not asked for, since
# it depends on the machine. SLIPRING names another build of the program.
set -euo pipefail

jobs=${1:-10000}
long=${2:-20}
stop=${3:-60}
timeout=${4:-30}
target=$(dirname "$0")/../target/release
slipring=${SLIPRING:-$target/slipring}
dir=$(mktemp -d)
queue=in-flight-$$
every=$((jobs / 20))
loop= workers=()

finish() {
    # The loop kills its own worker.
    [ -z "$loop" ] || kill -TERM "$loop" 2>/dev/null || true
    [ ${#workers[@]} = 0 ] || kill -KILL "${workers[@]}" 2>/dev/null || true
    wait 2>/dev/null || true
    "$slipring" rm --force $queue 2>/dev/null || true
    rm -rf "$dir"
}
trap finish EXIT
fail() {
    echo "FAILED: $*" >&2
    "$slipring" group ls $queue >&2 || true
    tail -n 5 "$dir"/*.err >&2
    exit 1
}

# Notes who begins and ends which job. A command outlives a worker that is killed, and may end its job as well.
command="echo \"\$SLIPRING_SEQUENCE \$WORKER\" >>$dir/began
[ \$((SLIPRING_SEQUENCE % $every)) != $((every - 1)) ] || sleep $long
echo \"\$SLIPRING_SEQUENCE \$WORKER\" >>$dir/ended"

# Its commands say whose they are by WORKER: the parent of one whose worker was killed before it began is another process.
worker() {
    WORKER=$BASHPID exec "$slipring" recv $queue --group work --shared --jobs 4 --exec "$command" 2>>"$dir/$1.err"
}

# Kills a worker each second, and starts it again, until one ends because all is done.
kill_each_second() {
    local pid=
    trap '[ -z "$pid" ] || kill -KILL $pid 2>/dev/null; exit 0' TERM
    : >"$dir/killed"
    while :; do
        worker second &
        pid=$!
        sleep 1
        if kill -KILL $pid 2>/dev/null; then echo $pid >>"$dir/killed"; fi
        wait $pid 2>/dev/null && break
    done
}

# What `group ls` says of a process, and of the first message that it has.
shown() {
    "$slipring" group ls $queue | grep -A 1 "^  process $1," || true
}

"$slipring" create $queue --capacity 64 --payload 48 --shared-group work --in-flight 256 --ack-timeout "$timeout" \
    --max-attempts 0
worker first & workers+=($!)
worker third & workers+=($!)
worker fourth & workers+=($!)
stopped=${workers[0]}
kill_each_second & loop=$!
began=$SECONDS
seq 1 "$jobs" | "$slipring" send $queue --rate 100 --batch 1 --close 2>"$dir/sender.err" & sender=$!

sleep "$stop"
# In the middle of some job.
while :; do
    kill -STOP "$stopped"
    line=$(shown "$stopped")
    case $line in *"(stopped) has "*" in flight; "*" received "*" ago, "*"due in "*) break ;; esac
    kill -CONT "$stopped"
    sleep 0.01
done
echo "stopped after $((SECONDS - began)) s, and group ls says:"
echo "$line"

wait $sender || fail "the sender ended with $?"
echo "$jobs jobs sent in $((SECONDS - began)) s"
wait "${workers[@]:1}" || fail "a worker ended with $?"
wait $loop || fail "the loop ended with $?"
loop=
echo "all done after $((SECONDS - began)) s; of the stopped worker group ls says:"
shown "$stopped"
full=$("$slipring" info $queue --json | sed 's/.*"full":\([0-9]*\).*/\1/')
depth=$("$slipring" info $queue --json | sed 's/.*"depth":\([0-9]*\).*/\1/')
kill -KILL "$stopped"
wait "$stopped" 2>/dev/null || true

[ "$depth" = 0 ] || fail "$depth messages are left"
missing=$(comm -13 <(cut -d' ' -f1 "$dir/ended" | sort -u) <(seq 0 $((jobs - 1)) | sort))
[ -z "$missing" ] || fail "never done: $missing"
# Who was neither killed nor stopped has begun no job that another one of these has begun.
echo "$stopped" >>"$dir/killed"
twice=$(awk 'NR == FNR { faulty[$1]; next } !($2 in faulty) { print $1 }' "$dir/killed" "$dir/began" | sort | uniq -d)
[ -z "$twice" ] || fail "done twice by workers that were let alone: $twice"
again=$(cut -d' ' -f1 "$dir/began" | sort | uniq -d | wc -l)
double=$(cut -d' ' -f1 "$dir/ended" | sort | uniq -d | wc -l)
late=$(cat "$dir"/*.err | grep -c 'taken back' || true)
kills=$(($(wc -l <"$dir/killed") - 1))
echo "kills: $kills; jobs that began again, all of them of killed or stopped workers: $again; that ended twice: $double;" \
    "told as too late: $late; times that the sender found no room: $full"
[ "$full" = 0 ] || [ "$jobs" -lt 10000 ] || fail "the sender found no room $full times"
echo "every job was done"
