// Launches the kernels of cuda_forward.h and cuda_backward.h.
#include "custom_ops/group_norm_silu/cc/kernels/group_norm_silu_cuda.h"

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <mutex>

#include "custom_ops/group_norm_silu/cc/kernels/cuda_backward.h"
#include "custom_ops/group_norm_silu/cc/kernels/cuda_forward.h"
#include "custom_ops/group_norm_silu/cc/kernels/cuda_plan.h"

namespace tf_student {
namespace gpu {
namespace {

#define TF_STUDENT_RETURN_IF_ERROR(expression) \
  do {                                         \
    const cudaError_t error = (expression);    \
    if (error != cudaSuccess) return error;    \
  } while (false)

template <typename Kernel>
cudaError_t AskDevice(Kernel* kernel, int id, Device* device) {
  int processors, shared, reserved, largest, blocks;
  TF_STUDENT_RETURN_IF_ERROR(
      cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, id));
  TF_STUDENT_RETURN_IF_ERROR(
      cudaDeviceGetAttribute(&shared, cudaDevAttrMaxSharedMemoryPerMultiprocessor, id));
  TF_STUDENT_RETURN_IF_ERROR(
      cudaDeviceGetAttribute(&reserved, cudaDevAttrReservedSharedMemoryPerBlock, id));
  TF_STUDENT_RETURN_IF_ERROR(
      cudaDeviceGetAttribute(&largest, cudaDevAttrMaxSharedMemoryPerBlockOptin, id));
  const int bytes = std::min(largest, shared / kBlocksPerProcessor - reserved);
  TF_STUDENT_RETURN_IF_ERROR(
      cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes));
  TF_STUDENT_RETURN_IF_ERROR(cudaFuncSetAttribute(
      kernel, cudaFuncAttributePreferredSharedMemoryCarveout, 100));
  TF_STUDENT_RETURN_IF_ERROR(cudaOccupancyMaxActiveBlocksPerMultiprocessor(
      &blocks, kernel, kThreads, static_cast<size_t>(bytes)));
  if (blocks < 1) return cudaErrorLaunchOutOfResources;
  *device = {processors * blocks, static_cast<size_t>(bytes)};
  return cudaSuccess;
}

// The limits of a kernel on the current device, queried once because that is slow.
template <auto kKernel>
cudaError_t DeviceOf(Device* device) {
  constexpr int kMaxDevices = 64;
  static std::mutex* mutex = new std::mutex;
  static Device known[kMaxDevices];
  int id;
  TF_STUDENT_RETURN_IF_ERROR(cudaGetDevice(&id));
  if (id >= kMaxDevices) return AskDevice(kKernel, id, device);
  std::lock_guard<std::mutex> lock(*mutex);
  if (known[id].blocks == 0) {
    TF_STUDENT_RETURN_IF_ERROR(AskDevice(kKernel, id, &known[id]));
  }
  *device = known[id];
  return cudaSuccess;
}

template <typename T, int kWidth, bool kSilu>
struct ForwardVariant {
  static constexpr auto kKernel = &ForwardKernel<T, kWidth, kSilu>;
  static constexpr KernelShape kShape = {
      sizeof(T), kWidth, 1, sizeof(Moments<kWidth>) / sizeof(float), 2, 4};
  static int PartialFloats(const Geometry& g) { return 2 * g.slab_groups; }
  static int64_t ImageFloats(const Geometry&) { return 0; }
};

template <typename T, int kWidth, bool kSilu>
struct BackwardVariant {
  static constexpr auto kKernel = &BackwardKernel<T, kWidth, kSilu>;
  static constexpr KernelShape kShape = {
      sizeof(T), kWidth, 2, sizeof(Sums<kWidth>) / sizeof(float), 2, 2};
  static int PartialFloats(const Geometry& g) {
    return 3 * g.slab_groups * g.group_channels + 2 * g.slab_groups;
  }
  static int64_t ImageFloats(const Geometry& g) { return g.batch * g.channels; }
};

// Calls `call` with an instance of the variant for the problem. `packed`: accesses of
// 16 bytes instead of one value.
template <template <typename, int, bool> class Variant, typename T, typename Call>
cudaError_t WithValue(bool packed, bool silu, const Call& call) {
  constexpr int kWidth = 16 / sizeof(T);
  if (packed && silu) return call(Variant<T, kWidth, true>());
  if (packed) return call(Variant<T, kWidth, false>());
  if (silu) return call(Variant<T, 1, true>());
  return call(Variant<T, 1, false>());
}

template <template <typename, int, bool> class Variant, typename Call>
cudaError_t WithVariant(const Problem& problem, bool packed, const Call& call) {
  switch (problem.dtype) {
    case DType::kFloat32:
      return WithValue<Variant, float>(packed, problem.silu, call);
    case DType::kBFloat16:
      return WithValue<Variant, __nv_bfloat16>(packed, problem.silu, call);
    case DType::kFloat16:
      return WithValue<Variant, __half>(packed, problem.silu, call);
  }
  return cudaErrorInvalidValue;
}

bool RowsArePacked(const Problem& problem) {
  const int bytes = problem.dtype == DType::kFloat32 ? 4 : 2;
  return problem.channels * bytes % kPackBytes == 0;
}

bool IsAligned(const void* pointer) {
  return reinterpret_cast<uintptr_t>(pointer) % kPackBytes == 0;
}

bool IsEmpty(const Problem& problem) {
  return problem.batch == 0 || problem.channels == 0;
}

// Kernels count positions of an image, channels and groups of all images as int.
bool IsValid(const Problem& problem) {
  constexpr int64_t kMost = std::numeric_limits<int>::max() / 2;
  return problem.batch >= 0 && problem.positions >= 0 && problem.groups > 0 &&
         problem.channels % problem.groups == 0 && problem.channels <= kMost &&
         problem.positions <= kMost && problem.batch <= kMost / problem.groups;
}

// Offsets of the parts of scratch, in bytes.
struct ScratchLayout {
  size_t arrivals_bytes;
  size_t partials;
  size_t dgamma;
  size_t dbeta;
  size_t total;
};

template <typename Variant>
ScratchLayout LayoutOf(const Geometry& g) {
  const auto aligned = [](int64_t words) {
    return static_cast<size_t>(CeilDiv(words * 4, 256) * 256);
  };
  ScratchLayout layout;
  layout.arrivals_bytes = g.team > 1 ? aligned(int64_t{g.teams} * kArrivalStride) : 0;
  layout.partials = layout.arrivals_bytes;
  const int64_t blocks = int64_t{g.teams} * g.team;
  layout.dgamma = layout.partials + aligned(blocks * 2 * Variant::PartialFloats(g));
  layout.dbeta = layout.dgamma + aligned(Variant::ImageFloats(g));
  layout.total = layout.dbeta + aligned(Variant::ImageFloats(g));
  return layout;
}

template <typename Variant>
cudaError_t PlanOf(const Problem& problem, Plan* plan) {
  Device device;
  TF_STUDENT_RETURN_IF_ERROR(DeviceOf<Variant::kKernel>(&device));
  *plan = MakePlan(problem, Variant::kShape, device);
  return cudaSuccess;
}

// Enough for both aligned and unaligned tensors. If the device cannot be queried, the
// launch reports the error.
template <template <typename, int, bool> class Variant>
size_t ScratchBytes(const Problem& problem) {
  size_t bytes = 256;
  if (!IsValid(problem) || IsEmpty(problem)) return bytes;
  for (bool packed : {false, true}) {
    if (packed && !RowsArePacked(problem)) continue;
    WithVariant<Variant>(problem, packed, [&](auto variant) {
      Plan plan;
      TF_STUDENT_RETURN_IF_ERROR(PlanOf<decltype(variant)>(problem, &plan));
      bytes = std::max(bytes, LayoutOf<decltype(variant)>(plan.geometry).total);
      return cudaSuccess;
    });
  }
  return bytes;
}

template <typename Kernel, typename Args>
cudaError_t Launch(Kernel* kernel, const Geometry& g, size_t shared_bytes,
                   cudaStream_t stream, Args args) {
  void* pointers[] = {&args};
  const dim3 grid(static_cast<unsigned>(g.team * g.teams));
  // Only a cooperative launch guarantees that all blocks of a team are resident.
  if (g.team > 1) {
    TF_STUDENT_RETURN_IF_ERROR(cudaMemsetAsync(
        args.scratch.arrivals, 0, g.teams * kArrivalStride * sizeof(unsigned), stream));
    return cudaLaunchCooperativeKernel(kernel, grid, dim3(kThreads), pointers,
                                       shared_bytes, stream);
  }
  return cudaLaunchKernel(kernel, grid, dim3(kThreads), pointers, shared_bytes, stream);
}

template <typename Variant>
Scratch ScratchOf(const Geometry& g, void* base) {
  const ScratchLayout layout = LayoutOf<Variant>(g);
  char* bytes = static_cast<char*>(base);
  return {reinterpret_cast<unsigned*>(bytes),
          reinterpret_cast<float*>(bytes + layout.partials),
          reinterpret_cast<float*>(bytes + layout.dgamma),
          reinterpret_cast<float*>(bytes + layout.dbeta)};
}

cudaError_t Zero(float* values, int64_t count, cudaStream_t stream) {
  return count == 0 ? cudaSuccess
                    : cudaMemsetAsync(values, 0, count * sizeof(float), stream);
}

cudaError_t AddImages(const Geometry& g, const Scratch& scratch, float* dgamma,
                      float* dbeta, cudaStream_t stream) {
  AddImagesArgs args = {g.batch,       g.channels, scratch.dgamma,
                        scratch.dbeta, dgamma,     dbeta};
  void* pointers[] = {&args};
  const dim3 grid(static_cast<unsigned>(CeilDiv(g.channels, kWarp)));
  return cudaLaunchKernel(&AddImagesKernel, grid, dim3(kThreads), pointers, 0, stream);
}

}  // namespace
}  // namespace gpu

