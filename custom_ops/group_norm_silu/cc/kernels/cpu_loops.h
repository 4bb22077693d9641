// The loops of the CPU kernels over memory, compiled once per instruction set.
//
// A row is `width` consecutive values and width is a multiple of kRowMultiple, so that
// no loop has a remainder: images with other channel counts are read in rows of several
// positions (see group_norm_silu_cpu.cc). Per-channel values come one per value of a
// row.
#ifndef TF_STUDENT_CPU_LOOPS_H_
#define TF_STUDENT_CPU_LOOPS_H_

#include <cstdint>

namespace tf_student {
namespace cpu {

// The lanes of the widest instruction set.
constexpr int64_t kRowMultiple = 16;

// Sums are float32 over at most this many rows and double above: a squared deviation
// from the first of n rows is at most n + 1 times that from their mean, which bounds
// what cancels.
constexpr int64_t kChunkRows = 128;

struct BFloat16 {
  uint16_t bits;
};
struct Float16 {
  uint16_t bits;
};

// z = (x - shift) * scale + offset. The shift is a float32 near the mean, subtracted
// first because x * scale + offset cancels where the mean is large.
struct Affine {
  const float* shift;
  const float* scale;
  const float* offset;
};

struct Moments {
  double* mean;
  double* squares;  // Sum of squared deviations from the mean.
};

// The sums over x are left out where `x` is null.
struct GradSums {
  double* g;
  double* gx;  // Sum of g * (x - shift).
  double* x;   // Sum of x - shift.
};

// dx = g * scale + (x - shift) * slope + constant.
struct GradAffine {
  const float* slope;
  const float* constant;
};

template <typename T>
struct Loops {
  // Both between float32 and T, over one row.
  void (*widen)(const T* from, float* to, int64_t width);
  void (*narrow)(const float* from, T* to, int64_t width);
  // Adds the moments `from` of count_from values each to those `into` of count_into.
  void (*merge)(double count_from, Moments from, double count_into, Moments into,
                int64_t width);
  // Leaves the moments of all rows; `moments` starts as zeros.
  void (*moments)(const T* x, int64_t rows, int64_t width, Moments moments);
  // `stream` writes past the caches, for outputs that do not fit in them.
  void (*apply)(const T* x, T* y, int64_t rows, int64_t width, Affine affine, bool silu,
                bool stream);
  // Adds the sums of all rows.
  void (*grad_sums)(const T* dy, const T* x, int64_t rows, int64_t width, Affine affine,
                    bool silu, GradSums sums);
  void (*grad_apply)(const T* dy, const T* x, T* dx, int64_t rows, int64_t width,
                     Affine affine, GradAffine grad, bool silu, bool stream);
};

template <typename T>
Loops<T> BaselineLoops();
template <typename T>
Loops<T> Avx2Loops();
template <typename T>
Loops<T> Avx512Loops();

}  // namespace cpu
}  // namespace tf_student

#endif  // TF_STUDENT_CPU_LOOPS_H_
