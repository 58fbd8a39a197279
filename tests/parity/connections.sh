#!/bin/bash
# Shows every connect() of a training run with its worker, its viewers and a stop, and fails on one that is not the worker's socket.
#
#     cargo build && tests/parity/connections.sh target/debug/voicetune
#
# Needs strace.
set -euo pipefail
program=$(realpath "${1:-target/debug/voicetune}")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

"$program" init "$folder/voice" >&2
cp "$(dirname "$0")"/../../pairs/tier4/*.yaml "$folder/voice/pairs/tier4/"
cd "$folder/voice"
trace() { strace -f -qq -e trace=connect,sendto,sendmsg -e signal=none -o "$folder/trace.$1" "$program" "${@:2}"; }

trace train train pocket-llama-lora --run traced --max-steps 2
# strace stays for as long as the worker does.
trace detach train pocket-llama-lora --run detached --detach &
until [ -s "$(echo runs/*-detached/events.jsonl)" ]; do sleep 0.1; done
trace stop stop
wait
trace watch watch detached || true # it was stopped: exit 1
trace generate generate traced --samples 1 --max-new-tokens 8 >/dev/null
trace check check >/dev/null || true # exit 1 where it finds something

cat "$folder"/trace.* | grep -E 'connect\(' | sort | uniq -c | sort -rn || true
if cat "$folder"/trace.* | grep -E 'connect\(|AF_INET' | grep -vE 'AF_UNIX, sun_path="[^"]*(/runs/\.worker/socket|/vt-[^"]*/w/socket)"'; then
    echo "a connection that is not the worker's" >&2
    exit 1
fi
echo "no connection but to the worker's socket"
