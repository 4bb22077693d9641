#!/usr/bin/env bash
# Builds, checks and times the CUDA kernels and the programs of export.py, with nvcc, JAX
# and PyTorch but without TensorFlow.
#
#     benchmarks/gpu/run.sh PROGRAMS RESULTS [REGEX]
#
# PROGRAMS is the folder that export.py wrote. RESULTS gets the logs and results.json.
# REGEX selects programs. Set PLATFORM=cpu to rehearse it without a GPU, STAGES to run a
# part, and SECONDS_EACH to bound the time of compilation.
set -uo pipefail
programs=$(realpath "$1")
mkdir -p "$2"
results=$(realpath "$2")
match=${3:-}
here=$(cd "$(dirname "$0")" && pwd)
kernels=$here/../../custom_ops/group_norm_silu/cc/kernels
platform=${PLATFORM:-gpu}
stages=${STAGES:-build check sanitize pytorch programs}
deadline=${SECONDS_EACH:-400}
python=${PYTHON:-python3}
out=$results/build
export TORCHINDUCTOR_CACHE_DIR=$out/inductor
export XLA_PYTHON_CLIENT_PREALLOCATE=false
failed=0

stage() {
  local name=$1
  shift
  if [[ " $stages " != *" $name "* ]]; then return; fi
  local start=$SECONDS
  echo "== $name"
  "$@" > "$results/$name.log" 2>&1
  local code=$?
  tail -n "${LINES_EACH:-60}" "$results/$name.log"
  echo "== $name: exit code $code after $((SECONDS - start)) s"
  if ((code)); then failed=1; fi
}

build() {
  local cuda=yes
  if [[ $platform == cpu ]]; then cuda=; fi
  local make=(make -C "$kernels" -j "$(nproc)" OUT="$out" PYTHON="$python"
    ARCHS="${ARCHS:-90}" CUDA=$cuda)
  "${make[@]}" handlers && if [[ $cuda ]]; then "${make[@]}" build; fi
}

check() {
  if [[ $platform == cpu ]]; then make -C "$kernels" OUT="$out" emulate; return; fi
  "$out/check_cuda" 40
  local code=$?
  "$python" "$kernels/check_pytorch.py" "$out/libgroup_norm_silu_cuda.so" || code=1
  return $code
}

# The small cases only: the checker slows the kernels down a hundredfold.
sanitize() {
  if [[ $platform == cpu ]]; then echo "no GPU"; return; fi
  timeout 120 compute-sanitizer --error-exitcode=1 "$out/check_cuda" 5 small
}

# Compiles all cases at once, then times one after the other.
pytorch() {
  local network pids=()
  for network in $("$python" -c "import json, sys; print(*json.load(open(sys.argv[1]))['unets'])" \
      "$programs/programs.json"); do
    for work in inference distillation; do
      timeout "$deadline" "$python" "$here/time_pytorch.py" "$programs" /dev/null \
        --warm --match="^$network-$work.*$match" &
      pids+=($!)
    done
  done
  wait "${pids[@]}"
  timeout "$deadline" "$python" "$here/time_pytorch.py" "$programs" \
    "$results/pytorch.json" --match="$match"
}

programs() {
  "$python" "$here/time_programs.py" "$programs" "$out/libgroup_norm_silu_handlers.so" \
    "$results/programs.json" --platform="$platform" --match="$match" \
    --deadline="$deadline"
}

stage build build
stage check check
stage sanitize sanitize
stage pytorch pytorch
stage programs programs
"$python" "$here/report.py" "$results"
exit $failed
