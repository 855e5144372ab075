#!/usr/bin/env bash
# The full-width CIFAR-10 experiments, 9 minutes at a time; call it again to resume. Prints throughput and results.
#
#   DATA=DIR OUT=DIR benchmarks/gpu.sh
#
# OUT       results: runs/NAME/ (resumable run folders), throughput.jsonl, summary.txt; default benchmarks-gpu
# DATA      folder with CIFAR-10 (see docs/cli.md); default: the recipe's own search
# SECONDS_A_CALL  540; after that the run gets SIGTERM to save and stop, and is killed 30 s later if it does not.
#           SIGTERM or Ctrl-C to this script does the same at once.
# RUNS      "recipe:labels" ...; default: cifar10:4000 cifar10-generation:50000
# OPTIONS   more options of `improved-gan train`
# PYTHON    default python
set -u
OUT="${OUT:-benchmarks-gpu}" PYTHON="${PYTHON:-python}" RUNS="${RUNS:-cifar10:4000 cifar10-generation:50000}"
LIMIT="${SECONDS_A_CALL:-540}"
mkdir -p "$OUT/runs"
export PYTHONPATH="$(cd "$(dirname "$0")/.." && pwd)/src${PYTHONPATH:+:$PYTHONPATH}"
DEADLINE=$((SECONDS + LIMIT))
status=0 child="" stopping=""
trap 'stopping=yes; [ -z "$child" ] || kill -TERM "$child" 2> /dev/null' TERM INT

progress() { # step and seconds of training of a run folder: of its newest checkpoint, read without importing torch
  "$PYTHON" - "$1" << 'PY'
import json, pathlib, struct, sys
paths = sorted(pathlib.Path(sys.argv[1]).glob("checkpoints/step-*.safetensors"))
if not paths:
    print("0 0")
else:
    with paths[-1].open("rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(size))
        def number(name, kind):
            file.seek(8 + size + header[name]["data_offsets"][0])
            return struct.unpack(kind, file.read(8))[0]
        print(number("progress.step", "<q"), number("progress.seconds", "<d"))
PY
}

for run in $RUNS; do
  recipe="${run%%:*}" labels="${run##*:}" folder="$OUT/runs/${run/:/-}"
  left=$((DEADLINE - SECONDS))
  if [ "$left" -le 0 ] || [ -n "$stopping" ]; then
    echo "== $run: time is over, call again"
    break
  fi
  read -r step_before seconds_before < <(progress "$folder")
  echo "== $run: from step $step_before, $left s left"
  # shellcheck disable=SC2086 (OPTIONS are several words)
  timeout --signal=TERM --kill-after=30 "$left" "$PYTHON" -m improved_gan train "$recipe" --labels "$labels" \
    --out "$folder" ${DATA:+--data "$DATA"} ${OPTIONS:-} > >(tee -a "$folder.txt") 2>&1 &
  child=$!
  [ -z "$stopping" ] || kill -TERM "$child" 2> /dev/null
  wait "$child"
  code=$?
  while kill -0 "$child" 2> /dev/null; do # a signal to this script ends `wait`, not the run
    wait "$child"
    code=$?
  done
  child=""
  read -r step seconds < <(progress "$folder")
  "$PYTHON" - "$run" "$step_before" "$seconds_before" "$step" "$seconds" "$code" << 'PY' | tee -a "$OUT/throughput.jsonl"
import json, sys
run, *numbers, code = sys.argv[1:]
before, seconds_before, step, seconds = map(float, numbers)
rate = (step - before) / (seconds - seconds_before) if seconds > seconds_before else None
print(json.dumps({"run": run, "step": int(step), "steps": int(step - before), "steps_a_second": rate, "exit": int(code)}))
PY
  case "$code" in
    0) ;;                                                   # complete
    124 | 130 | 143) echo "== $run: time is over, call again"; break ;;
    137) echo "== $run was killed; what it had saved is kept, call again"; break ;;
    *) echo "== $run failed with exit code $code (see $folder.txt)"; status=1 ;;
  esac
done
for log in "$OUT"/runs/*/log.jsonl; do
  [ -f "$log" ] && echo "$log: $(tail -n 1 "$log")"
done | tee "$OUT/summary.txt"
exit "$status"
