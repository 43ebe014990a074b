#!/usr/bin/env bash
# Three nodes of the graph, with three brokers and ZooKeeper, all on this machine. One node after the other is killed by `kill -9` and started again,
# while a client makes edges; at the end all of them have to be there.
#
#     examples/graph/cluster.sh [ROUNDS]
#
# The servers are fetched once, from Maven Central: it takes Java and Maven. FIRST_PORT moves everything to other ports, and BIN names a folder with programs
# that are built already.
set -euo pipefail
cd "$(dirname "$0")/../.."
rounds=${1:-5}
first=${FIRST_PORT:-18000}

bin=${BIN:-${CARGO_TARGET_DIR:-target}/debug}
[ -n "${BIN:-}" ] || cargo build --quiet -p graph -p memgen-cli
work=$(mktemp -d)
declare -A nodes

finish() {
    kill -9 "${client:-}" "${nodes[@]}" 2>/dev/null || true
    "$bin/memgen" --quiet servers down --dir "$work/servers" || true
    rm -rf "$work"
}
trap finish EXIT

flags=$("$bin/memgen" servers up --dir "$work/servers" --brokers 3 --kafka-port $((first + 300)) --zookeeper-port $((first + 700)))

api() { echo "http://127.0.0.1:$((first + $1))"; }
admin() { echo "http://127.0.0.1:$((first + 10 + $1))"; }

start() {
    # The flags are words of their own.
    # shellcheck disable=SC2086
    "$bin/graph" $flags --node "n$1" --data "$work/n$1" --session-timeout-ms 4000 \
        --http "127.0.0.1:$((first + $1))" --admin "127.0.0.1:$((first + 10 + $1))" --peer 127.0.0.1:0 >>"$work/n$1.log" 2>&1 &
    nodes[$1]=$!
    # The shell need not say that it was killed.
    disown
}

ready() {
    until curl --silent --fail --output /dev/null "$(admin "$1")/readyz"; do
        kill -0 "${nodes[$1]}" 2>/dev/null || { cat "$work/n$1.log"; exit 1; }
        sleep 0.1
    done
}

# Stars of ten edges. A node that is gone is no reason to stop: the same request goes to the next one, under the same id.
make_edges() {
    for ((edge = 0; ; edge++)); do
        hub=$((edge / 10 * 100 + 1))
        begun=$(date +%s%N)
        for ((node = edge; ; node++)); do
            if curl --silent --fail --output /dev/null --max-time 10 --request POST --header "Idempotency-Key: \"edge-$edge\"" \
                "$(api $((node % 3 + 1)))/connect/$hub/$((hub + 1 + edge % 10))"; then
                break
            fi
            sleep 0.05
        done
        echo "$edge $((($(date +%s%N) - begun) / 1000000))" >>"$work/edges"
    done
}

for node in 1 2 3; do start $node; done
for node in 1 2 3; do ready $node; done
# A node that came late moves partitions once more, so the first may be not ready (3) for a moment.
"$bin/memgen" status --admin "$(admin 1)" || [ $? = 3 ]
touch "$work/edges"
make_edges &
client=$!
disown

for ((round = 0; round < rounds; round++)); do
    sleep 2
    node=$((round % 3 + 1))
    before=$(wc -l <"$work/edges")
    kill -9 "${nodes[$node]}"
    sleep 3
    printf 'n%s killed: %s edges before, %s three seconds later\n' "$node" "$before" "$(wc -l <"$work/edges")"
    start $node
    ready $node
done
kill "$client"

# Only whole stars: the last one is still being made.
stars=$(($(wc -l <"$work/edges") / 10))
for ((star = 0; star < stars; star++)); do
    hub=$((star * 100 + 1))
    members=$(curl --silent --fail "$(api 1)/component/$hub" | grep -o '[0-9]\+' | tail -n +2 | wc -l)
    if [ "$members" != 11 ]; then
        echo "component $hub has $members members, not 11" >&2
        exit 1
    fi
done
sort -n -k 2 "$work/edges" | awk '{ wait[NR] = $2 } END { printf "%d edges, all there; an edge took %d ms in the middle, and %d ms at most\n", NR, wait[int((NR + 1) / 2)], wait[NR] }'
