// The loops for any processor.
#ifdef __SSE2__
#include <immintrin.h>
#endif

#include <cmath>
#include <cstdint>

#define TFS_LANES 4
#include "custom_ops/group_norm_silu/cc/kernels/cpu_loops_impl.h"

namespace tf_student {
namespace cpu {

template <typename T>
Loops<T> BaselineLoops() {
  return AllLoops<T>();
}
template Loops<float> BaselineLoops();
template Loops<BFloat16> BaselineLoops();
template Loops<Float16> BaselineLoops();

}  // namespace cpu
}  // namespace tf_student
