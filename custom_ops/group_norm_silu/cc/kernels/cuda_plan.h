// Divides a problem for a CUDA launch. Plain host arithmetic, testable without a GPU.
//
// An *item* is a *slab* of one image: all positions of a few neighbouring groups. Its
// rows are a multiple of 16 bytes wide, if possible 128 bytes, so that every access has
// 16 bytes and uses whole cache lines. A *team* of blocks processes an item: each block
// reads its share of the positions once and keeps it in shared memory; after the team
// has exchanged partial sums, the block computes its results from there.
//
// A team communicates through global memory and can span the device. A cluster has only
// 16 blocks: a group of 256x256 images that is 16 bytes wide already takes 1 MB, so a
// cluster could hold slabs of at most 32 bytes, a quarter of a cache line. Rows that do
// not fit in shared memory are read a second time, the latest first: for slightly
// larger items they are still in the L2 cache; for much larger items this is the
// two-pass algorithm.
#ifndef TF_STUDENT_CUDA_PLAN_H_
#define TF_STUDENT_CUDA_PLAN_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>

#include "custom_ops/group_norm_silu/cc/kernels/group_norm_silu.h"

namespace tf_student {
namespace gpu {

constexpr int kThreads = 256;
// Two blocks share a multiprocessor, so that one team reads and writes while the other
// exchanges sums.
constexpr int kBlocksPerProcessor = 2;

struct Geometry {
  int64_t batch;
  int64_t positions;
  int share;   // Positions of a block,
  int longer;  // and one more in the first `longer` blocks of a team.
  int channels;
  int groups;
  int group_channels;
  int slab_groups;  // The last slab may have fewer.
  int slabs;
  int lanes;  // Packs of a row that a block processes at once.
  int rows;   // Rows that a block processes at once.
  int team;   // Blocks that share an item.
  int teams;
  int items;
  int kept;  // Packs of each tensor that a thread keeps in shared memory.
  float epsilon;
  int parameter_stride;  // Between images: their channels, or 0 if they share values.
};

struct Device {
  int blocks;     // Number of blocks that can be resident at once.
  size_t shared;  // Bytes of shared memory that a block may use.
};

struct Plan {
  Geometry geometry;
  size_t shared_bytes;
};

// The properties of a kernel that its plan depends on.
struct KernelShape {
  int value_bytes;     // Size of a value of x.
  int width;           // Values in a pack, the unit of access.
  int tensors;         // Number of tensors in shared memory: x, or x and dy.
  int state_floats;    // Partial sums of a thread for one pack of channels.
  int channel_floats;  // Block sums of a channel.
  int group_floats;    // Block sums of a group.
};

inline int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

// The smallest number of groups that consists of whole packs.
inline int UnitGroups(int group_channels, int width) {
  return width / std::gcd(group_channels, width);
}

inline int SlabGroups(const Geometry& g, const KernelShape& kernel, int64_t bytes) {
  const int64_t unit = UnitGroups(g.group_channels, kernel.width);
  const int64_t unit_bytes = unit * g.group_channels * kernel.value_bytes;
  return static_cast<int>(
      std::min<int64_t>(g.groups, unit * std::max<int64_t>(1, bytes / unit_bytes)));
}

inline int64_t ItemBytes(const Geometry& g, const KernelShape& kernel,
                         int slab_groups) {
  return g.positions * slab_groups * g.group_channels * kernel.value_bytes *
         kernel.tensors;
}

// The widest slab that a block can keep, else the widest that the device can keep, else
// one cache line. Small images use wider slabs, to give a block enough work.
inline int ChooseSlabGroups(const Geometry& g, const KernelShape& kernel,
                            const Device& device) {
  constexpr int kLineBytes = 128;
  constexpr int kMaxSlabBytes = 1024;
  constexpr int64_t kSmallItem = 16 << 10;
  const int64_t block = device.shared * 7 / 8;
  for (int64_t fit : {block, block * device.blocks}) {
    for (int bytes = kLineBytes; bytes >= 32; bytes /= 2) {
      int groups = SlabGroups(g, kernel, bytes);
      if (ItemBytes(g, kernel, groups) > fit) continue;
      for (int wide = 2 * bytes; bytes == kLineBytes && wide <= kMaxSlabBytes;
           wide *= 2) {
        const int more = SlabGroups(g, kernel, wide);
        if (ItemBytes(g, kernel, more) > kSmallItem) break;
        if (g.batch * CeilDiv(g.groups, more) < 2 * device.blocks) break;
        groups = more;
      }
      return groups;
    }
  }
  return SlabGroups(g, kernel, kLineBytes);
}

// Shared memory in addition to the kept packs.
inline size_t WorkBytes(const Geometry& g, const KernelShape& kernel) {
  const size_t partners = static_cast<size_t>(g.rows / 2) * g.lanes;
  const size_t channels = static_cast<size_t>(g.lanes) * kernel.width;
  const size_t floats = partners * kernel.state_floats +
                        channels * kernel.channel_floats +
                        static_cast<size_t>(g.slab_groups) * kernel.group_floats;
  return (floats * sizeof(float) + 15) / 16 * 16;
}

// Blocks of a team, from the bytes of an item and those that a block can keep.
inline int ChooseTeam(const Geometry& g, const KernelShape& kernel,
                      const Device& device, int64_t item_bytes, int64_t block_bytes) {
  // A share smaller than this is not worth an exchange.
  constexpr int64_t kMinShare = 64 << 10;
  // If no block can keep an item, a quarter of it may come from the L2 cache, and with
  // two tensors half of it: two teams that work are faster than one that keeps
  // everything. Both values were measured on an H100.
  const int64_t cached = kernel.tensors > 1 ? block_bytes : block_bytes / 3;
  const int64_t reach = item_bytes > block_bytes ? block_bytes + cached : block_bytes;
  const int64_t needed = std::min<int64_t>(
      device.blocks, CeilDiv(item_bytes, std::max<int64_t>(1, reach)));
  const int64_t at_once = std::max<int64_t>(
      1, std::min<int64_t>(g.items, device.blocks / std::max<int64_t>(1, needed)));
  int64_t team = std::min(device.blocks / at_once, item_bytes / kMinShare);
  team = std::min(std::max(team, needed), g.positions);
  return static_cast<int>(std::max<int64_t>(1, team));
}

inline Plan MakePlan(const Problem& problem, const KernelShape& kernel,
                     const Device& device) {
  Plan plan = {};
  Geometry& g = plan.geometry;
  g.batch = problem.batch;
  g.positions = problem.positions;
  g.channels = static_cast<int>(problem.channels);
  g.groups = static_cast<int>(problem.groups);
  g.group_channels = static_cast<int>(GroupChannels(problem));
  g.epsilon = problem.epsilon;
  g.parameter_stride = static_cast<int>(ParameterStride(problem));
  g.slab_groups = ChooseSlabGroups(g, kernel, device);
  g.slabs = static_cast<int>(CeilDiv(g.groups, g.slab_groups));
  g.items = static_cast<int>(g.batch * g.slabs);
  const int columns = g.slab_groups * g.group_channels / kernel.width;
  g.lanes = std::min(columns, kThreads);
  g.rows = kThreads / g.lanes;
  const int64_t work = static_cast<int64_t>(WorkBytes(g, kernel));
  const int64_t pack = kThreads * kernel.width * kernel.value_bytes * kernel.tensors;
  const int64_t room =
      std::max<int64_t>(0, (static_cast<int64_t>(device.shared) - work) / pack);
  g.team = ChooseTeam(g, kernel, device, ItemBytes(g, kernel, g.slab_groups),
                      room * pack);
  // Blocks of a team wait for each other, so all of them must be resident. A single
  // block does not wait, but each team needs its own scratch.
  constexpr int kWaves = 8;
  g.teams =
      std::min(g.items, g.team > 1 ? device.blocks / g.team : device.blocks * kWaves);
  g.share = static_cast<int>(g.positions / g.team);
  g.longer = static_cast<int>(g.positions % g.team);
  const int64_t share = CeilDiv(g.positions, g.team);
  const int64_t packs = CeilDiv(share, g.rows) * CeilDiv(columns, g.lanes);
  g.kept = static_cast<int>(std::min(packs, room));
  plan.shared_bytes = static_cast<size_t>(work + g.kept * pack);
  return plan;
}

}  // namespace gpu
}  // namespace tf_student

#endif  // TF_STUDENT_CUDA_PLAN_H_
