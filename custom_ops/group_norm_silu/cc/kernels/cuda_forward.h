// The forward kernel. The order of every sum depends only on the shapes.
#ifndef TF_STUDENT_CUDA_FORWARD_H_
#define TF_STUDENT_CUDA_FORWARD_H_

#include "custom_ops/group_norm_silu/cc/kernels/cuda_teams.h"

namespace tf_student {
namespace gpu {

struct ForwardArgs {
  Geometry geometry;
  Scratch scratch;
  const void* x;
  const void* bias;
  const float* gamma;
  const float* beta;
  void* y;
  float* mean;
  float* rstd;
};

// Rows that a thread processes at once, as many as the registers allow: a pack of eight
// channels needs twice as many sums as a pack of four.
template <int kWidth>
constexpr int kForwardUnroll = kWidth > 4 ? 2 : 4;

// Number, mean and sum of squared deviations of some values, for each channel.
template <int kWidth>
struct Moments {
  float count;
  float mean[kWidth];
  float m2[kWidth];

  // Chan, Golub and LeVeque (1979), eq. 2.1: no cancellation.
  TF_STUDENT_DEVICE void Merge(const Moments& other) {
    if (other.count == 0.0f) return;
    const float total = count + other.count;
    const float part = other.count / total;
#pragma unroll
    for (int i = 0; i < kWidth; ++i) {
      const float difference = other.mean[i] - mean[i];
      mean[i] += difference * part;
      m2[i] += other.m2[i] + difference * difference * count * part;
    }
    count = total;
  }
};

// Statistics are those of d = v - pivot, where the pivot is a value of the group. If
// the deviation is much smaller than the mean, rounding v would lose it, but x -
// x_pivot is exact.
struct ForwardGroup {
  float x_pivot;
  float bias_pivot;
  float mean;  // Mean of d.
  float m2;    // Sum of squared deviations; later 1 / deviation.
};

template <int kWidth>
struct ForwardShared {
  Moments<kWidth>* states;
  float* mean;  // [lanes * kWidth], for the channels of the chunk.
  float* m2;
  ForwardGroup* groups;
};

template <typename T, int kWidth>
TF_STUDENT_DEVICE ForwardShared<kWidth> CarveForward(const Geometry& g) {
  ForwardShared<kWidth> shared;
  auto* next =
      SharedMemory() + static_cast<size_t>(g.kept) * kThreads * sizeof(Pack<T, kWidth>);
  shared.states = reinterpret_cast<Moments<kWidth>*>(next);
  shared.mean = reinterpret_cast<float*>(shared.states + g.rows / 2 * g.lanes);
  shared.m2 = shared.mean + g.lanes * kWidth;
  shared.groups = reinterpret_cast<ForwardGroup*>(shared.m2 + g.lanes * kWidth);
  return shared;
}

template <typename T>
TF_STUDENT_DEVICE void StartGroups(const ForwardArgs& a, const Share& s,
                                   ForwardGroup* groups) {
  const Geometry& g = a.geometry;
  for (int i = threadIdx.x; i < s.groups; i += kThreads) {
    const int channel = s.first_channel + i * g.group_channels;
    const auto* image = static_cast<const T*>(a.x) + s.image * g.positions * g.channels;
    const bool any = g.positions > 0;
    groups[i].x_pivot = any ? ToFloat(image[channel]) : 0.0f;
    groups[i].bias_pivot =
        any ? BiasAt<T>(a.bias, s.image * g.channels + channel) : 0.0f;
    groups[i].mean = 0.0f;
    groups[i].m2 = 0.0f;
  }
}

// Adds differences from the pivots, and their squares.
template <typename T, int kWidth>
TF_STUDENT_DEVICE void AddPack(const Pack<T, kWidth>& pack,
                               const float (&pivot)[kWidth], Moments<kWidth>& m) {
  float values[kWidth];
  Unpack(pack, values);
#pragma unroll
  for (int i = 0; i < kWidth; ++i) {
    const float d = values[i] - pivot[i];
    m.mean[i] += d;
    m.m2[i] += d * d;
  }
}

// Starts to copy one group of the rows of a thread.
template <typename T, int kWidth>
TF_STUDENT_DEVICE void CopyForward(const T* x, const Strip& strip, int begin, int end,
                                   Pack<T, kWidth>* kept) {
  const T* from = x + strip.offset + begin * strip.stride;
  for (int step = begin; step < min(end, strip.kept); ++step, from += strip.stride) {
    CopyAsync(kept + step * kThreads,
              reinterpret_cast<const Pack<T, kWidth>*>(from));
  }
}

// Starts to copy the first item of a block.
template <typename T, int kWidth>
TF_STUDENT_DEVICE void StartForward(const ForwardArgs& a, const Share& s) {
  const Geometry& g = a.geometry;
  auto* kept = reinterpret_cast<Pack<T, kWidth>*>(SharedMemory()) + threadIdx.x;
  for (int chunk = 0; chunk < Chunks<kWidth>(g, s); ++chunk) {
    const Strip strip = StripOf<kWidth>(g, s, chunk);
    for (int group = 0; group < kCopyGroups; ++group) {
      CopyForward<T, kWidth>(static_cast<const T*>(a.x), strip, group * strip.part,
                             (group + 1) * strip.part, kept + strip.slot * kThreads);
      CommitCopies();
    }
  }
}

// Adds one group of kept rows.
template <int kLater, typename T, int kWidth>
TF_STUDENT_DEVICE void AddKept(const Strip& strip, bool single_chunk,
                               const Pack<T, kWidth>* kept, float (&pivot)[kWidth],
                               Moments<kWidth>& m) {
  constexpr int kGroup = kCopyGroups - 1 - kLater;
  WaitForGroup<kLater>(single_chunk);
  const int begin = kGroup * strip.part;
  const int end = min(begin + strip.part, strip.kept);
  if (kGroup == 0 && strip.kept > 0) Unpack(kept[0], pivot);
#pragma unroll(kForwardUnroll<kWidth>)
  for (int step = begin; step < end; ++step) AddPack(kept[step * kThreads], pivot, m);
}

// Reads the rows of a thread, first the kept ones, and returns the moments of x. Sums
// are of differences from the first row of the thread. That row is one of the values,
// so rounding costs at most about `steps` units in the last place of m2.
template <typename T, int kWidth>
TF_STUDENT_DEVICE Moments<kWidth> ReadMoments(const T* x, const Strip& strip,
                                              bool single_chunk,
                                              const Pack<T, kWidth>* kept,
                                              float (&pivot)[kWidth]) {
  using P = Pack<T, kWidth>;
  constexpr int kUnroll = kForwardUnroll<kWidth>;
  static_assert(kCopyGroups == 4);
  Moments<kWidth> m;
#pragma unroll
  for (int i = 0; i < kWidth; ++i) m.mean[i] = m.m2[i] = pivot[i] = 0.0f;
  AddKept<3>(strip, single_chunk, kept, pivot, m);
  AddKept<2>(strip, single_chunk, kept, pivot, m);
  AddKept<1>(strip, single_chunk, kept, pivot, m);
  AddKept<0>(strip, single_chunk, kept, pivot, m);
  const T* from = x + strip.offset + strip.kept * strip.stride;
  if (strip.kept == 0 && strip.steps > 0) {
    Unpack(*reinterpret_cast<const P*>(from), pivot);
  }
  for (int step = strip.kept; step < strip.steps; step += kUnroll) {
    P packs[kUnroll];
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) {
      if (step + u < strip.steps) {
        packs[u] = *reinterpret_cast<const P*>(from + u * strip.stride);
      }
    }
    from += kUnroll * strip.stride;
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) {
      if (step + u < strip.steps) AddPack(packs[u], pivot, m);
    }
  }
  m.count = static_cast<float>(strip.steps);
  const float scale = strip.steps > 0 ? 1.0f / m.count : 0.0f;
#pragma unroll
  for (int i = 0; i < kWidth; ++i) {
    const float sum = m.mean[i];
    m.mean[i] = sum * scale;
    const float m2 = m.m2[i] - sum * m.mean[i];
    m.m2[i] = m2 < 0.0f ? 0.0f : m2;  // NaN stays NaN.
  }
  return m;
}

