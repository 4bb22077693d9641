#!/usr/bin/env bash
# Builds, checks and times the CUDA kernels and the programs of export.py, with nvcc, JAX
# and PyTorch but without TensorFlow.
#
#     benchmarks/gpu/run.sh PROGRAMS RESULTS [REGEX]
#
# PROGRAMS is the folder that export.py wrote. RESULTS gets the logs and results.json.
# REGEX selects programs. Set PLATFORM=cpu to rehearse it without a GPU, STAGES to run a
# part, and SECONDS_EACH to bound the time of compilation. JAX and PyTorch compile while
# the kernels are checked; nothing else runs during the timings.
set -uo pipefail
programs=$(realpath "$1")
mkdir -p "$2"
results=$(realpath "$2")
match=${3:-}
here=$(cd "$(dirname "$0")" && pwd)
kernels=$here/../../custom_ops/group_norm_silu/cc/kernels
platform=${PLATFORM:-gpu}
stages=${STAGES:-build check programs pytorch timings sanitize}
deadline=${SECONDS_EACH:-400}
python=${PYTHON:-python3}
out=$results/build
export TORCHINDUCTOR_CACHE_DIR=$out/inductor
export XLA_PYTHON_CLIENT_PREALLOCATE=false
quiet=$results/quiet
failed=0

has() { [[ " $stages " == *" $1 "* ]]; }

# stage NAME COMMAND...: runs a stage if it is wanted, and shows the end of its log.
stage() {
  local name=$1
  shift
  if ! has "$name"; then return; fi
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
}

# The small cases only: the checker slows the kernels down a hundredfold.
sanitize() {
  if [[ $platform == cpu ]]; then echo "no GPU"; return; fi
  timeout 120 compute-sanitizer --error-exitcode=1 "$out/check_cuda" 5 small
}

# The op beside a copy of device memory, and beside PyTorch.
timings() {
  if [[ $platform == cpu ]]; then echo "no GPU"; return; fi
  "$out/check_cuda" time
  local code=$?
  "$python" "$kernels/check_pytorch.py" "$out/libgroup_norm_silu_cuda.so" || code=1
  return $code
}

# Compiles all programs at once, then times one after the other when it is quiet.
programs() {
  "$python" "$here/time_programs.py" "$programs" "$out/libgroup_norm_silu_handlers.so" \
    "$results/programs.json" --platform="$platform" --match="$match" \
    --deadline="$deadline" --after="$quiet"
}

pytorch() {
  timeout "$deadline" "$python" "$here/time_pytorch.py" "$programs" \
    "$results/pytorch.json" --match="$match"
}

# Fills PyTorch's cache of compiled code, with one process for each kind of program.
warm_pytorch() {
  local network work pids=()
  for network in $("$python" -c "import json, sys; print(*json.load(open(sys.argv[1]))['unets'])" \
      "$programs/programs.json"); do
    for work in inference distillation; do
      timeout "$deadline" "$python" "$here/time_pytorch.py" "$programs" /dev/null \
        --warm --match="^(?=$network-$work).*$match" &
      pids+=($!)
    done
  done
  wait "${pids[@]}"
}

rm -f "$quiet"
stage build build
if ((failed)); then exit 1; fi
if has pytorch; then warm_pytorch > "$results/warm.log" 2>&1 & warming=$!; fi
if has programs; then programs > "$results/programs.log" 2>&1 & timing=$!; fi
stage check check
if has pytorch; then wait "$warming"; echo "PyTorch's cache is filled after $SECONDS s"; fi
touch "$quiet"
if has programs; then
  wait "$timing" || failed=1
  cat "$results/programs.log"
fi
stage pytorch pytorch
stage timings timings
stage sanitize sanitize
"$python" "$here/report.py" "$results"
exit $failed
