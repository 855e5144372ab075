#!/usr/bin/env bash
# The full-width CIFAR-10 experiments, as far as 9 minutes reach; call it again to go on. Prints throughput and results.
#
#   DATA=DIR OUT=DIR benchmarks/gpu.sh
#
# OUT       results: runs/NAME/ (resumable run folders), throughput.jsonl, summary.txt; default benchmarks-gpu
# DATA      folder with CIFAR-10 (see docs/cli.md); default: the recipe's own search
# SECONDS_A_CALL  540; every run is asked to save and stop (SIGTERM) when they are over
# RUNS      "recipe:labels" ...; default: cifar10:4000 cifar10-pictures:50000
# OPTIONS   more options of `improved-gan train`; default: --precision bfloat16 --channels-last
# PYTHON    default python
set -u
OUT="${OUT:-benchmarks-gpu}" PYTHON="${PYTHON:-python}" RUNS="${RUNS:-cifar10:4000 cifar10-pictures:50000}"
OPTIONS="${OPTIONS:---precision bfloat16 --channels-last}"
LIMIT="${SECONDS_A_CALL:-540}"
mkdir -p "$OUT/runs"
export PYTHONPATH="$(cd "$(dirname "$0")/.." && pwd)/src${PYTHONPATH:+:$PYTHONPATH}"
DEADLINE=$((SECONDS + LIMIT))
status=0

progress() { # the step and the seconds of training of a run folder: of its newest checkpoint
  "$PYTHON" - "$1" << 'PY'
import json, pathlib, sys
folder = pathlib.Path(sys.argv[1])
paths = sorted(folder.glob("checkpoints/step-*.safetensors"))
if not paths:
    print("0 0")
else:
    from safetensors import safe_open
    with safe_open(paths[-1], "pt") as file:
        print(int(file.get_tensor("progress.step")), float(file.get_tensor("progress.seconds")))
PY
}

for run in $RUNS; do
  recipe="${run%%:*}" labels="${run##*:}" folder="$OUT/runs/${run/:/-}"
  left=$((DEADLINE - SECONDS))
  [ "$left" -gt 0 ] || break
  read -r step_before seconds_before < <(progress "$folder")
  echo "== $run: from step $step_before, $left s left"
  # shellcheck disable=SC2086 (OPTIONS are several words)
  timeout --signal=TERM "$left" "$PYTHON" -m improved_gan train "$recipe" --labels "$labels" --out "$folder" \
    ${DATA:+--data "$DATA"} $OPTIONS 2>&1 | tee -a "$folder.txt"
  code="${PIPESTATUS[0]}"
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
    124 | 143) echo "== $run: time is over, call again"; break ;;
    *) echo "== $run failed with exit code $code (see $folder.txt)"; status=1 ;;
  esac
done
for log in "$OUT"/runs/*/log.jsonl; do
  [ -f "$log" ] && echo "$log: $(tail -n 1 "$log")"
done | tee "$OUT/summary.txt"
exit "$status"