size_t ForwardScratchBytes(const Problem& problem) {
  return gpu::ScratchBytes<gpu::ForwardVariant>(problem);
}

size_t BackwardScratchBytes(const Problem& problem) {
  return gpu::ScratchBytes<gpu::BackwardVariant>(problem);
}

int LaunchForward(void* stream, const Problem& problem, const void* x, const void* bias,
                  const float* gamma, const float* beta, void* y, float* mean,
                  float* rstd, void* scratch) {
  const auto queue = static_cast<cudaStream_t>(stream);
  if (!gpu::IsValid(problem)) return cudaErrorInvalidValue;
  if (gpu::IsEmpty(problem)) return cudaSuccess;
  const bool packed =
      gpu::RowsArePacked(problem) && gpu::IsAligned(x) && gpu::IsAligned(y);
  return gpu::WithVariant<gpu::ForwardVariant>(problem, packed, [&](auto variant) {
    using Variant = decltype(variant);
    gpu::Plan plan;
    TF_STUDENT_RETURN_IF_ERROR(gpu::PlanOf<Variant>(problem, &plan));
    const gpu::Geometry& g = plan.geometry;
    const gpu::ForwardArgs args = {
        g, gpu::ScratchOf<Variant>(g, scratch), x, bias, gamma, beta, y, mean, rstd};
    return gpu::Launch(Variant::kKernel, g, plan.shared_bytes, queue, args);
  });
}

