// The loops for processors with AVX2, FMA and F16C.
#if defined(__x86_64__)
#include <immintrin.h>

#include <cmath>
#include <cstdint>

// After the headers, whose code must run on any processor.
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), \
                             apply_to = function)
#else
#pragma GCC target("avx2,fma,f16c")
#endif

#define TFS_LANES 8
#include "custom_ops/group_norm_silu/cc/kernels/cpu_loops_impl.h"

namespace tf_student {
namespace cpu {

template <typename T>
Loops<T> Avx2Loops() {
  return AllLoops<T>();
}
template Loops<float> Avx2Loops();
template Loops<BFloat16> Avx2Loops();
template Loops<Float16> Avx2Loops();

}  // namespace cpu
}  // namespace tf_student

#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif  // defined(__x86_64__)
