// The backward kernels. The order of every sum depends only on the shapes.
#ifndef TF_STUDENT_CUDA_BACKWARD_H_
#define TF_STUDENT_CUDA_BACKWARD_H_

#include "custom_ops/group_norm_silu/cc/kernels/cuda_teams.h"

namespace tf_student {
namespace gpu {

struct BackwardArgs {
  Geometry geometry;
  Scratch scratch;
  const void* dy;
  const void* x;
  const void* bias;
  const float* gamma;
  const float* beta;
  const float* mean;
  const float* rstd;
  void* dx;
  void* dbias;
};

// Rows that a thread processes at once, as many as the registers allow: a pack of eight
// channels needs twice as many sums as a pack of four.
template <int kWidth>
constexpr int kBackwardUnroll = kWidth > 4 ? 1 : 2;

// Per channel, with t = v - mean: the sums of g, g t and t.
template <int kWidth>
struct Sums {
  float g[kWidth];
  float gt[kWidth];
  float t[kWidth];
  float unused;  // An odd size spreads neighbours over the memory banks.

  TF_STUDENT_DEVICE void Merge(const Sums& other) {
#pragma unroll
    for (int i = 0; i < kWidth; ++i) {
      g[i] += other.g[i];
      gt[i] += other.gt[i];
      t[i] += other.t[i];
    }
  }
};

struct BackwardGroup {
  float g;   // Sum of gamma g over the group.
  float gt;  // Sum of gamma g t, with t = v - mean.
};

template <int kWidth>
struct BackwardShared {
  Sums<kWidth>* states;
  float* g;  // [lanes * kWidth], gamma times the sums of the chunk.
  float* gt;
  BackwardGroup* groups;
};

template <typename T, int kWidth>
TF_STUDENT_DEVICE BackwardShared<kWidth> CarveBackward(const Geometry& g) {
  BackwardShared<kWidth> shared;
  auto* next = SharedMemory() +
               static_cast<size_t>(g.kept) * 2 * kThreads * sizeof(Pack<T, kWidth>);
  shared.states = reinterpret_cast<Sums<kWidth>*>(next);
  shared.g = reinterpret_cast<float*>(shared.states + g.rows / 2 * g.lanes);
  shared.gt = shared.g + g.lanes * kWidth;
  shared.groups = reinterpret_cast<BackwardGroup*>(shared.gt + g.lanes * kWidth);
  return shared;
}

// t = x - center and z = scale * t + beta.
template <int kWidth>
struct BackwardTerms {
  float center[kWidth];
  float scale[kWidth];
  float beta[kWidth];
};

template <typename T, int kWidth>
TF_STUDENT_DEVICE BackwardTerms<kWidth> BackwardTermsOf(const BackwardArgs& a,
                                                        const Share& s, int channel) {
  const Geometry& g = a.geometry;
  BackwardTerms<kWidth> terms;
  GroupWalk walk(channel, g.group_channels);
#pragma unroll
  for (int i = 0; i < kWidth; ++i) {
    const int c = s.first_channel + channel + i;
    const int64_t group = s.image * g.groups + s.first_group + walk.group;
    terms.center[i] = a.mean[group] - BiasAt<T>(a.bias, s.image * g.channels + c);
    terms.scale[i] = a.gamma[ParameterAt(g, s, channel + i)] * a.rstd[group];
    terms.beta[i] = a.beta[ParameterAt(g, s, channel + i)];
    walk.Next();
  }
  return terms;
}

// Starts to copy some rows of x and dy of a thread, x before dy.
template <typename T, int kWidth>
TF_STUDENT_DEVICE void CopyBackward(const BackwardArgs& a, const Strip& strip,
                                    int begin, int end, Pack<T, kWidth>* kept) {
  using P = Pack<T, kWidth>;
  const int64_t first = strip.offset + begin * strip.stride;
  const T* x = static_cast<const T*>(a.x) + first;
  const T* dy = static_cast<const T*>(a.dy) + first;
  for (int step = begin; step < min(end, strip.kept); ++step) {
    CopyAsync(kept + step * 2 * kThreads, reinterpret_cast<const P*>(x));
    CopyAsync(kept + (step * 2 + 1) * kThreads, reinterpret_cast<const P*>(dy));
    x += strip.stride;
    dy += strip.stride;
  }
}

// Starts to copy the first item of a block.
template <typename T, int kWidth>
TF_STUDENT_DEVICE void StartBackward(const BackwardArgs& a, const Share& s) {
  const Geometry& g = a.geometry;
  auto* kept = reinterpret_cast<Pack<T, kWidth>*>(SharedMemory()) + threadIdx.x;
  for (int chunk = 0; chunk < Chunks<kWidth>(g, s); ++chunk) {
    const Strip strip = StripOf<kWidth>(g, s, chunk);
    for (int group = 0; group < kCopyGroups; ++group) {
      CopyBackward<T, kWidth>(a, strip, group * strip.part, (group + 1) * strip.part,
                              kept + strip.slot * 2 * kThreads);
      CommitCopies();
    }
  }
}

template <bool kSilu, typename T, int kWidth>
TF_STUDENT_DEVICE void AddRow(const Pack<T, kWidth>& x, const Pack<T, kWidth>& dy,
                              const BackwardTerms<kWidth>& terms, Sums<kWidth>& sums) {
  float values[kWidth];
  float slopes[kWidth];
  Unpack(x, values);
  Unpack(dy, slopes);
#pragma unroll
  for (int i = 0; i < kWidth; ++i) {
    const float t = values[i] - terms.center[i];
    const float z = terms.scale[i] * t + terms.beta[i];
    const float slope = slopes[i] * Slope<kSilu>(z);
    sums.g[i] += slope;
    sums.gt[i] += slope * t;
    sums.t[i] += t;
  }
}

// Adds one group of kept rows.
template <int kLater, bool kSilu, typename T, int kWidth>
TF_STUDENT_DEVICE void AddKeptRows(const Strip& strip, bool single_chunk,
                                   const Pack<T, kWidth>* kept,
                                   const BackwardTerms<kWidth>& terms,
                                   Sums<kWidth>& sums) {
  constexpr int kGroup = kCopyGroups - 1 - kLater;
  WaitForGroup<kLater>(single_chunk);
  const int begin = kGroup * strip.part;
  const int end = min(begin + strip.part, strip.kept);
#pragma unroll(kBackwardUnroll<kWidth>)
  for (int step = begin; step < end; ++step) {
    AddRow<kSilu>(kept[step * 2 * kThreads], kept[(step * 2 + 1) * kThreads], terms,
                  sums);
  }
}

// Reads the rows of x and dy of a thread, first the kept ones.
template <typename T, int kWidth, bool kSilu>
TF_STUDENT_DEVICE Sums<kWidth> ReadSums(const BackwardArgs& a, const Strip& strip,
                                        bool single_chunk, const Pack<T, kWidth>* kept,
                                        const BackwardTerms<kWidth>& terms) {
  using P = Pack<T, kWidth>;
  constexpr int kUnroll = kBackwardUnroll<kWidth>;
  static_assert(kCopyGroups == 4);
  Sums<kWidth> sums = {};
  AddKeptRows<3, kSilu>(strip, single_chunk, kept, terms, sums);
  AddKeptRows<2, kSilu>(strip, single_chunk, kept, terms, sums);
  AddKeptRows<1, kSilu>(strip, single_chunk, kept, terms, sums);
  AddKeptRows<0, kSilu>(strip, single_chunk, kept, terms, sums);
  const int64_t first = strip.offset + strip.kept * strip.stride;
  const T* x = static_cast<const T*>(a.x) + first;
  const T* dy = static_cast<const T*>(a.dy) + first;
  for (int step = strip.kept; step < strip.steps; step += kUnroll) {
    P xs[kUnroll];
    P dys[kUnroll];
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) {
      if (step + u < strip.steps) {
        xs[u] = *reinterpret_cast<const P*>(x + u * strip.stride);
        dys[u] = *reinterpret_cast<const P*>(dy + u * strip.stride);
      }
    }
    x += kUnroll * strip.stride;
    dy += kUnroll * strip.stride;
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) {
      if (step + u < strip.steps) AddRow<kSilu>(xs[u], dys[u], terms, sums);
    }
  }
  return sums;
}

