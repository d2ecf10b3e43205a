#!/usr/bin/env bash
# What `slipring metrics` serves, judged by others: promtool, the strict OpenMetrics parser of Prometheus' Python client, and a real
# Prometheus that scrapes it, with docs/alerts.yml. Needs Debian's apt-get and Python with venv; installs nothing: what it takes is
# unpacked in a folder of its own, and gone at the end.
#
#   prometheus.sh [PROGRAM]    PROGRAM: the slipring program [target/release/slipring]
set -euo pipefail
cd "$(dirname "$0")/.."
slipring=$(realpath "${1:-target/release/slipring}")

dir=$(mktemp -d)
queue=prometheus-$$
cleanup() {
    for job in $(jobs -p); do kill "$job" 2>/dev/null || true; done
    wait
    "$slipring" rm "$queue" --force >/dev/null 2>&1 || true
    rm -rf "$dir"
}
trap cleanup EXIT
fail() { echo "prometheus.sh: $*" >&2; exit 1; }

if ! command -v promtool >/dev/null || ! command -v prometheus >/dev/null; then
    (cd "$dir" && { apt-get -o APT::Sandbox::User=root download -qq prometheus || { apt-get update -qq && apt-get -o APT::Sandbox::User=root download -qq prometheus; }; } &&
        dpkg -x prometheus_*.deb tools) || fail 'the package prometheus cannot be downloaded'
    PATH=$dir/tools/usr/bin:$PATH
fi
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check prometheus-client

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}
port=$(free_port) web=$(free_port)

# 1000 messages, acked by one group; nobody reads for the others, of which one has places for messages in flight.
"$slipring" create "$queue" --capacity 4096 --group store --group audit --shared-group work --in-flight 8
seq 1000 | "$slipring" send "$queue" 2>/dev/null
"$slipring" recv "$queue" --group store --count 1000 >/dev/null
"$slipring" metrics --members --listen "127.0.0.1:$port" 2>/dev/null &
page() { curl --silent --fail --max-time 10 --retry 20 --retry-connrefused --retry-delay 1 -H "Accept: $1" "http://127.0.0.1:$port/metrics"; }

page text/plain | promtool check metrics
page 'application/openmetrics-text; version=1.0.0' >"$dir/page"
"$dir/venv/bin/python" - "$dir/page" <<'END'
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
families = list(text_string_to_metric_families(open(sys.argv[1]).read()))
assert len(families) > 30, len(families)
print(f"strict OpenMetrics parser: {len(families)} families")
END
promtool check rules docs/alerts.yml

cat >"$dir/prometheus.yml" <<END
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [$PWD/docs/alerts.yml]
scrape_configs:
- job_name: slipring
  static_configs: [{targets: ['127.0.0.1:$port']}]
END
promtool check config "$dir/prometheus.yml"
prometheus --config.file="$dir/prometheus.yml" --storage.tsdb.path="$dir/data" --web.listen-address="127.0.0.1:$web" \
    --log.level=error 2>"$dir/prometheus.log" &

# Waits until the query has this value.
shows() {
    local answer value=
    for _ in $(seq 240); do
        answer=$(curl --silent --get "http://127.0.0.1:$web/api/v1/query" --data-urlencode "query=$1") || true
        value=$(python3 -c 'import json, sys; print(json.load(sys.stdin)["data"]["result"][0]["value"][1])' <<<"$answer" 2>/dev/null) || true
        [ "$value" != "$2" ] || { echo "Prometheus: $1 is $2"; return; }
        sleep 0.5
    done
    cat "$dir/prometheus.log" >&2
    fail "Prometheus: $1 is not $2 but \"$value\""
}
shows "slipring_queue_up{queue=\"$queue\"}" 1
shows "slipring_queue_published_messages_total{queue=\"$queue\"}" 1000
shows "slipring_group_done_messages_total{queue=\"$queue\",group=\"store\"}" 1000
shows "slipring_group_ready_messages{queue=\"$queue\",group=\"audit\"}" 1000
shows "slipring_group_in_flight_max_messages{queue=\"$queue\",group=\"work\"}" 8
shows "count(ALERTS{alertname=\"SlipringNoConsumers\",queue=\"$queue\",group=\"audit\"})" 1