// Converts moments of x around the pivot of a thread to moments of d around the pivot
// of the group.
template <typename T, int kWidth>
TF_STUDENT_DEVICE void ShiftMeans(const ForwardArgs& a, const Share& s, int channel,
                                  const ForwardGroup* groups,
                                  const float (&pivot)[kWidth], Moments<kWidth>& m) {
  GroupWalk walk(channel, a.geometry.group_channels);
#pragma unroll
  for (int i = 0; i < kWidth; ++i) {
    const ForwardGroup& group = groups[walk.group];
    const int64_t index = s.image * a.geometry.channels + s.first_channel + channel + i;
    const float bias = BiasAt<T>(a.bias, index) - group.bias_pivot;
    m.mean[i] += (pivot[i] - group.x_pivot) + bias;
    walk.Next();
  }
}

// Merges `count` values around `mean` into a group of `before` values.
TF_STUDENT_DEVICE void MergeGroup(ForwardGroup& group, float before, float count,
                                  float mean, float m2) {
  const float part = count / (before + count);
  const float difference = mean - group.mean;
  group.mean += difference * part;
  group.m2 += m2 + difference * difference * before * part;
}

// A warp merges the channels of a group in this chunk, which have equal counts.
template <int kWidth>
TF_STUDENT_DEVICE void MergeChannels(const Geometry& g, const Share& s, int chunk,
                                     const ForwardShared<kWidth>& shared) {
  const int span = g.lanes * kWidth;
  const int lane = threadIdx.x % kWarp;
  const float rows = static_cast<float>(s.count);
  for (int i = threadIdx.x / kWarp; i < s.groups; i += kWarps) {
    const int first = i * g.group_channels;
    const int begin = max(first, chunk * span);
    const int end = min(first + g.group_channels, (chunk + 1) * span);
    if (begin >= end || s.count == 0) continue;
    float mean = 0.0f;
    for (int c = begin + lane; c < end; c += kWarp)
      mean += shared.mean[c - chunk * span];
    mean = WarpSum(mean) / static_cast<float>(end - begin);
    float m2 = 0.0f;
    for (int c = begin + lane; c < end; c += kWarp) {
      const float difference = shared.mean[c - chunk * span] - mean;
      m2 += shared.m2[c - chunk * span] + rows * difference * difference;
    }
    m2 = WarpSum(m2);
    if (lane == 0) {
      MergeGroup(shared.groups[i], rows * static_cast<float>(begin - first),
                 rows * static_cast<float>(end - begin), mean, m2);
    }
  }
}

