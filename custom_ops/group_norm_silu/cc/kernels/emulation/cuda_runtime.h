// Emulates on the host the parts of CUDA that the kernels use, to check them without a
// GPU.
//
// Every thread is a fiber. Blocks run one after the other or, in a cooperative launch,
// all at once. With EMULATED_SEED, fibers run in a new order at every turn and blocks
// pause now and then, so that a missing barrier shows. New memory holds NaNs. The
// emulation does not show reorderings of the hardware's memory model, nor speed.
#ifndef TF_STUDENT_EMULATION_CUDA_RUNTIME_H_
#define TF_STUDENT_EMULATION_CUDA_RUNTIME_H_

#include <ucontext.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <vector>

#define TF_STUDENT_EMULATED_CUDA 1
#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __shared__ static

struct dim3 {
  unsigned x, y, z;
  explicit dim3(unsigned x = 1) : x(x), y(1), z(1) {}
};
struct float2 {
  float x, y;
};

namespace emulated {

constexpr unsigned kWarpThreads = 32;
constexpr size_t kStackBytes = 64 << 10;

// A barrier that counts arrivals; the last one opens it.
struct Barrier {
  unsigned waiting = 0;
  unsigned generation = 0;
};

struct Warp {
  Barrier barrier;
  float values[2][kWarpThreads];  // Used alternately, so that a shuffle needs one wait.
};

struct Block {
  unsigned index;
  unsigned alive;
  Barrier barrier;
  std::vector<Warp> warps;
  std::vector<uint64_t> shared;
  unsigned rest = 0;  // Turns to pause, so that blocks drift apart.
};

struct Fiber {
  ucontext_t context;
  std::unique_ptr<char[]> stack;
  Block* block;
  unsigned thread;
  bool done = false;
  unsigned shuffles = 0;
  const Barrier* blocked = nullptr;  // Runs again when this opens.
  unsigned generation = 0;           // Generation of the barrier at arrival.

  bool CanRun() const {
    return blocked == nullptr || blocked->generation != generation;
  }
};

// Stacks of fibers that have ended.
inline std::vector<std::unique_ptr<char[]>> stacks;

inline ucontext_t scheduler;
inline Fiber* current = nullptr;
inline std::function<void()> kernel;

inline long Setting(const char* name, long otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::atol(text);
}

}  // namespace emulated

inline dim3 threadIdx;
inline dim3 blockIdx;

