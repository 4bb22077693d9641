// Shared by the forward and the backward kernel: the position of a thread, sums over a
// block, and the synchronisation of the blocks of a team.
#ifndef TF_STUDENT_CUDA_TEAMS_H_
#define TF_STUDENT_CUDA_TEAMS_H_

#include <cuda_runtime.h>

#include "custom_ops/group_norm_silu/cc/kernels/cuda_packs.h"
#include "custom_ops/group_norm_silu/cc/kernels/cuda_plan.h"

namespace tf_student {
namespace gpu {

constexpr int kWarp = 32;
constexpr int kWarps = kThreads / kWarp;

// Two special-function instructions, with an error of a few units in the last place.
// Subnormal intermediate results become zero: handling them would double the number of
// instructions.
TF_STUDENT_DEVICE float FastSigmoid(float z) {
#ifdef TF_STUDENT_EMULATED_CUDA
  return __fdividef(1.0f, 1.0f + __expf(-z));
#else
  constexpr float kLog2E = 1.44269504f;
  float power, sigmoid;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(power) : "f"(z * -kLog2E));
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(sigmoid) : "f"(1.0f + power));
  return sigmoid;
#endif
}

template <bool kSilu>
TF_STUDENT_DEVICE float Activate(float z) {
  return kSilu ? Silu(z, FastSigmoid(z)) : z;
}

template <bool kSilu>
TF_STUDENT_DEVICE float Slope(float z) {
  return kSilu ? SiluSlope(z, FastSigmoid(z)) : 1.0f;
}

// The share of one block of a team in an item.
struct Share {
  int64_t image;
  int rank;  // Index of the block in its team.
  int first_group, groups;
  int first_channel, channels;
  int begin;  // First position.
  int count;  // Positions.
};

// The first `longer` blocks of a team have one position more. No division: dividing
// whole numbers takes a GPU as long as dozens of additions.
TF_STUDENT_DEVICE int Begin(const Geometry& g, int rank) {
  return g.share * rank + min(rank, g.longer);
}

TF_STUDENT_DEVICE int Count(const Geometry& g, int rank) {
  return g.share + (rank < g.longer);
}

TF_STUDENT_DEVICE Share ShareOf(const Geometry& g, int item, int rank) {
  Share s;
  const int image = item / g.slabs;
  s.image = image;
  s.rank = rank;
  s.first_group = (item - image * g.slabs) * g.slab_groups;
  s.groups = min(g.slab_groups, g.groups - s.first_group);
  s.first_channel = s.first_group * g.group_channels;
  s.channels = s.groups * g.group_channels;
  s.begin = Begin(g, rank);
  s.count = Count(g, rank);
  return s;
}

// The rows of a thread for one pack of channels. A slab wider than a block is processed
// in chunks of g.lanes packs.
struct Strip {
  int channel;     // First channel of the pack, in the slab.
  int steps;       // Number of rows of this thread; 0 if it has no work.
  int64_t offset;  // Offset of the first value.
  int64_t stride;  // Distance between rows.
  int kept;        // The first `kept` rows stay in shared memory,
  int slot;        // beginning at this slot.
  int part;        // Rows of a group of copies; the same for all items.
};

// Rows are copied to shared memory in groups, so that the first ones can be read while
// the others are on their way.
constexpr int kCopyGroups = 4;

TF_STUDENT_DEVICE int Row(const Geometry& g) { return threadIdx.x / g.lanes; }
TF_STUDENT_DEVICE int Lane(const Geometry& g) { return threadIdx.x % g.lanes; }

template <int kWidth>
TF_STUDENT_DEVICE Strip StripOf(const Geometry& g, const Share& s, int chunk) {
  const int row = Row(g);
  const int column = chunk * g.lanes + Lane(g);
  // Rows that come before this one in the last pass have one more.
  const int passes = s.count / g.rows;
  const int rest = s.count - passes * g.rows;
  const int slots = passes + (rest > 0);
  Strip strip;
  strip.channel = column * kWidth;
  const bool works = row < g.rows && strip.channel < s.channels && row < s.count;
  strip.steps = works ? passes + (row < rest) : 0;
  strip.offset = (s.image * g.positions + s.begin + row) * g.channels +
                 s.first_channel + strip.channel;
  strip.stride = static_cast<int64_t>(g.rows) * g.channels;
  const int64_t slot = static_cast<int64_t>(chunk) * slots;
  strip.slot = static_cast<int>(slot < g.kept ? slot : g.kept);
  strip.kept = min(strip.steps, g.kept - strip.slot);
  strip.part = (min(slots, g.kept - strip.slot) + kCopyGroups - 1) / kCopyGroups;
  return strip;
}