template <typename T, int kWidth>
TF_STUDENT_DEVICE void MeasureShare(const ForwardArgs& a, const Share& s,
                                    const ForwardShared<kWidth>& shared) {
  const Geometry& g = a.geometry;
  auto* kept = reinterpret_cast<Pack<T, kWidth>*>(SharedMemory()) + threadIdx.x;
  StartGroups<T>(a, s, shared.groups);
  for (int chunk = 0; chunk < Chunks<kWidth>(g, s); ++chunk) {
    const Strip strip = StripOf<kWidth>(g, s, chunk);
    float pivot[kWidth];
    Moments<kWidth> m = ReadMoments<T, kWidth>(
        static_cast<const T*>(a.x), strip, Chunks<kWidth>(g, s) == 1,
        kept + strip.slot * kThreads, pivot);
    __syncthreads();  // The pivots are written and the last chunk is merged.
    if (strip.steps > 0) {
      ShiftMeans<T, kWidth>(a, s, strip.channel, shared.groups, pivot, m);
    }
    ReduceRows(g, m, shared.states);
    if (Row(g) == 0) {
#pragma unroll
      for (int i = 0; i < kWidth; ++i) {
        shared.mean[Lane(g) * kWidth + i] = m.mean[i];
        shared.m2[Lane(g) * kWidth + i] = m.m2[i];
      }
    }
    __syncthreads();
    MergeChannels<kWidth>(g, s, chunk, shared);
  }
  __syncthreads();
}

