#!/usr/bin/env bash
# A private RabbitMQ for tests: on loopback, with its data, its cookie, its ports and its epmd in a folder of its own.
#
#   rabbitmq.sh install             installs Debian's package if it is missing (root); its service is neither started nor enabled
#   rabbitmq.sh start DIR [PORT]    makes DIR, starts a broker and prints its URL once it accepts connections
#   rabbitmq.sh kill DIR            SIGKILL to the broker; its data stays
#   rabbitmq.sh restart DIR         starts it again with its data and its port; if it runs, it is first stopped in order
#   rabbitmq.sh ctl DIR ARGS...     rabbitmqctl ARGS
#   rabbitmq.sh pid DIR             the broker's process id
#   rabbitmq.sh stop DIR            ends the broker and its epmd, killed or stopped ones too, and removes DIR
#
# Exit codes: 77 RabbitMQ is not installed, 2 wrong usage, 1 anything else. SLIPRING_BROKER_OWNER=PID at `start`: when that
# process is gone, the broker is stopped.
# SLIPRING_BROKER_CONFIG at `start`: more lines for rabbitmq.conf. Needs no root and works as root. The user is guest, the password guest.
set -euo pipefail

programs=${RABBITMQ_PROGRAMS:-/usr/lib/rabbitmq/bin}
self=$(realpath "$0")

fail() {
    echo "rabbitmq.sh: $*" >&2
    exit 1
}

