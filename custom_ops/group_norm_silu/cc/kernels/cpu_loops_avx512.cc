// The loops for processors with AVX-512.
#if defined(__x86_64__)
#include <immintrin.h>

#include <cmath>
#include <cstdint>

// After the headers, whose code must run on any processor.
#if defined(__clang__)
#pragma clang attribute push(                                                          \
    __attribute__((target(                                                             \
        "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c,prefer-vector-width=512"))), \
    apply_to = function)
#else
#pragma GCC target( \
    "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c,prefer-vector-width=512")
#endif

#define TFS_LANES 16
#include "custom_ops/group_norm_silu/cc/kernels/cpu_loops_impl.h"

namespace tf_student {
namespace cpu {

template <typename T>
Loops<T> Avx512Loops() {
  return AllLoops<T>();
}
template Loops<float> Avx512Loops();
template Loops<BFloat16> Avx512Loops();
template Loops<Float16> Avx512Loops();

}  // namespace cpu
}  // namespace tf_student

#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif  // defined(__x86_64__)