// A warp sums the channels of a group in this chunk.
template <int kWidth>
TF_STUDENT_DEVICE void AddChannels(const Geometry& g, const Share& s, int chunk,
                                   const BackwardShared<kWidth>& shared) {
  const int span = g.lanes * kWidth;
  const int lane = threadIdx.x % kWarp;
  for (int i = threadIdx.x / kWarp; i < s.groups; i += kWarps) {
    const int first = i * g.group_channels;
    const int begin = max(first, chunk * span);
    const int end = min(first + g.group_channels, (chunk + 1) * span);
    if (begin >= end) continue;
    float sum_g = 0.0f;
    float sum_gt = 0.0f;
    for (int c = begin + lane; c < end; c += kWarp) {
      sum_g += shared.g[c - chunk * span];
      sum_gt += shared.gt[c - chunk * span];
    }
    sum_g = WarpSum(sum_g);
    sum_gt = WarpSum(sum_gt);
    if (lane == 0) {
      shared.groups[i].g += sum_g;
      shared.groups[i].gt += sum_gt;
    }
  }
}

// The partial sums of a block: three for each channel, then two for each group.
TF_STUDENT_DEVICE int SlabChannels(const Geometry& g) {
  return g.slab_groups * g.group_channels;
}

template <typename T, int kWidth, bool kSilu>
TF_STUDENT_DEVICE void AddShare(const BackwardArgs& a, const Share& s,
                                const BackwardShared<kWidth>& shared, float* mine) {
  const Geometry& g = a.geometry;
  auto* kept = reinterpret_cast<Pack<T, kWidth>*>(SharedMemory()) + threadIdx.x;
  for (int i = threadIdx.x; i < s.groups; i += kThreads)
    shared.groups[i] = {0.0f, 0.0f};
  for (int chunk = 0; chunk < Chunks<kWidth>(g, s); ++chunk) {
    const Strip strip = StripOf<kWidth>(g, s, chunk);
    BackwardTerms<kWidth> terms;
    if (strip.steps > 0) terms = BackwardTermsOf<T, kWidth>(a, s, strip.channel);
    Sums<kWidth> sums =
        ReadSums<T, kWidth, kSilu>(a, strip, Chunks<kWidth>(g, s) == 1,
                                   kept + strip.slot * 2 * kThreads, terms);
    __syncthreads();  // The last chunk is summed.
    ReduceRows(g, sums, shared.states);
    if (Row(g) == 0 && strip.channel < s.channels) {
#pragma unroll
      for (int i = 0; i < kWidth; ++i) {
        const int c = strip.channel + i;
        const float gamma = a.gamma[ParameterAt(g, s, c)];
        mine[c] = sums.g[i];
        mine[SlabChannels(g) + c] = sums.gt[i];
        mine[2 * SlabChannels(g) + c] = sums.t[i];
        shared.g[Lane(g) * kWidth + i] = gamma * sums.g[i];
        shared.gt[Lane(g) * kWidth + i] = gamma * sums.gt[i];
      }
    }
    __syncthreads();
    AddChannels<kWidth>(g, s, chunk, shared);
  }
  __syncthreads();
}