# When a process started, in clock ticks; nothing if there is none, or a dead one that nobody has waited for.
born() {
    local stat
    { stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 1
    set -- ${stat##*) }
    [ "$1" != Z ] && echo "${20}"
}

# The pid in file $1, if it is still of that process: not of another one with the same number.
alive() {
    local pid birth
    { read -r pid birth <"$1"; } 2>/dev/null && [ "$(born "$pid")" = "$birth" ] && echo "$pid"
}
broker() { alive "$dir/broker.pid"; }
epmd() { alive "$dir/epmd.pid"; }

# Signal $2 to the process of function $1, until it is gone; after $3 seconds SIGKILL.
end() {
    local pid until=$((SECONDS + $3)) signal=$2
    while pid=$("$1"); do
        [ $SECONDS -lt $until ] || signal=KILL
        kill -"$signal" "$pid" 2>/dev/null || true
        kill -CONT "$pid" 2>/dev/null || true
        sleep 0.1
    done
}

listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Below the ports that the kernel gives to clients.
free_port() {
    local port
    while port=$((20000 + RANDOM % 12000)); do
        if ! listens $port; then
            echo $port
            return
        fi
    done
}

# Runs $2... as a daemon with nothing of ours: no descriptor, no terminal, no signal to our group. Its pid goes to file $1.
daemon() {
    local file=$1
    shift
    (
        for fd in /proc/self/fd/*; do
            fd=${fd##*/}
            if [ "$fd" -gt 2 ]; then eval "exec $fd>&-"; fi
        done
        exec setsid "$@" </dev/null >>"$dir/output" 2>&1
    ) &
    echo "$! $(born $!)" >"$file"
}

load() {
    [ -f "$dir/instance" ] || fail "no broker was started in $dir"
    . "$dir/instance"
    # Nothing of a broker that the system runs: neither its variables nor its files.
    unset "${!RABBITMQ_@}" "${!ERL_@}"
    export HOME=$dir ERL_EPMD_ADDRESS=127.0.0.1 ERL_EPMD_PORT=$epmd_port
    export RABBITMQ_NODENAME=slipring-$port@localhost RABBITMQ_NODE_IP_ADDRESS=127.0.0.1 RABBITMQ_NODE_PORT=$port
    export RABBITMQ_DIST_PORT=$dist_port RABBITMQ_CONF_ENV_FILE=$dir/environment RABBITMQ_CONFIG_FILE=$dir/rabbitmq.conf
    export RABBITMQ_ADVANCED_CONFIG_FILE=$dir/advanced.config RABBITMQ_ENABLED_PLUGINS_FILE=$dir/enabled_plugins
    export RABBITMQ_MNESIA_BASE=$dir/data RABBITMQ_LOG_BASE=$dir/log RABBITMQ_SERVER_START_ARGS=-noinput
    # The scripts then become the broker, and its pid is ours.
    export RABBITMQ_ALLOW_INPUT=1
    # No busy waiting: tests share the processors with it.
    export RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="-start_epmd false -kernel inet_dist_use_interface {127,0,0,1} \
+sbwt none +sbwtdcpu none +sbwtdio none"
    export RABBITMQ_CTL_ERL_ARGS="-start_epmd false -kernel inet_dist_use_interface {127,0,0,1}"
}

launch() {
    local until=$((SECONDS + 300))
    epmd >/dev/null || daemon "$dir/epmd.pid" epmd -address 127.0.0.1 -port "$epmd_port"
    until listens "$epmd_port"; do
        [ $SECONDS -lt $until ] || fail "epmd does not start: $(tail -n 5 "$dir/output")"
        sleep 0.05
    done
    # A process that was killed is gone before its sockets are.
    local free=$((SECONDS + 10))
    while listens "$port"; do
        [ $SECONDS -lt $free ] || fail "port $port is in use"
        sleep 0.1
    done
    daemon "$dir/broker.pid" "$programs/rabbitmq-server"
    until listens "$port"; do
        broker >/dev/null || fail "the broker ended: $(tail -n 20 "$dir/output")"
        [ $SECONDS -lt $until ] || fail "the broker does not start within 300 s: $(tail -n 20 "$dir/output")"
        sleep 0.1
    done
    echo "amqp://127.0.0.1:$port"
}

start() {
    [ -x "$programs/rabbitmq-server" ] || { echo 'RabbitMQ is not installed' >&2; exit 77; }
    [ ! -e "$dir" ] || [ -z "$(ls -A "$dir")" ] || fail "$dir exists and is not empty"
    mkdir -p "$dir/data" "$dir/log"
    chmod 700 "$dir"
    cat >"$dir/instance" <<END
port=${1:-$(free_port)} dist_port=$(free_port) epmd_port=$(free_port)
END
    (umask 377 && tr -dc A-Z </dev/urandom | head -c 20 >"$dir/.erlang.cookie") || true
    echo '[].' >"$dir/enabled_plugins"
    : >"$dir/environment"
    # A nearly full disk is the test's machine, not the test.
    echo 'disk_free_limit.absolute = 1MB' >"$dir/rabbitmq.conf"
    echo "${SLIPRING_BROKER_CONFIG:-}" >>"$dir/rabbitmq.conf"
    load
    # A failure leaves nothing; the log was printed.
    trap 'stop' EXIT
    launch
    trap - EXIT
    [ -z "${SLIPRING_BROKER_OWNER:-}" ] || daemon "$dir/watch.pid" "$self" watch "$dir" "$SLIPRING_BROKER_OWNER"
}

stop() {
    end broker TERM 20
    end epmd TERM 5
    # A broker whose epmd died has started another one.
    command epmd -port "$epmd_port" -kill >/dev/null 2>&1 || true
    rm -rf "$dir"
}

# Ends with the broker's folder, or ends the broker with its owner.
watch() {
    while [ -f "$dir/instance" ]; do
        if ! kill -0 "$1" 2>/dev/null; then stop; fi
        sleep 1
    done
}

install() {
    [ ! -x "$programs/rabbitmq-server" ] || return 0
    [ "$(id -u)" = 0 ] || fail 'RabbitMQ is not installed; root can: apt-get install rabbitmq-server'
    local policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ]; then
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT
        printf '#!/bin/sh\nexit 101\n' >$policy
        chmod 755 $policy
    fi
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends rabbitmq-server; } ||
        fail 'the package rabbitmq-server could not be installed'
    if command -v systemctl >/dev/null; then systemctl disable rabbitmq-server || true; fi
}

command=${1:-} dir=${2:-}
case $command in
install) ;;
start | kill | restart | ctl | pid | stop | watch)
    [ -n "$dir" ] || { echo "usage: rabbitmq.sh $command DIR" >&2; exit 2; }
    dir=$(realpath -m "$dir")
    shift 2
    ;;
*)
    sed -n '2,/^set/s/^# \{0,1\}//p' "$self" >&2
    exit 2
    ;;
esac

case $command in
install) install ;;
start) start "$@" ;;
kill) load; end broker KILL 0 ;;
restart) load; end broker TERM 30; launch ;;
ctl) load; exec "$programs/rabbitmqctl" "$@" ;;
pid) load; broker ;;
watch) load; watch "$@" ;;
stop)
    # Stopped already, or never started.
    [ -f "$dir/instance" ] || exit 0
    load
    stop
    ;;
esac
