#!/usr/bin/env bash
# Fuzzes the parsers, one after another: fuzz/run.sh [SECONDS] [TARGET...]
#
# SECONDS is for each target [default: 900], TARGET one of fuzz/fuzz_targets/ [default: all]. Needs a stable compiler and a C++ one,
# nothing else; `RUSTC_BOOTSTRAP=1 cargo fuzz run --sanitizer none TARGET` does the same for one. What is found is put into
# fuzz/artifacts/TARGET/, the inputs that reached something new into fuzz/corpus/TARGET/; neither is kept in git. Inputs worth
# keeping go to fuzz/seeds/TARGET/, which the tests replay. The last lines are a table: target, seconds, executions, coverage, findings.
set -euo pipefail
cd "$(dirname "$0")"

seconds=${1:-900}
shift || true
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(tokenizer chat_template pair configs safetensors adapter verdicts events records manifest unsaved model_config text)

cargo build --release --locked --jobs "${FUZZ_JOBS:-1}"
built=target/x86_64-unknown-linux-gnu/release

table=()
for target in "${targets[@]}"; do
  mkdir -p "corpus/$target" "artifacts/$target"
  log=artifacts/$target.log
  # Two gigabytes and 25 seconds for one input are findings, as a panic is.
  "$built/$target" -max_total_time="$seconds" -rss_limit_mb=2048 -malloc_limit_mb=2048 -timeout=25 -max_len=16384 -print_final_stats=1 \
    -artifact_prefix="artifacts/$target/" -dict=dictionary.txt "corpus/$target" "seeds/$target" >"$log" 2>&1 || true
  found=$(find "artifacts/$target" -type f | wc -l)
  number() { awk -v key="$1" '$1 == "stat::" key ":" { print $2 }' "$log"; }
  ran=$(awk '/^Done [0-9]+ runs in/ { print $5 }' "$log")
  covered=$(awk '{ for (i = 1; i < NF; i++) if ($i == "cov:") cov = $(i + 1) } END { print cov }' "$log")
  table+=("$(printf '%-14s %6s s %12s runs  %6s edges  %4s MiB at most  %s findings' "$target" "${ran:-?}" "$(number number_of_executed_units)" "$covered" "$(number peak_rss_mb)" "$found")")
  echo "${table[-1]}"
done
echo
printf '%s\n' "${table[@]}"