// Replaces the moments of each block by those of the team.
TF_STUDENT_DEVICE void ExchangeMoments(const Geometry& g, const Share& s,
                                       const Partials& partials, unsigned* arrivals,
                                       unsigned expected, ForwardGroup* groups) {
  float* mine = partials.Of(s.rank);
  for (int i = threadIdx.x; i < s.groups; i += kThreads) {
    mine[2 * i] = groups[i].mean;
    mine[2 * i + 1] = groups[i].m2;
  }
  TeamBarrier(arrivals, expected);
  const int lane = threadIdx.x % kWarp;
  const float total = static_cast<float>(g.positions);
  for (int i = threadIdx.x / kWarp; i < s.groups; i += kWarps) {
    float mean = 0.0f;
    for (int rank = lane; rank < g.team; rank += kWarp) {
      mean += __ldcg(partials.Of(rank) + 2 * i) *
              (static_cast<float>(Count(g, rank)) / total);
    }
    mean = WarpSum(mean);
    float m2 = 0.0f;
    for (int rank = lane; rank < g.team; rank += kWarp) {
      const float difference = __ldcg(partials.Of(rank) + 2 * i) - mean;
      const float count = static_cast<float>(Count(g, rank)) * g.group_channels;
      m2 += __ldcg(partials.Of(rank) + 2 * i + 1) + count * difference * difference;
    }
    m2 = WarpSum(m2);
    if (lane == 0) {
      groups[i].mean = mean;
      groups[i].m2 = m2;
    }
  }
  __syncthreads();
}

TF_STUDENT_DEVICE void FinishStatistics(const ForwardArgs& a, const Share& s,
                                        ForwardGroup* groups) {
  const Geometry& g = a.geometry;
  const float size = GroupValues(g);
  for (int i = threadIdx.x; i < s.groups; i += kThreads) {
    ForwardGroup& group = groups[i];
    group.m2 = 1.0f / sqrtf(group.m2 / size + g.epsilon);
    if (s.rank == 0) {
      const int64_t index = s.image * g.groups + s.first_group + i;
      a.mean[index] = static_cast<float>(static_cast<double>(group.x_pivot) +
                                         group.bias_pivot + group.mean);
      a.rstd[index] = group.m2;
    }
  }
  __syncthreads();
}

// y = act(scale * (x - pivot) + shift).
template <int kWidth>
struct ForwardTerms {
  float pivot[kWidth];
  float scale[kWidth];
  float shift[kWidth];
};

template <typename T, int kWidth>
TF_STUDENT_DEVICE ForwardTerms<kWidth> ForwardTermsOf(const ForwardArgs& a,
                                                      const Share& s, int channel,
                                                      const ForwardGroup* groups) {
  ForwardTerms<kWidth> terms;
  GroupWalk walk(channel, a.geometry.group_channels);
#pragma unroll
  for (int i = 0; i < kWidth; ++i) {
    const ForwardGroup& group = groups[walk.group];
    const int c = s.first_channel + channel + i;
    const float bias = BiasAt<T>(a.bias, s.image * a.geometry.channels + c);
    terms.pivot[i] = group.x_pivot;
    const int64_t at = ParameterAt(a.geometry, s, channel + i);
    terms.scale[i] = a.gamma[at] * group.m2;
    terms.shift[i] =
        a.beta[at] + terms.scale[i] * ((bias - group.bias_pivot) - group.mean);
    walk.Next();
  }
  return terms;
}

template <typename T, int kWidth, bool kSilu>
TF_STUDENT_DEVICE Pack<T, kWidth> ForwardPack(const Pack<T, kWidth>& x,
                                              const ForwardTerms<kWidth>& terms) {
  float values[kWidth];
  Unpack(x, values);
#pragma unroll
  for (int i = 0; i < kWidth; ++i) {
    const float d = values[i] - terms.pivot[i];
    values[i] = Activate<kSilu>(terms.scale[i] * d + terms.shift[i]);
  }
  Pack<T, kWidth> y;
  FillPack(values, &y);
  return y;
}

// Writes the results of one group of kept rows, and starts to copy the rows of the next
// item in their place.
template <typename T, int kWidth, bool kSilu>
TF_STUDENT_DEVICE void WriteKept(const T* x, T* y, const Strip& strip,
                                 const Strip& next, int group, Pack<T, kWidth>* kept,
                                 const ForwardTerms<kWidth>& terms) {
  using P = Pack<T, kWidth>;
  constexpr int kUnroll = kForwardUnroll<kWidth>;
  const int begin = group * strip.part;
  const int end = min(begin + strip.part, strip.kept);
  T* to = y + strip.offset + begin * strip.stride;
  for (int step = begin; step < end; step += kUnroll) {
    P packs[kUnroll];
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) {
      if (step + u < end) packs[u] = kept[(step + u) * kThreads];
    }
    CopyForward<T, kWidth>(x, next, step, min(step + kUnroll, end), kept);
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) {
      if (step + u < end) {
        *reinterpret_cast<P*>(to) = ForwardPack<T, kWidth, kSilu>(packs[u], terms);
      }
      to += strip.stride;
    }
  }
}