TF_STUDENT_DEVICE void ExchangeSums(const Geometry& g, const Share& s,
                                    const Partials& partials, unsigned* arrivals,
                                    unsigned expected, BackwardGroup* groups) {
  const int base = 3 * SlabChannels(g);
  for (int i = threadIdx.x; i < s.groups; i += kThreads) {
    partials.Of(s.rank)[base + 2 * i] = groups[i].g;
    partials.Of(s.rank)[base + 2 * i + 1] = groups[i].gt;
  }
  TeamBarrier(arrivals, expected);
  const int lane = threadIdx.x % kWarp;
  for (int i = threadIdx.x / kWarp; i < s.groups; i += kWarps) {
    float sum_g = 0.0f;
    float sum_gt = 0.0f;
    for (int rank = lane; rank < g.team; rank += kWarp) {
      sum_g += __ldcg(partials.Of(rank) + base + 2 * i);
      sum_gt += __ldcg(partials.Of(rank) + base + 2 * i + 1);
    }
    sum_g = WarpSum(sum_g);
    sum_gt = WarpSum(sum_gt);
    if (lane == 0) groups[i] = {sum_g, sum_gt};
  }
  __syncthreads();
}

// dx = scale * g + linear * t + constant; linear and constant belong to the group.
struct GroupTerms {
  float linear;
  float constant;
};