int LaunchBackward(void* stream, const Problem& problem, const void* dy, const void* x,
                   const void* bias, const float* gamma, const float* beta,
                   const float* mean, const float* rstd, void* dx, void* dbias,
                   float* dgamma, float* dbeta, void* scratch) {
  const auto queue = static_cast<cudaStream_t>(stream);
  if (!gpu::IsValid(problem)) return cudaErrorInvalidValue;
  if (gpu::IsEmpty(problem)) {
    const int64_t images = problem.own_parameters ? problem.batch : 1;
    const int64_t parameters = images * problem.channels;
    TF_STUDENT_RETURN_IF_ERROR(gpu::Zero(dgamma, parameters, queue));
    return gpu::Zero(dbeta, parameters, queue);
  }
  const bool packed = gpu::RowsArePacked(problem) && gpu::IsAligned(x) &&
                      gpu::IsAligned(dy) && gpu::IsAligned(dx);
  return gpu::WithVariant<gpu::BackwardVariant>(problem, packed, [&](auto variant) {
    using Variant = decltype(variant);
    gpu::Plan plan;
    TF_STUDENT_RETURN_IF_ERROR(gpu::PlanOf<Variant>(problem, &plan));
    const gpu::Geometry& g = plan.geometry;
    gpu::BackwardArgs args = {g,    gpu::ScratchOf<Variant>(g, scratch),
                              dy,   x,
                              bias, gamma,
                              beta, mean,
                              rstd, dx,
                              dbias};
    if (problem.own_parameters) {
      args.scratch.dgamma = dgamma;
      args.scratch.dbeta = dbeta;
    }
    TF_STUDENT_RETURN_IF_ERROR(
        gpu::Launch(Variant::kKernel, g, plan.shared_bytes, queue, args));
    if (problem.own_parameters) return cudaSuccess;
    return gpu::AddImages(g, args.scratch, dgamma, dbeta, queue);
  });
}

}  // namespace tf_student