template <typename T, int kWidth, bool kSilu>
TF_STUDENT_DEVICE void WriteStrip(const T* x, T* y, const Strip& strip,
                                  const Strip& next, Pack<T, kWidth>* kept,
                                  const ForwardTerms<kWidth>& terms) {
  using P = Pack<T, kWidth>;
  constexpr int kUnroll = kForwardUnroll<kWidth>;
  // In reverse order: the rows that were read last are still in the L2 cache.
  for (int step = strip.kept; step < strip.steps; step += kUnroll) {
    P packs[kUnroll];
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) {
      if (step + u < strip.steps) {
        packs[u] =
            *reinterpret_cast<const P*>(x + strip.offset + (step + u) * strip.stride);
      }
    }
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) {
      if (step + u < strip.steps) {
        *reinterpret_cast<P*>(y + strip.offset + (step + u) * strip.stride) =
            ForwardPack<T, kWidth, kSilu>(packs[u], terms);
      }
    }
  }
  for (int group = 0; group < kCopyGroups; ++group) {
    WriteKept<T, kWidth, kSilu>(x, y, strip, next, group, kept, terms);
    // The next item may have more rows here, if this one is narrower.
    CopyForward<T, kWidth>(x, next, max(group * next.part, strip.kept),
                           (group + 1) * next.part, kept);
    CommitCopies();
  }
}

// Writes the results of a share, and starts to copy that of the next item.
template <typename T, int kWidth, bool kSilu>
TF_STUDENT_DEVICE void WriteShare(const ForwardArgs& a, const Share& s,
                                  const Share& next, bool more,
                                  const ForwardGroup* groups) {
  const Geometry& g = a.geometry;
  auto* kept = reinterpret_cast<Pack<T, kWidth>*>(SharedMemory()) + threadIdx.x;
  const int chunks = Chunks<kWidth>(g, s);
  const int next_chunks = more ? Chunks<kWidth>(g, next) : 0;
  for (int chunk = 0; chunk < max(chunks, next_chunks); ++chunk) {
    const Strip ahead =
        chunk < next_chunks ? StripOf<kWidth>(g, next, chunk) : NoStrip();
    Strip strip = NoStrip();
    if (chunk < chunks) strip = StripOf<kWidth>(g, s, chunk);
    ForwardTerms<kWidth> terms;
    if (strip.steps > 0) {
      terms = ForwardTermsOf<T, kWidth>(a, s, strip.channel, groups);
    }
    const int slot = chunk < chunks ? strip.slot : ahead.slot;
    WriteStrip<T, kWidth, kSilu>(static_cast<const T*>(a.x), static_cast<T*>(a.y),
                                 strip, ahead, kept + slot * kThreads, terms);
  }
}

template <typename T, int kWidth, bool kSilu>
__global__ void __launch_bounds__(kThreads, kBlocksPerProcessor)
    ForwardKernel(const ForwardArgs a) {
  const Geometry& g = a.geometry;
  const ForwardShared<kWidth> shared = CarveForward<T, kWidth>(g);
  const int team = blockIdx.x / g.team;
  const int rank = blockIdx.x - team * g.team;
  unsigned round = 0;
  Share share = ShareOf(g, team, rank);
  StartForward<T, kWidth>(a, share);
  for (int item = team; item < g.items; item += g.teams, ++round) {
    MeasureShare<T, kWidth>(a, share, shared);
    if (g.team > 1) {
      ExchangeMoments(g, share,
                      PartialsOf(g, a.scratch, team, round, 2 * g.slab_groups),
                      a.scratch.arrivals + team * kArrivalStride, (round + 1) * g.team,
                      shared.groups);
    }
    FinishStatistics(a, share, shared.groups);
    const bool more = item + g.teams < g.items;
    const Share next = more ? ShareOf(g, item + g.teams, rank) : share;
    WriteShare<T, kWidth, kSilu>(a, share, next, more, shared.groups);
    share = next;
    __syncthreads();  // The next item overwrites the groups.
  }
}

}  // namespace gpu
}  // namespace tf_student

#endif  // TF_STUDENT_CUDA_FORWARD_H_