namespace emulated {

inline void Yield() { swapcontext(&current->context, &scheduler); }

inline void Wait(Barrier& barrier, unsigned expected) {
  if (++barrier.waiting >= expected) {
    barrier.waiting = 0;
    ++barrier.generation;
    return;
  }
  current->blocked = &barrier;
  current->generation = barrier.generation;
  Yield();
  current->blocked = nullptr;
}

inline void RunFiber() {
  kernel();
  Fiber* fiber = current;
  Block& block = *fiber->block;
  fiber->done = true;
  --block.alive;
  if (block.alive > 0 && block.barrier.waiting == block.alive) {
    block.barrier.waiting = 0;
    ++block.barrier.generation;
  }
  swapcontext(&fiber->context, &scheduler);
}

inline void Resume(Fiber& fiber) {
  current = &fiber;
  threadIdx.x = fiber.thread;
  blockIdx.x = fiber.block->index;
  swapcontext(&scheduler, &fiber.context);
}

inline void AddBlock(unsigned index, unsigned threads, size_t shared_bytes,
                     std::vector<std::unique_ptr<Block>>& blocks,
                     std::vector<std::unique_ptr<Fiber>>& fibers) {
  auto block = std::make_unique<Block>();
  block->index = index;
  block->alive = threads;
  block->warps.resize(threads / kWarpThreads);
  block->shared.assign((shared_bytes + 7) / 8, ~uint64_t{0});
  for (unsigned thread = 0; thread < threads; ++thread) {
    auto fiber = std::make_unique<Fiber>();
    if (stacks.empty()) stacks.emplace_back(new char[kStackBytes]);
    fiber->stack = std::move(stacks.back());
    stacks.pop_back();
    fiber->block = block.get();
    fiber->thread = thread;
    getcontext(&fiber->context);
    fiber->context.uc_stack.ss_sp = fiber->stack.get();
    fiber->context.uc_stack.ss_size = kStackBytes;
    fiber->context.uc_link = nullptr;
    makecontext(&fiber->context, RunFiber, 0);
    fibers.push_back(std::move(fiber));
  }
  blocks.push_back(std::move(block));
}

inline void RunBlocks(unsigned first, unsigned last, unsigned threads,
                      size_t shared_bytes) {
  static std::mt19937 random(static_cast<unsigned>(Setting("EMULATED_SEED", 0)));
  std::vector<std::unique_ptr<Block>> blocks;
  std::vector<std::unique_ptr<Fiber>> fibers;
  for (unsigned index = first; index < last; ++index) {
    AddBlock(index, threads, shared_bytes, blocks, fibers);
  }
  const bool shuffled = Setting("EMULATED_SEED", 0) != 0;
  while (!fibers.empty()) {
    if (shuffled) std::shuffle(fibers.begin(), fibers.end(), random);
    for (auto& block : blocks) {
      if (block->rest > 0) {
        --block->rest;
      } else if (shuffled && blocks.size() > 1 && random() % 16 == 0) {
        block->rest = random() % 64;
      }
    }
    for (auto& fiber : fibers) {
      if (fiber->block->rest > 0) continue;
      if (fiber->CanRun()) Resume(*fiber);
    }
    const auto ended = std::partition(fibers.begin(), fibers.end(),
                                      [](const auto& fiber) { return !fiber->done; });
    for (auto it = ended; it != fibers.end(); ++it) {
      stacks.push_back(std::move((*it)->stack));
    }
    fibers.erase(ended, fibers.end());
  }
}

inline unsigned char* SharedMemory() {
  return reinterpret_cast<unsigned char*>(current->block->shared.data());
}

}  // namespace emulated

inline void __syncthreads() {
  emulated::Block& block = *emulated::current->block;
  emulated::Wait(block.barrier, block.alive);
}

inline float __shfl_xor_sync(unsigned, float value, int mask) {
  const unsigned thread = emulated::current->thread;
  emulated::Warp& warp =
      emulated::current->block->warps[thread / emulated::kWarpThreads];
  const unsigned lane = thread % emulated::kWarpThreads;
  float* values = warp.values[emulated::current->shuffles++ % 2];
  values[lane] = value;
  emulated::Wait(warp.barrier, emulated::kWarpThreads);
  return values[lane ^ static_cast<unsigned>(mask)];
}

inline void __threadfence() {}
inline void __nanosleep(unsigned) { emulated::Yield(); }
inline unsigned atomicAdd(unsigned* to, unsigned value) {
  const unsigned before = *to;
  *to += value;
  return before;
}
inline float __ldcg(const float* from) { return *from; }
inline float __expf(float x) { return std::exp(x); }
inline float __fdividef(float a, float b) { return a / b; }
inline float __uint_as_float(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}
inline uint32_t __float_as_uint(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  return bits;
}
using std::max;
using std::min;

// ---- The runtime API.

using cudaStream_t = struct EmulatedStream*;
using cudaEvent_t = struct EmulatedEvent*;
enum cudaError_t {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorMemoryAllocation = 2,
  cudaErrorNoDevice = 100,
  cudaErrorLaunchOutOfResources = 701,
  cudaErrorCooperativeLaunchTooLarge = 720
};
enum cudaDeviceAttr {
  cudaDevAttrMultiProcessorCount,
  cudaDevAttrMaxSharedMemoryPerMultiprocessor,
  cudaDevAttrReservedSharedMemoryPerBlock,
  cudaDevAttrMaxSharedMemoryPerBlockOptin
};
enum cudaFuncAttribute {
  cudaFuncAttributeMaxDynamicSharedMemorySize,
  cudaFuncAttributePreferredSharedMemoryCarveout
};
enum cudaMemcpyKind {
  cudaMemcpyHostToDevice,
  cudaMemcpyDeviceToHost,
  cudaMemcpyDeviceToDevice
};
struct cudaDeviceProp {
  char name[64];
};