TF_STUDENT_DEVICE GroupTerms GroupTermsOf(const Geometry& g, float rstd,
                                          const BackwardGroup& group) {
  const float size = GroupValues(g);
  return {-(rstd * group.gt / size) * rstd * rstd, -rstd * (group.g / size)};
}

template <int kWidth, bool kSilu, typename T>
TF_STUDENT_DEVICE Pack<T, kWidth> BackwardPack(const Pack<T, kWidth>& x,
                                               const Pack<T, kWidth>& dy,
                                               const BackwardTerms<kWidth>& terms,
                                               const float (&linear)[kWidth],
                                               const float (&constant)[kWidth]) {
  float values[kWidth];
  float slopes[kWidth];
  Unpack(x, values);
  Unpack(dy, slopes);
#pragma unroll
  for (int i = 0; i < kWidth; ++i) {
    const float t = values[i] - terms.center[i];
    const float z = terms.scale[i] * t + terms.beta[i];
    const float slope = slopes[i] * Slope<kSilu>(z);
    values[i] = terms.scale[i] * slope + (linear[i] * t + constant[i]);
  }
  Pack<T, kWidth> dx;
  FillPack(values, &dx);
  return dx;
}

// Writes the results of one group of kept rows, and starts to copy the rows of the next
// item in their place.
template <typename T, int kWidth, bool kSilu>
TF_STUDENT_DEVICE void WriteKeptGradients(const BackwardArgs& a, const Strip& strip,
                                          const Strip& next, int group,
                                          Pack<T, kWidth>* kept,
                                          const BackwardTerms<kWidth>& terms,
                                          const float (&linear)[kWidth],
                                          const float (&constant)[kWidth]) {
  using P = Pack<T, kWidth>;
  constexpr int kUnroll = kBackwardUnroll<kWidth>;
  const int begin = group * strip.part;
  const int end = min(begin + strip.part, strip.kept);
  T* to = static_cast<T*>(a.dx) + strip.offset + begin * strip.stride;
  for (int step = begin; step < end; step += kUnroll) {
    P xs[kUnroll];
    P dys[kUnroll];
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) {
      if (step + u < end) {
        xs[u] = kept[(step + u) * 2 * kThreads];
        dys[u] = kept[((step + u) * 2 + 1) * kThreads];
      }
    }
    CopyBackward<T, kWidth>(a, next, step, min(step + kUnroll, end), kept);
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) {
      if (step + u < end) {
        *reinterpret_cast<P*>(to) =
            BackwardPack<kWidth, kSilu>(xs[u], dys[u], terms, linear, constant);
      }
      to += strip.stride;
    }
  }
}

