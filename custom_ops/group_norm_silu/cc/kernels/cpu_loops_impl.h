// The loops for one instruction set. One file per set includes this one: it defines
// TFS_LANES (4, 8 or 16 floats in a register) and enables the set, so that everything
// here is compiled for it. This file includes no header of the standard library, whose
// inline functions would be compiled for the set too.
#include "custom_ops/group_norm_silu/cc/kernels/cpu_loops.h"
#include "custom_ops/group_norm_silu/cc/kernels/group_norm_silu.h"

namespace tf_student {
namespace cpu {
namespace {

#define TFS_INLINE inline __attribute__((always_inline))

constexpr int64_t kLanes = TFS_LANES;
typedef float Floats __attribute__((vector_size(4 * TFS_LANES)));
typedef int32_t Ints __attribute__((vector_size(4 * TFS_LANES)));
typedef uint32_t Words __attribute__((vector_size(4 * TFS_LANES)));
typedef uint16_t Shorts __attribute__((vector_size(2 * TFS_LANES)));

typedef double Doubles __attribute__((vector_size(8 * TFS_LANES)));

template <typename V, typename T>
TFS_INLINE V LoadBits(const T* p) {
  V v;
  __builtin_memcpy(&v, p, sizeof(V));
  return v;
}

TFS_INLINE Floats Load(const float* p) { return LoadBits<Floats>(p); }

TFS_INLINE Floats Load(const BFloat16* p) {
  const Words wide = __builtin_convertvector(LoadBits<Shorts>(p), Words);
  return (Floats)(wide << 16);
}

// Rounds to nearest, ties to even; NaN stays NaN.
TFS_INLINE Shorts ToBFloat16(Floats v) {
  const Words bits = (Words)v;
  const Words rounded = bits + 0x7fff + ((bits >> 16) & 1);
  const Words nan = bits | 0x400000;
  return __builtin_convertvector((v == v ? rounded : nan) >> 16, Shorts);
}

#if TFS_LANES == 16
TFS_INLINE Floats Load(const Float16* p) {
  return (Floats)_mm512_cvtph_ps(LoadBits<__m256i>(p));
}
TFS_INLINE Shorts ToFloat16(Floats v) {
  return (Shorts)_mm512_cvtps_ph((__m512)v, _MM_FROUND_TO_NEAREST_INT);
}
TFS_INLINE void Stream(float* p, Floats v) { _mm512_stream_ps(p, (__m512)v); }
TFS_INLINE void Stream(uint16_t* p, Shorts v) {
  _mm256_stream_si256(reinterpret_cast<__m256i*>(p), (__m256i)v);
}
#elif TFS_LANES == 8
TFS_INLINE Floats Load(const Float16* p) {
  return (Floats)_mm256_cvtph_ps(LoadBits<__m128i>(p));
}
TFS_INLINE Shorts ToFloat16(Floats v) {
  return (Shorts)_mm256_cvtps_ph((__m256)v, _MM_FROUND_TO_NEAREST_INT);
}
TFS_INLINE void Stream(float* p, Floats v) { _mm256_stream_ps(p, (__m256)v); }
TFS_INLINE void Stream(uint16_t* p, Shorts v) {
  _mm_stream_si128(reinterpret_cast<__m128i*>(p), (__m128i)v);
}
#else
// Multiplying by 2^112 moves the exponent from float16's bias to float32's, and makes
// subnormal numbers normal.
TFS_INLINE Floats Load(const Float16* p) {
  const Words half = __builtin_convertvector(LoadBits<Shorts>(p), Words);
  const Floats magnitude = (Floats)((half & 0x7fff) << 13) * 0x1p112f;
  // Infinities and NaNs.
  const Words special = (Words)magnitude | 0x7f800000;
  const Words bits = (Ints)(half & 0x7c00) == 0x7c00 ? special : (Words)magnitude;
  return (Floats)(bits | (half & 0x8000) << 16);
}

// Rounds to nearest, ties to even, in the float unit: adding 2^(e + 13) rounds a number
// of exponent e to float16's 10 bits of fraction; subnormals all round at 2^-24.
TFS_INLINE Shorts ToFloat16(Floats v) {
  const Words sign = (Words)v & 0x80000000u;
  const Floats size = (Floats)((Words)v ^ sign);
  const Words exponent = (Words)size & 0x7f800000;
  const Words least = (Words)Words{} + 0x38800000;  // 2^-14
  const Words most = least + (30u << 23);
  Words clamped = exponent < least ? least : exponent;
  clamped = clamped > most ? most : clamped;
  const Floats magic = (Floats)(clamped + (13u << 23));
  const Floats rounded = (size + magic) - magic;
  // 2^-112 brings float32's bias to float16's; its fraction ends at bit 13.
  Words half = (Words)(rounded * 0x1p-112f) >> 13;
  half = rounded >= 65536.0f ? Words{} + 0x7c00 : half;
  half = size == size ? half : Words{} + 0x7e00;
  return __builtin_convertvector(half | sign >> 16, Shorts);
}
#ifdef __SSE2__
TFS_INLINE void Stream(float* p, Floats v) { _mm_stream_ps(p, (__m128)v); }
#else
TFS_INLINE void Stream(float* p, Floats v) { __builtin_memcpy(p, &v, sizeof(v)); }
#endif
TFS_INLINE void Stream(uint16_t* p, Shorts v) { __builtin_memcpy(p, &v, sizeof(v)); }
#endif

TFS_INLINE void Fence() {
#ifdef __SSE2__
  _mm_sfence();
#endif
}

template <bool kStream, typename P, typename V>
TFS_INLINE void Put(P* p, V v) {
  if (kStream) {
    Stream(p, v);
  } else {
    __builtin_memcpy(p, &v, sizeof(v));
  }
}

template <bool kStream>
TFS_INLINE void Store(float* p, Floats v) {
  Put<kStream>(p, v);
}
template <bool kStream>
TFS_INLINE void Store(BFloat16* p, Floats v) {
  Put<kStream>(&p->bits, ToBFloat16(v));
}
template <bool kStream>
TFS_INLINE void Store(Float16* p, Floats v) {
  Put<kStream>(&p->bits, ToFloat16(v));
}

// max(min(x, high), -high); NaN stays NaN.
TFS_INLINE Floats Clamp(Floats x, float high) {
  const Floats above = Floats{} + high, below = Floats{} - high;
#if TFS_LANES == 16
  // These return their second argument if one is NaN.
  return (Floats)_mm512_max_ps((__m512)below, _mm512_min_ps((__m512)above, (__m512)x));
#elif TFS_LANES == 8
  return (Floats)_mm256_max_ps((__m256)below, _mm256_min_ps((__m256)above, (__m256)x));
#elif defined(__SSE2__)
  return (Floats)_mm_max_ps((__m128)below, _mm_min_ps((__m128)above, (__m128)x));
#else
  x = above < x ? above : x;
  return below > x ? below : x;
#endif
}

// 1 / x with an error of about one ulp for x in [1, 2^126]: an estimate and a step of
// Newton's method, which are faster than a division.
TFS_INLINE Floats Reciprocal(Floats x) {
#if TFS_LANES == 16
  const Floats r = (Floats)_mm512_rcp14_ps((__m512)x);
#elif TFS_LANES == 8
  const Floats r = (Floats)_mm256_rcp_ps((__m256)x);
#else
  return 1.0f / x;
#endif
#if TFS_LANES > 4
  return r + r * (1.0f - x * r);
#endif
}

// 2^t for |t| <= 126 with a relative error of 2e-7; NaN stays NaN.
TFS_INLINE Floats Exp2(Floats t) {
  // Adding 1.5 * 2^23 moves the nearest integer to the low bits.
  const Floats magic = Floats{} + 12582912.0f;
  const Floats shifted = t + magic;
  const Floats f = t - (shifted - magic);
  // Minimax polynomial on [-1/2, 1/2]: relative error 7.5e-8.
  Floats p = f * 1.3276471e-3f + 9.6755410e-3f;
  p = p * f + 5.5507131e-2f;
  p = p * f + 2.4022120e-1f;
  p = p * f + 6.9314694e-1f;
  p = p * f + 1.0000001f;
  // Multiplies by 2 to the power of the integer.
  return (Floats)((Ints)p + ((Ints)shifted << 23));
}

TFS_INLINE Floats Sigmoids(Floats z) {
  const float log2_e = 1.44269504f;
  return Reciprocal(1.0f + Exp2(Clamp(z * -log2_e, 125.0f)));
}

template <bool kSilu>
TFS_INLINE Floats Activate(Floats z) {
  return kSilu ? Silu(z, Sigmoids(z)) : z;
}

// dy * d act(z) / dz.
template <bool kSilu>
TFS_INLINE Floats ThroughActivation(Floats dy, Floats z) {
  return kSilu ? dy * SiluSlope(z, Sigmoids(z)) : dy;
}

TFS_INLINE Doubles Widened(Floats v) { return __builtin_convertvector(v, Doubles); }

TFS_INLINE void Accumulate(double* sum, Floats v) {
  const Doubles total = LoadBits<Doubles>(sum) + Widened(v);
  __builtin_memcpy(sum, &total, sizeof(total));
}

TFS_INLINE int64_t Smaller(int64_t a, int64_t b) { return a < b ? a : b; }

// See Loops::merge. Source: Chan, Golub & LeVeque, *Updating formulae and a pairwise
// algorithm for computing sample variances*, 1979, eq. 2.1.
void MergeLoop(double count_from, Moments from, double count_into, Moments into,
               int64_t width) {
  const double part = count_from / (count_into + count_from);
  for (int64_t c = 0; c < width; c += kLanes) {
    Doubles mean = LoadBits<Doubles>(into.mean + c);
    Doubles squares = LoadBits<Doubles>(into.squares + c);
    const Doubles delta = LoadBits<Doubles>(from.mean + c) - mean;
    mean += delta * part;
    squares += LoadBits<Doubles>(from.squares + c);
    squares += delta * delta * (count_into * part);
    __builtin_memcpy(into.mean + c, &mean, sizeof(mean));
    __builtin_memcpy(into.squares + c, &squares, sizeof(squares));
  }
}

// Sums x - pivot and its square over at most kChunkRows rows of kVectors registers.
template <int kVectors, typename T>
TFS_INLINE void ChunkColumns(const T* x, int64_t rows, int64_t width, double* mean,
                             double* squares) {
  Floats pivot[kVectors], sum[kVectors], square[kVectors];
  for (int v = 0; v < kVectors; ++v) {
    pivot[v] = Load(x + v * kLanes);
    sum[v] = square[v] = Floats{};
  }
  for (int64_t row = 1; row < rows; ++row) {
    for (int v = 0; v < kVectors; ++v) {
      const Floats d = Load(x + row * width + v * kLanes) - pivot[v];
      sum[v] += d;
      square[v] += d * d;
    }
  }
  const double share = 1.0 / static_cast<double>(rows);
  for (int v = 0; v < kVectors; ++v) {
    const Doubles s = Widened(sum[v]);
    const Doubles m = Widened(pivot[v]) + s * share;
    const Doubles q = Widened(square[v]) - s * s * share;
    __builtin_memcpy(mean + v * kLanes, &m, sizeof(m));
    __builtin_memcpy(squares + v * kLanes, &q, sizeof(q));
  }
}

// As wide as the registers allow, because narrow columns load slowly from memory.
constexpr int kColumnVectors = TFS_LANES == 16 ? 8 : 4;
constexpr int64_t kColumns = kColumnVectors * kLanes;
constexpr int kGradVectors = 4;

template <typename T>
void MomentsLoop(const T* x, int64_t rows, int64_t width, Moments moments) {
  double mean[kColumns], squares[kColumns];
  for (int64_t row = 0; row < rows; row += kChunkRows) {
    const int64_t n = Smaller(kChunkRows, rows - row);
    const T* chunk = x + row * width;
    for (int64_t c = 0; c < width;) {
      int64_t columns = kColumns;
      if (width - c >= kColumns) {
        ChunkColumns<kColumnVectors>(chunk + c, n, width, mean, squares);
      } else {
        columns = kLanes;
        ChunkColumns<1>(chunk + c, n, width, mean, squares);
      }
      const Moments into = {moments.mean + c, moments.squares + c};
      MergeLoop(n, {mean, squares}, row, into, columns);
      c += columns;
    }
  }
}

template <bool kSilu, bool kStream, typename T>
TFS_INLINE void ApplyRows(const T* x, T* y, int64_t rows, int64_t width,
                          Affine affine) {
  for (int64_t row = 0; row < rows; ++row, x += width, y += width) {
    for (int64_t c = 0; c < width; c += kLanes) {
      const Floats d = Load(x + c) - Load(affine.shift + c);
      const Floats z = d * Load(affine.scale + c) + Load(affine.offset + c);
      Store<kStream>(y + c, Activate<kSilu>(z));
    }
  }
  if (kStream) Fence();
}

template <bool kValue>
struct Bool {
  static constexpr bool value = kValue;
};

// Calls f with compile-time copies of two booleans.
template <typename F>
TFS_INLINE void Specialise(bool a, bool b, F f) {
  if (a) {
    b ? f(Bool<true>(), Bool<true>()) : f(Bool<true>(), Bool<false>());
  } else {
    b ? f(Bool<false>(), Bool<true>()) : f(Bool<false>(), Bool<false>());
  }
}

template <typename T>
bool Aligned(const T* p) {
  return reinterpret_cast<uintptr_t>(p) % (kLanes * sizeof(T)) == 0;
}

template <typename T>
void ApplyLoop(const T* x, T* y, int64_t rows, int64_t width, Affine affine, bool silu,
               bool stream) {
  Specialise(silu, stream && Aligned(y), [&](auto s, auto t) {
    ApplyRows<decltype(s)::value, decltype(t)::value>(x, y, rows, width, affine);
  });
}

// Sums kVectors registers of columns over at most kChunkRows rows.
template <int kVectors, bool kSilu, bool kSumX, typename T>
TFS_INLINE void GradColumns(const T* dy, const T* x, int64_t rows, int64_t width,
                            Affine affine, GradSums sums) {
  Floats shift[kVectors], scale[kVectors], offset[kVectors];
  Floats sum_g[kVectors], sum_gx[kVectors], sum_x[kVectors];
  for (int v = 0; v < kVectors; ++v) {
    shift[v] = Load(affine.shift + v * kLanes);
    scale[v] = Load(affine.scale + v * kLanes);
    offset[v] = Load(affine.offset + v * kLanes);
    sum_g[v] = sum_gx[v] = sum_x[v] = Floats{};
  }
  for (int64_t row = 0; row < rows; ++row, dy += width, x += width) {
    for (int v = 0; v < kVectors; ++v) {
      const Floats d = Load(x + v * kLanes) - shift[v];
      const Floats z = d * scale[v] + offset[v];
      const Floats g = ThroughActivation<kSilu>(Load(dy + v * kLanes), z);
      sum_g[v] += g;
      sum_gx[v] += g * d;
      if (kSumX) sum_x[v] += d;
    }
  }
  for (int v = 0; v < kVectors; ++v) {
    Accumulate(sums.g + v * kLanes, sum_g[v]);
    Accumulate(sums.gx + v * kLanes, sum_gx[v]);
    if (kSumX) Accumulate(sums.x + v * kLanes, sum_x[v]);
  }
}

template <bool kSilu, bool kSumX, typename T>
TFS_INLINE void GradChunk(const T* dy, const T* x, int64_t rows, int64_t width,
                          Affine affine, GradSums sums) {
  for (int64_t c = 0; c < width;) {
    const Affine a = {affine.shift + c, affine.scale + c, affine.offset + c};
    const GradSums s = {sums.g + c, sums.gx + c, kSumX ? sums.x + c : nullptr};
    if (width - c >= kGradVectors * kLanes) {
      GradColumns<kGradVectors, kSilu, kSumX>(dy + c, x + c, rows, width, a, s);
      c += kGradVectors * kLanes;
    } else {
      GradColumns<1, kSilu, kSumX>(dy + c, x + c, rows, width, a, s);
      c += kLanes;
    }
  }
}

template <typename T>
void GradSumsLoop(const T* dy, const T* x, int64_t rows, int64_t width, Affine affine,
                  bool silu, GradSums sums) {
  Specialise(silu, sums.x != nullptr, [&](auto s, auto t) {
    for (int64_t row = 0; row < rows; row += kChunkRows) {
      const int64_t n = Smaller(kChunkRows, rows - row);
      GradChunk<decltype(s)::value, decltype(t)::value>(
          dy + row * width, x + row * width, n, width, affine, sums);
    }
  });
}

template <bool kSilu, bool kStream, typename T>
TFS_INLINE void GradApplyRows(const T* dy, const T* x, T* dx, int64_t rows,
                              int64_t width, Affine affine, GradAffine grad) {
  for (int64_t row = 0; row < rows; ++row, dy += width, x += width, dx += width) {
    for (int64_t c = 0; c < width; c += kLanes) {
      const Floats d = Load(x + c) - Load(affine.shift + c);
      const Floats scale = Load(affine.scale + c);
      const Floats z = d * scale + Load(affine.offset + c);
      const Floats g = ThroughActivation<kSilu>(Load(dy + c), z);
      const Floats rest = d * Load(grad.slope + c) + Load(grad.constant + c);
      Store<kStream>(dx + c, g * scale + rest);
    }
  }
  if (kStream) Fence();
}

template <typename T>
void GradApplyLoop(const T* dy, const T* x, T* dx, int64_t rows, int64_t width,
                   Affine affine, GradAffine grad, bool silu, bool stream) {
  Specialise(silu, stream && Aligned(dx), [&](auto s, auto t) {
    GradApplyRows<decltype(s)::value, decltype(t)::value>(dy, x, dx, rows, width,
                                                          affine, grad);
  });
}

template <typename T>
void WidenLoop(const T* from, float* to, int64_t width) {
  for (int64_t c = 0; c < width; c += kLanes) Store<false>(to + c, Load(from + c));
}

template <typename T>
void NarrowLoop(const float* from, T* to, int64_t width) {
  for (int64_t c = 0; c < width; c += kLanes) Store<false>(to + c, Load(from + c));
}

template <typename T>
Loops<T> AllLoops() {
  return {WidenLoop<T>, NarrowLoop<T>,   MergeLoop,       MomentsLoop<T>,
          ApplyLoop<T>, GradSumsLoop<T>, GradApplyLoop<T>};
}

}  // namespace
}  // namespace cpu
}  // namespace tf_student