// The groups of neighbouring channels, with one division.
struct GroupWalk {
  int group;
  int left;  // Channels of this group that follow.
  int size;

  TF_STUDENT_DEVICE GroupWalk(int channel, int group_channels)
      : group(channel / group_channels), size(group_channels) {
    left = size - 1 - (channel - group * size);
  }

  TF_STUDENT_DEVICE void Next() {
    const bool ends = left == 0;
    group += ends;
    left = ends ? size - 1 : left - 1;
  }
};

// Waits for a group of copies, which `kLater` groups of the same chunk follow. If there
// are several chunks, waits for all.
template <int kLater>
TF_STUDENT_DEVICE void WaitForGroup(bool single_chunk) {
  if (single_chunk) {
    WaitForCopies<kLater>();
  } else {
    WaitForCopies<0>();
  }
}

// A strip without rows.
TF_STUDENT_DEVICE Strip NoStrip() { return {0, 0, 0, 0, 0, 0, 0}; }

template <int kWidth>
TF_STUDENT_DEVICE int Chunks(const Geometry& g, const Share& s) {
  const int span = g.lanes * kWidth;
  return (s.channels + span - 1) / span;
}

// Sums over the rows of a block; the threads of row 0 hold the result.
template <typename State>
TF_STUDENT_DEVICE void ReduceRows(const Geometry& g, State& state, State* buffer) {
  const int row = Row(g);
  const int lane = Lane(g);
  for (int left = g.rows; left > 1;) {
    const int half = (left + 1) / 2;
    if (row >= half && row < left) buffer[(row - half) * g.lanes + lane] = state;
    __syncthreads();
    if (row < left - half) state.Merge(buffer[row * g.lanes + lane]);
    __syncthreads();
    left = half;
  }
}

TF_STUDENT_DEVICE float WarpSum(float x) {
#pragma unroll
  for (int mask = kWarp / 2; mask > 0; mask /= 2) {
    x += __shfl_xor_sync(0xffffffffu, x, mask);
  }
  return x;
}

// Waits for all blocks of the team; their earlier writes are then visible to __ldcg.
TF_STUDENT_DEVICE void TeamBarrier(unsigned* arrivals, unsigned expected) {
  __syncthreads();
  if (threadIdx.x == 0) {
    __threadfence();
    atomicAdd(arrivals, 1u);
    // Signed, so that the count can wrap around.
    while (static_cast<int>(*static_cast<volatile unsigned*>(arrivals) - expected) <
           0) {
      __nanosleep(32);
    }
    __threadfence();
  }
  __syncthreads();
}

// Far apart, so that teams do not compete for a cache line.
constexpr int kArrivalStride = 32;

struct Scratch {
  unsigned* arrivals;  // [teams, kArrivalStride], zero at the start.
  // [teams, 2, team, floats]. The second index is the parity of the round, because a
  // block can write for the next item while others still read for this one.
  float* partials;
  float* dgamma;  // [batch, channels]
  float* dbeta;   // [batch, channels]
};

// The number of floats that one block writes into the partials of its team.
struct Partials {
  float* base;
  int floats;
  TF_STUDENT_DEVICE float* Of(int rank) const {
    return base + static_cast<int64_t>(rank) * floats;
  }
};

TF_STUDENT_DEVICE Partials PartialsOf(const Geometry& g, const Scratch& scratch,
                                      int64_t team, unsigned round, int floats) {
  return {scratch.partials + (team * 2 + (round & 1)) * g.team * floats, floats};
}

TF_STUDENT_DEVICE unsigned char* SharedMemory() {
#ifdef TF_STUDENT_EMULATED_CUDA
  return emulated::SharedMemory();
#else
  extern __shared__ __align__(16) unsigned char shared_memory[];
  return shared_memory;
#endif
}

// The number of values in a group, but at least 1, because it is a divisor.
TF_STUDENT_DEVICE float GroupValues(const Geometry& g) {
  return max(1.0f, static_cast<float>(g.positions) * g.group_channels);
}

template <typename T>
TF_STUDENT_DEVICE float BiasAt(const void* bias, int64_t index) {
  return bias == nullptr ? 0.0f : ToFloat(static_cast<const T*>(bias)[index]);
}

// Where gamma and beta of a channel of the share are.
TF_STUDENT_DEVICE int64_t ParameterAt(const Geometry& g, const Share& s, int channel) {
  return int64_t{s.image} * g.parameter_stride + s.first_channel + channel;
}

}  // namespace gpu
}  // namespace tf_student

#endif  // TF_STUDENT_CUDA_TEAMS_H_