template <typename T, int kWidth, bool kSilu>
TF_STUDENT_DEVICE void WriteGradientStrip(const BackwardArgs& a, const Strip& strip,
                                          const Strip& next, Pack<T, kWidth>* kept,
                                          const BackwardTerms<kWidth>& terms,
                                          const float (&linear)[kWidth],
                                          const float (&constant)[kWidth]) {
  using P = Pack<T, kWidth>;
  constexpr int kUnroll = kBackwardUnroll<kWidth>;
  const T* x = static_cast<const T*>(a.x) + strip.offset;
  const T* dy = static_cast<const T*>(a.dy) + strip.offset;
  T* dx = static_cast<T*>(a.dx) + strip.offset;
  // In reverse order: the rows that were read last are still in the L2 cache.
  for (int step = strip.kept; step < strip.steps; step += kUnroll) {
    P xs[kUnroll];
    P dys[kUnroll];
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) {
      if (step + u < strip.steps) {
        xs[u] = *reinterpret_cast<const P*>(x + (step + u) * strip.stride);
        dys[u] = *reinterpret_cast<const P*>(dy + (step + u) * strip.stride);
      }
    }
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) {
      if (step + u < strip.steps) {
        *reinterpret_cast<P*>(dx + (step + u) * strip.stride) =
            BackwardPack<kWidth, kSilu>(xs[u], dys[u], terms, linear, constant);
      }
    }
  }
  for (int group = 0; group < kCopyGroups; ++group) {
    WriteKeptGradients<T, kWidth, kSilu>(a, strip, next, group, kept, terms, linear,
                                         constant);
    // The next item may have more rows here, if this one is narrower.
    CopyBackward<T, kWidth>(a, next, max(group * next.part, strip.kept),
                            (group + 1) * next.part, kept);
    CommitCopies();
  }
}

// Writes the gradient of a share, and starts to copy that of the next item.
template <typename T, int kWidth, bool kSilu>
TF_STUDENT_DEVICE void WriteGradient(const BackwardArgs& a, const Share& s,
                                     const Share& next, bool more,
                                     const BackwardGroup* groups) {
  const Geometry& g = a.geometry;
  auto* kept = reinterpret_cast<Pack<T, kWidth>*>(SharedMemory()) + threadIdx.x;
  const int chunks = Chunks<kWidth>(g, s);
  const int next_chunks = more ? Chunks<kWidth>(g, next) : 0;
  for (int chunk = 0; chunk < max(chunks, next_chunks); ++chunk) {
    const Strip ahead =
        chunk < next_chunks ? StripOf<kWidth>(g, next, chunk) : NoStrip();
    Strip strip = NoStrip();
    if (chunk < chunks) strip = StripOf<kWidth>(g, s, chunk);
    float linear[kWidth];
    float constant[kWidth];
    BackwardTerms<kWidth> terms;
    if (strip.steps > 0) {
      terms = BackwardTermsOf<T, kWidth>(a, s, strip.channel);
      GroupWalk walk(strip.channel, g.group_channels);
#pragma unroll
      for (int i = 0; i < kWidth; ++i) {
        const float rstd = a.rstd[s.image * g.groups + s.first_group + walk.group];
        const GroupTerms of_group = GroupTermsOf(g, rstd, groups[walk.group]);
        linear[i] = of_group.linear;
        constant[i] = of_group.constant;
        walk.Next();
      }
    }
    const int slot = chunk < chunks ? strip.slot : ahead.slot;
    WriteGradientStrip<T, kWidth, kSilu>(
        a, strip, ahead, kept + slot * 2 * kThreads, terms, linear, constant);
  }
}

// Writes the gradients of one channel of an image from its sums.
template <typename T>
TF_STUDENT_DEVICE void WriteChannel(const BackwardArgs& a, const Share& s, int channel,
                                    float sum_g, float sum_gt, float sum_t,
                                    const BackwardGroup* groups) {
  const Geometry& g = a.geometry;
  const int group = channel / g.group_channels;
  const float rstd = a.rstd[s.image * g.groups + s.first_group + group];
  const int64_t index = s.image * g.channels + s.first_channel + channel;
  a.scratch.dgamma[index] = rstd * sum_gt;
  a.scratch.dbeta[index] = sum_g;
  if (a.dbias == nullptr) return;
  // Sums dx term by term.
  const GroupTerms terms = GroupTermsOf(g, rstd, groups[group]);
  const float scale = a.gamma[ParameterAt(g, s, channel)] * rstd;
  const float sum = scale * sum_g + (terms.linear * sum_t +
                                     static_cast<float>(g.positions) * terms.constant);
  Convert(sum, static_cast<T*>(a.dbias) + index);
}

