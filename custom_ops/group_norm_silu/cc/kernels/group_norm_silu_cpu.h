// The op on the CPU. Independent of TensorFlow.
#ifndef TF_STUDENT_GROUP_NORM_SILU_CPU_H_
#define TF_STUDENT_GROUP_NORM_SILU_CPU_H_

#include <cstdint>
#include <functional>

#include "custom_ops/group_norm_silu/cc/kernels/group_norm_silu.h"

namespace tf_student {

// The threads of the caller.
struct Parallel {
  using Work = std::function<void(int64_t begin, int64_t end)>;
  int threads;
  // Calls `work` on ranges that cover [0, total) once, and returns when all are done.
  // One unit of the total takes about `cost` cycles.
  std::function<void(int64_t total, int64_t cost, const Work& work)> run;
};

// Runs everything in the thread of the caller.
Parallel Serial();

// Tensors of type void have the dtype of the problem. Results depend only on the
// arguments and the instruction set, not on the threads.
//
// x, y: [batch, positions, channels]; bias: [batch, channels] or null;
// gamma, beta and their gradients: [channels] or [batch, channels];
// mean, rstd: [batch, groups].
void GroupNormSiluForward(const Problem& problem, const void* x, const void* bias,
                          const float* gamma, const float* beta, void* y, float* mean,
                          float* rstd, const Parallel& parallel);

// dbias may be null.
void GroupNormSiluBackward(const Problem& problem, const void* dy, const void* x,
                           const void* bias, const float* gamma, const float* beta,
                           const float* mean, const float* rstd, void* dx, void* dbias,
                           float* dgamma, float* dbeta, const Parallel& parallel);

// The instruction set in use: "avx512", "avx2" or "baseline". It is the best one of the
// processor, unless the environment variable TF_STUDENT_SIMD names a lesser one.
const char* SimdName();

}  // namespace tf_student

// SimdName for programs that load the shared library.
extern "C" const char* TfStudentSimdName();

#endif  // TF_STUDENT_GROUP_NORM_SILU_CPU_H_
