// Launches the CUDA kernels of the op. Independent of TensorFlow, and needs no CUDA
// header: streams are a void* and errors an int.
#ifndef TF_STUDENT_GROUP_NORM_SILU_CUDA_H_
#define TF_STUDENT_GROUP_NORM_SILU_CUDA_H_

#include <cstddef>

#include "custom_ops/group_norm_silu/cc/kernels/group_norm_silu.h"

namespace tf_student {

// Bytes of device memory, aligned to 256, that a launch on the current device needs.
size_t ForwardScratchBytes(const Problem& problem);
size_t BackwardScratchBytes(const Problem& problem);

// `stream` is a cudaStream_t of the current device. x, y, dy and dx are contiguous
// [batch, positions, channels] of problem.dtype. bias and dbias are [batch, channels]
// of the same dtype and may be null; mean and rstd are float [batch, groups], the
// others float [channels]. Outputs and scratch must not overlap inputs. Returns a
// cudaError_t, 0 for success. Launches can be captured into a graph; results are
// bitwise repeatable.
int LaunchForward(void* stream, const Problem& problem, const void* x, const void* bias,
                  const float* gamma, const float* beta, void* y, float* mean,
                  float* rstd, void* scratch);
int LaunchBackward(void* stream, const Problem& problem, const void* dy, const void* x,
                   const void* bias, const float* gamma, const float* beta,
                   const float* mean, const float* rstd, void* dx, void* dbias,
                   float* dgamma, float* dbeta, void* scratch);

}  // namespace tf_student

#endif  // TF_STUDENT_GROUP_NORM_SILU_CUDA_H_
