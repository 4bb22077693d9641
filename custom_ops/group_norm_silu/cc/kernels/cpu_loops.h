// The loops of the CPU kernels over memory, compiled once per instruction set.
//
// A row is `width` consecutive values. The width is a multiple of kRowMultiple, so that
// no loop has a remainder: images with other channel counts are read in rows of several
// positions (see group_norm_silu_cpu.cc). Arrays of per-channel values have one element
// for each value of a row.
#ifndef TF_STUDENT_CPU_LOOPS_H_
#define TF_STUDENT_CPU_LOOPS_H_

#include <cstdint>

namespace tf_student {
namespace cpu {

// The lanes of the widest instruction set.
constexpr int64_t kRowMultiple = 16;

// Sums over at most this many rows are float32, longer ones double: a squared deviation
// from the first of n rows is at most n + 1 times the one from their mean, which bounds
// the cancellation.
constexpr int64_t kChunkRows = 128;

struct BFloat16 {
  uint16_t bits;
};
struct Float16 {
  uint16_t bits;
};

// z = (x - shift) * scale + offset. The shift is a float32 near the mean. It is
// subtracted first because x * scale + offset cancels if the mean is large.
struct Affine {
  const float* shift;
  const float* scale;
  const float* offset;
};

struct Moments {
  double* mean;
  double* squares;  // Sum of squared deviations from the mean.
};

// Sums over x are omitted if `x` is null.
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
  // Both convert one row, between float32 and T.
  void (*widen)(const T* from, float* to, int64_t width);
  void (*narrow)(const float* from, T* to, int64_t width);
  // Merges moments `from`, each of count_from values, into those of count_into values.
  void (*merge)(double count_from, Moments from, double count_into, Moments into,
                int64_t width);
  // Computes the moments of all rows; `moments` must be zeros at the start.
  void (*moments)(const T* x, int64_t rows, int64_t width, Moments moments);
  // `stream` bypasses the caches, for outputs that do not fit in them.
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
