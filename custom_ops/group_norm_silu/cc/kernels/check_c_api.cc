// C symbols for the launchers, for check_pytorch.py.
#include "custom_ops/group_norm_silu/cc/kernels/group_norm_silu_cuda.h"

extern "C" {

size_t tfs_forward_scratch(const tf_student::Problem* problem) {
  return tf_student::ForwardScratchBytes(*problem);
}

size_t tfs_backward_scratch(const tf_student::Problem* problem) {
  return tf_student::BackwardScratchBytes(*problem);
}

int tfs_forward(void* stream, const tf_student::Problem* problem, const void* x,
                const float* gamma, const float* beta, void* y, float* mean,
                float* rstd, void* scratch) {
  return tf_student::LaunchForward(stream, *problem, x, nullptr, gamma, beta, y, mean,
                                   rstd, scratch);
}

int tfs_backward(void* stream, const tf_student::Problem* problem, const void* dy,
                 const void* x, const float* gamma, const float* beta,
                 const float* mean, const float* rstd, void* dx, float* dgamma,
                 float* dbeta, void* scratch) {
  return tf_student::LaunchBackward(stream, *problem, dy, x, nullptr, gamma, beta, mean,
                                    rstd, dx, nullptr, dgamma, dbeta, scratch);
}

}  // extern "C"