namespace emulated {
inline int Processors() { return static_cast<int>(Setting("EMULATED_PROCESSORS", 2)); }
inline int SharedBytes() { return static_cast<int>(Setting("EMULATED_SHARED", 49152)); }
constexpr int kReserved = 1024;
constexpr int kBlocksPerProcessor = 2;
}  // namespace emulated

inline const char* cudaGetErrorString(cudaError_t) { return "emulated CUDA error"; }
inline cudaError_t cudaGetLastError() { return cudaSuccess; }
inline cudaError_t cudaGetDevice(int* id) { return *id = 0, cudaSuccess; }
inline cudaError_t cudaGetDeviceCount(int* count) { return *count = 1, cudaSuccess; }
inline cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  std::snprintf(properties->name, sizeof(properties->name), "host emulation");
  return cudaSuccess;
}
inline cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
  const int per_block = emulated::SharedBytes();
  switch (attribute) {
    case cudaDevAttrMultiProcessorCount:
      return *value = emulated::Processors(), cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
      *value = emulated::kBlocksPerProcessor * (per_block + emulated::kReserved);
      return cudaSuccess;
    case cudaDevAttrReservedSharedMemoryPerBlock:
      return *value = emulated::kReserved, cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      return *value = per_block, cudaSuccess;
  }
  return cudaErrorInvalidValue;
}
template <typename Kernel>
cudaError_t cudaFuncSetAttribute(Kernel*, cudaFuncAttribute, int) {
  return cudaSuccess;
}
template <typename Kernel>
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, Kernel*, int,
                                                          size_t) {
  return *blocks = emulated::kBlocksPerProcessor, cudaSuccess;
}

template <typename Args>
cudaError_t cudaLaunchKernel(void (*kernel)(Args), dim3 grid, dim3 block, void** args,
                             size_t shared_bytes, cudaStream_t) {
  if (shared_bytes > static_cast<size_t>(emulated::SharedBytes())) {
    return cudaErrorInvalidValue;
  }
  emulated::kernel = [=] { kernel(*static_cast<std::remove_const_t<Args>*>(args[0])); };
  for (unsigned i = 0; i < grid.x; ++i) {
    emulated::RunBlocks(i, i + 1, block.x, shared_bytes);
  }
  return cudaSuccess;
}

template <typename Args>
cudaError_t cudaLaunchCooperativeKernel(void (*kernel)(Args), dim3 grid, dim3 block,
                                        void** args, size_t shared_bytes,
                                        cudaStream_t) {
  const int resident = emulated::Processors() * emulated::kBlocksPerProcessor;
  if (static_cast<int>(grid.x) > resident) return cudaErrorCooperativeLaunchTooLarge;
  if (shared_bytes > static_cast<size_t>(emulated::SharedBytes())) {
    return cudaErrorInvalidValue;
  }
  emulated::kernel = [=] { kernel(*static_cast<std::remove_const_t<Args>*>(args[0])); };
  emulated::RunBlocks(0, grid.x, block.x, shared_bytes);
  return cudaSuccess;
}

inline cudaError_t cudaMalloc(void** memory, size_t bytes) {
  *memory = std::malloc(bytes);
  if (*memory == nullptr) return cudaErrorMemoryAllocation;
  std::memset(*memory, 0xff, bytes);
  return cudaSuccess;
}
inline cudaError_t cudaFree(void* memory) { return std::free(memory), cudaSuccess; }
inline cudaError_t cudaMemset(void* to, int value, size_t bytes) {
  return std::memset(to, value, bytes), cudaSuccess;
}
inline cudaError_t cudaMemsetAsync(void* to, int value, size_t bytes, cudaStream_t) {
  return cudaMemset(to, value, bytes);
}
inline cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes,
                              cudaMemcpyKind) {
  if (bytes > 0) std::memcpy(to, from, bytes);
  return cudaSuccess;
}
inline cudaError_t cudaDeviceSynchronize() { return cudaSuccess; }

#endif  // TF_STUDENT_EMULATION_CUDA_RUNTIME_H_