// The team divides the channels of the slab. A warp sums one channel or, in a small
// team, a thread does.
template <typename T>
TF_STUDENT_DEVICE void WriteChannels(const BackwardArgs& a, const Share& s,
                                     const Partials& partials,
                                     const BackwardGroup* groups) {
  constexpr int kSmallTeam = 8;
  const Geometry& g = a.geometry;
  const int fellows = g.team > kSmallTeam ? kWarp : 1;
  const int worker = (s.rank * kThreads + threadIdx.x) / fellows;
  const int workers = g.team * kThreads / fellows;
  const int lane = threadIdx.x % fellows;
  for (int c = worker; c < s.channels; c += workers) {
    float sums[3] = {0.0f, 0.0f, 0.0f};
    for (int rank = lane; rank < g.team; rank += fellows) {
#pragma unroll
      for (int k = 0; k < 3; ++k) {
        sums[k] += __ldcg(partials.Of(rank) + k * SlabChannels(g) + c);
      }
    }
    if (fellows == kWarp) {
#pragma unroll
      for (int k = 0; k < 3; ++k) sums[k] = WarpSum(sums[k]);
    }
    if (lane == 0) WriteChannel<T>(a, s, c, sums[0], sums[1], sums[2], groups);
  }
}

template <typename T, int kWidth, bool kSilu>
__global__ void __launch_bounds__(kThreads, kBlocksPerProcessor)
    BackwardKernel(const BackwardArgs a) {
  const Geometry& g = a.geometry;
  const BackwardShared<kWidth> shared = CarveBackward<T, kWidth>(g);
  const int team = blockIdx.x / g.team;
  const int rank = blockIdx.x - team * g.team;
  const int floats = 3 * SlabChannels(g) + 2 * g.slab_groups;
  unsigned round = 0;
  Share share = ShareOf(g, team, rank);
  StartBackward<T, kWidth>(a, share);
  for (int item = team; item < g.items; item += g.teams, ++round) {
    const Partials partials = PartialsOf(g, a.scratch, team, round, floats);
    AddShare<T, kWidth, kSilu>(a, share, shared, partials.Of(rank));
    if (g.team > 1) {
      ExchangeSums(g, share, partials, a.scratch.arrivals + team * kArrivalStride,
                   (round + 1) * g.team, shared.groups);
    }
    const bool more = item + g.teams < g.items;
    const Share next = more ? ShareOf(g, item + g.teams, rank) : share;
    WriteGradient<T, kWidth, kSilu>(a, share, next, more, shared.groups);
    WriteChannels<T>(a, share, partials, shared.groups);
    share = next;
    __syncthreads();  // The next item overwrites the groups.
  }
}

// Sums dgamma and dbeta over images, for the 32 channels of a block.
struct AddImagesArgs {
  int64_t batch;
  int channels;
  const float* image_dgamma;  // [batch, channels]
  const float* image_dbeta;
  float* dgamma;
  float* dbeta;
};

__global__ void __launch_bounds__(kThreads) AddImagesKernel(const AddImagesArgs a) {
  __shared__ float partial[2][kWarps][kWarp];
  const int lane = threadIdx.x % kWarp;
  const int warp = threadIdx.x / kWarp;
  const int channel = blockIdx.x * kWarp + lane;
  float dgamma = 0.0f;
  float dbeta = 0.0f;
  if (channel < a.channels) {
#pragma unroll 4
    for (int64_t image = warp; image < a.batch; image += kWarps) {
      dgamma += a.image_dgamma[image * a.channels + channel];
      dbeta += a.image_dbeta[image * a.channels + channel];
    }
  }
  partial[0][warp][lane] = dgamma;
  partial[1][warp][lane] = dbeta;
  __syncthreads();
  if (warp > 1 || channel >= a.channels) return;
  float sum = 0.0f;
#pragma unroll
  for (int i = 0; i < kWarps; ++i) sum += partial[warp][i][lane];
  (warp == 0 ? a.dgamma : a.dbeta)[channel] = sum;
}

}  // namespace gpu
}  // namespace tf_student

#endif  // TF_STUDENT_CUDA_BACKWARD_H_
