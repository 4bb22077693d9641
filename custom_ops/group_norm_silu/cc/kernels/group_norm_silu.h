// The mathematics of the op, for host and device, and the structs that the CPU kernels,
// CUDA launchers and framework adapters share. Independent of TensorFlow and CUDA.
//
//   v = x + bias               x: [batch, positions, channels], bias: [batch, channels]
//   xhat = (v - mean) * rstd   over the positions and channels of each group
//   z = gamma * xhat + beta
//   y = silu(z) = z * sigmoid(z), or z
//
// and, for g = dy * dy/dz and averages over a group,
//
//   dx = rstd * (gamma * g - avg(gamma * g) - xhat * avg(gamma * g * xhat))
//   dgamma = sum(g * xhat),  dbeta = sum(g),  dbias = sum over positions of dx
//
// gamma and beta are [channels], or [batch, channels] if each image has its own. dgamma
// and dbeta are sums over all positions that share a value.
#ifndef TF_STUDENT_GROUP_NORM_SILU_H_
#define TF_STUDENT_GROUP_NORM_SILU_H_

#include <cmath>
#include <cstdint>

#ifdef __CUDACC__
#define TFS_HOST_DEVICE __host__ __device__ __forceinline__
#else
// Always inlined: otherwise the linker could use a copy that was compiled for another
// instruction set.
#define TFS_HOST_DEVICE inline __attribute__((always_inline))
#endif

namespace tf_student {

enum class DType { kFloat32, kBFloat16, kFloat16 };

// One call: x is [batch, positions, channels], and groups must divide channels.
struct Problem {
  int64_t batch;
  int64_t positions;
  int64_t channels;
  int64_t groups;
  float epsilon;
  bool silu;
  DType dtype;
  bool own_parameters;  // Whether each image has its own gamma and beta.
};

TFS_HOST_DEVICE int64_t GroupChannels(const Problem& problem) {
  return problem.channels / problem.groups;
}

TFS_HOST_DEVICE int64_t ImageSize(const Problem& problem) {
  return problem.positions * problem.channels;
}

// The distance between the parameters of consecutive images.
TFS_HOST_DEVICE int64_t ParameterStride(const Problem& problem) {
  return problem.own_parameters ? problem.channels : 0;
}

// The number of values in a group.
TFS_HOST_DEVICE int64_t GroupSize(const Problem& problem) {
  return problem.positions * GroupChannels(problem);
}

// V is a float, or a vector of floats; s is sigmoid(z).
template <typename V>
TFS_HOST_DEVICE V Silu(V z, V s) {
  return z * s;
}

// d silu(z) / dz.
template <typename V>
TFS_HOST_DEVICE V SiluSlope(V z, V s) {
  return s * (1.0f + z * (1.0f - s));
}

TFS_HOST_DEVICE float Sigmoid(float z) { return 1.0f / (1.0f + expf(-z)); }

}  // namespace tf_student

#endif  // TF_STUDENT_GROUP_NORM_SILU_H_
