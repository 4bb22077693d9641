#include "custom_ops/group_norm_silu/cc/kernels/group_norm_silu_cpu.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <numeric>

#include "custom_ops/group_norm_silu/cc/kernels/cpu_loops.h"

namespace tf_student {
namespace cpu {
namespace {

// Chosen by measurement. The first two determine the order of sums, so they must not
// depend on the machine.
constexpr int64_t kBlockValues = 32768;
constexpr int64_t kMaxBlocks = 64;
// Bytes of inputs and outputs up to which an image stays on one core if there are
// enough images: threads that wait for each other between passes cost more than the
// caches save.
constexpr int64_t kOneCoreBytes = int64_t{16} << 20;
// Bytes up to which images share a pass if threads must wait.
constexpr int64_t kPassBytes = int64_t{32} << 20;
// Outputs of at least this size are no longer in the caches when they are read.
constexpr int64_t kStreamBytes = int64_t{24} << 20;
// Largest |mean| / deviation for which a float32 mean is exact enough.
constexpr float kLargeMean = 1024.0f;

enum class Simd { kBaseline, kAvx2, kAvx512 };

Simd BestSimd() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")) {
    return Simd::kAvx512;
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
      __builtin_cpu_supports("f16c")) {
    return Simd::kAvx2;
  }
#endif
  return Simd::kBaseline;
}

Simd ChosenSimd() {
  const char* name = std::getenv("TF_STUDENT_SIMD");
  const Simd best = BestSimd();
  if (name == nullptr) return best;
  if (std::strcmp(name, "baseline") == 0) return Simd::kBaseline;
  if (std::strcmp(name, "avx2") == 0) return std::min(best, Simd::kAvx2);
  return best;
}

Simd CurrentSimd() {
  static const Simd simd = ChosenSimd();
  return simd;
}

template <typename T>
Loops<T> CurrentLoops() {
#if defined(__x86_64__)
  if (CurrentSimd() == Simd::kAvx512) return Avx512Loops<T>();
  if (CurrentSimd() == Simd::kAvx2) return Avx2Loops<T>();
#endif
  return BaselineLoops<T>();
}

// The division of an image into rows of `width` values. A row has several positions if
// the channels of one do not fill registers; the remaining positions are the tail.
// Blocks of rows are the units of work; the last block includes the tail.
struct Cut {
  int64_t width, rows, tail, block_rows, blocks;

  explicit Cut(const Problem& p) {
    const int64_t positions = kRowMultiple / std::gcd(p.channels, kRowMultiple);
    width = positions * p.channels;
    rows = p.positions / positions;
    tail = p.positions % positions * p.channels;
    const int64_t wanted =
        std::clamp(ImageSize(p) / kBlockValues, int64_t{1}, kMaxBlocks);
    block_rows = std::max<int64_t>(1, (rows + wanted - 1) / wanted);
    blocks = std::max<int64_t>(1, (rows + block_rows - 1) / block_rows);
  }

  int64_t Begin(int64_t block) const { return block * block_rows; }
  int64_t RowsOf(int64_t block) const {
    return std::min(block_rows, rows - Begin(block));
  }
  // Position of the tail within the image.
  int64_t TailBegin() const { return rows * width; }
};

template <typename V>
std::unique_ptr<V[]> Uninitialised(int64_t size) {
  return std::unique_ptr<V[]>(new V[size]);
}

// The tail of an image after its last row, padded to a row.
template <typename T>
std::unique_ptr<T[]> PaddedTail(const Cut& cut, const T* image) {
  std::unique_ptr<T[]> row(new T[cut.width]());
  std::copy_n(image + cut.TailBegin(), cut.tail, row.get());
  return row;
}

// Repeats `channels` values over a row.
template <typename V>
void Repeat(V* row, int64_t channels, int64_t width) {
  for (int64_t i = channels; i < width; ++i) row[i] = row[i - channels];
}

void MergeOne(double count_from, double mean, double squares, double count_into,
              double* into_mean, double* into_squares) {
  const double part = count_from / (count_into + count_from);
  const double delta = mean - *into_mean;
  *into_mean += delta * part;
  *into_squares += squares + delta * delta * (count_into * part);
}

// Merges the moments of the positions of a row, and of the tail, into the first ones.
template <typename T>
void FoldRow(const Problem& p, const Cut& cut, const Loops<T>& loops, const T* image,
             Moments row) {
  int64_t count = cut.rows;
  for (int64_t i = p.channels; i < cut.width && cut.rows > 0; i += p.channels) {
    for (int64_t c = 0; c < p.channels; ++c) {
      MergeOne(cut.rows, row.mean[i + c], row.squares[i + c], count, &row.mean[c],
               &row.squares[c]);
    }
    count += cut.rows;
  }
  if (cut.tail == 0) return;
  auto values = Uninitialised<float>(cut.width);
  loops.widen(PaddedTail(cut, image).get(), values.get(), cut.width);
  for (int64_t i = 0; i < cut.tail; i += p.channels, ++count) {
    for (int64_t c = 0; c < p.channels; ++c) {
      MergeOne(1, values[i + c], 0, count, &row.mean[c], &row.squares[c]);
    }
  }
}

// Merges the moments of blocks into the moments of channels. `blocks[b]` are the
// moments of block b; the first block receives the result.
template <typename T>
Moments ChannelMoments(const Problem& p, const Cut& cut, const Loops<T>& loops,
                       const T* image, double* blocks) {
  const auto of = [&](int64_t b) {
    double* mean = blocks + b * 2 * cut.width;
    return Moments{mean, mean + cut.width};
  };
  const Moments all = of(0);
  for (int64_t b = 1; b < cut.blocks; ++b) {
    loops.merge(cut.RowsOf(b), of(b), cut.Begin(b), all, cut.width);
  }
  if (cut.width > p.channels) FoldRow(p, cut, loops, image, all);
  return all;
}

template <typename T>
void BlockMoments(const Cut& cut, const Loops<T>& loops, const T* image, int64_t block,
                  double* blocks) {
  double* mean = blocks + block * 2 * cut.width;
  std::fill_n(mean, 2 * cut.width, 0.0);
  if (cut.rows == 0) return;
  loops.moments(image + cut.Begin(block) * cut.width, cut.RowsOf(block), cut.width,
                {mean, mean + cut.width});
}

struct GroupMoments {
  double mean, variance;
};

// Statistics of v = x + bias; `bias` is that of one image, or null.
GroupMoments OfGroup(const Problem& p, Moments channels, const float* bias,
                     int64_t group) {
  const int64_t size = GroupChannels(p), begin = group * size;
  const auto mean_of = [&](int64_t c) {
    return channels.mean[c] + (bias == nullptr ? 0.0 : bias[c]);
  };
  double mean = 0.0, squares = 0.0;
  for (int64_t c = begin; c < begin + size; ++c) mean += mean_of(c);
  mean /= static_cast<double>(size);
  for (int64_t c = begin; c < begin + size; ++c) {
    const double delta = mean_of(c) - mean;
    squares += channels.squares[c] + static_cast<double>(p.positions) * delta * delta;
  }
  return {mean, squares / std::max<double>(1.0, static_cast<double>(GroupSize(p)))};
}

// The bias of one image as a row of float32, or null.
template <typename T>
std::unique_ptr<float[]> BiasRow(const Problem& p, const Cut& cut,
                                 const Loops<T>& loops, const T* bias, int64_t image) {
  if (bias == nullptr) return nullptr;
  auto narrow = Uninitialised<T>(cut.width);
  std::copy_n(bias + image * p.channels, p.channels, narrow.get());
  Repeat(narrow.get(), p.channels, cut.width);
  auto row = Uninitialised<float>(cut.width);
  loops.widen(narrow.get(), row.get(), cut.width);
  return row;
}

// The rows of float32 that the loops over an image read.
enum Row { kShift, kScale, kOffset, kRest, kSlope, kConstant, kRows };

// Writes shift, scale and offset such that (x - shift) * scale + offset
// = gamma * (x + bias - mean) * rstd + beta, and as `rest` the rounding error of shift.
void WriteAffine(const Problem& p, const Cut& cut, const float* bias,
                 const float* gamma, const float* beta, const double* mean,
                 const double* rstd, float* rows) {
  for (int64_t c = 0, group = 0, left = GroupChannels(p); c < p.channels; ++c, --left) {
    if (left == 0) ++group, left = GroupChannels(p);
    const double shift = mean[group] - (bias == nullptr ? 0.0 : bias[c]);
    const double scale = gamma[c] * rstd[group];
    float* column = rows + c;
    column[kShift * cut.width] = static_cast<float>(shift);
    column[kScale * cut.width] = static_cast<float>(scale);
    const double rest = shift - column[kShift * cut.width];
    column[kOffset * cut.width] = static_cast<float>(beta[c] - rest * scale);
    column[kRest * cut.width] = static_cast<float>(rest);
  }
  for (Row row : {kShift, kScale, kOffset}) {
    Repeat(rows + row * cut.width, p.channels, cut.width);
  }
}

Affine AffineOf(const Cut& cut, const float* rows) {
  return {rows + kShift * cut.width, rows + kScale * cut.width,
          rows + kOffset * cut.width};
}

template <typename T>
class Forward {
 public:
  Forward(const Problem& problem, const void* x, const void* bias, const float* gamma,
          const float* beta, void* y, float* mean, float* rstd)
      : p_(problem),
        cut_(problem),
        loops_(CurrentLoops<T>()),
        x_(static_cast<const T*>(x)),
        bias_(static_cast<const T*>(bias)),
        gamma_(gamma),
        beta_(beta),
        y_(static_cast<T*>(y)),
        mean_(mean),
        rstd_(rstd),
        stream_(p_.batch * ImageSize(p_) >= kStreamBytes / int64_t{sizeof(T)}),
        moments_(Uninitialised<double>(p_.batch * cut_.blocks * 2 * cut_.width)),
        rows_(Uninitialised<float>(p_.batch * kRows * cut_.width)) {}

  const Cut& cut() const { return cut_; }
  // Bytes of the inputs and outputs of an image.
  int64_t ImageBytes() const { return 2 * ImageSize(p_) * sizeof(T); }

  static constexpr bool kPrepares = false;
  void Prepare(int64_t image) {}

  void First(int64_t image, int64_t block) {
    BlockMoments(cut_, loops_, ImageOf(x_, image), block, MomentsOf(image));
  }

  void Between(int64_t image) {
    const Moments channels =
        ChannelMoments(p_, cut_, loops_, ImageOf(x_, image), MomentsOf(image));
    const auto bias = BiasRow(p_, cut_, loops_, bias_, image);
    auto mean = Uninitialised<double>(2 * p_.groups);
    double* rstd = mean.get() + p_.groups;
    for (int64_t g = 0; g < p_.groups; ++g) {
      const GroupMoments group = OfGroup(p_, channels, bias.get(), g);
      mean[g] = group.mean;
      rstd[g] = 1.0 / std::sqrt(group.variance + p_.epsilon);
      mean_[image * p_.groups + g] = static_cast<float>(mean[g]);
      rstd_[image * p_.groups + g] = static_cast<float>(rstd[g]);
    }
    const int64_t own = image * ParameterStride(p_);
    WriteAffine(p_, cut_, bias.get(), gamma_ + own, beta_ + own, mean.get(), rstd,
                Rows(image));
  }

  void Second(int64_t image, int64_t block) {
    const int64_t begin = cut_.Begin(block) * cut_.width;
    const T* x = ImageOf(x_, image);
    T* y = ImageOf(y_, image);
    const Affine affine = AffineOf(cut_, Rows(image));
    loops_.apply(x + begin, y + begin, cut_.RowsOf(block), cut_.width, affine, p_.silu,
                 stream_);
    if (block + 1 == cut_.blocks && cut_.tail > 0) {
      const auto row = PaddedTail(cut_, x);
      loops_.apply(row.get(), row.get(), 1, cut_.width, affine, p_.silu, false);
      std::copy_n(row.get(), cut_.tail, y + cut_.TailBegin());
    }
  }

 private:
  template <typename V>
  V* ImageOf(V* images, int64_t image) const {
    return images + image * ImageSize(p_);
  }
  double* MomentsOf(int64_t image) const {
    return moments_.get() + image * cut_.blocks * 2 * cut_.width;
  }
  float* Rows(int64_t image) const { return rows_.get() + image * kRows * cut_.width; }

  const Problem p_;
  const Cut cut_;
  const Loops<T> loops_;
  const T* const x_;
  const T* const bias_;
  const float* const gamma_;
  const float* const beta_;
  T* const y_;
  float* const mean_;
  float* const rstd_;
  const bool stream_;
  const std::unique_ptr<double[]> moments_;
  const std::unique_ptr<float[]> rows_;
};

template <typename T>
class Backward {
 public:
  Backward(const Problem& problem, const void* dy, const void* x, const void* bias,
           const float* gamma, const float* beta, const float* mean, const float* rstd,
           void* dx, void* dbias)
      : p_(problem),
        cut_(problem),
        loops_(CurrentLoops<T>()),
        dy_(static_cast<const T*>(dy)),
        x_(static_cast<const T*>(x)),
        bias_(static_cast<const T*>(bias)),
        gamma_(gamma),
        beta_(beta),
        mean_(mean),
        rstd_(rstd),
        dx_(static_cast<T*>(dx)),
        dbias_(static_cast<T*>(dbias)),
        stream_(p_.batch * ImageSize(p_) >= kStreamBytes / int64_t{sizeof(T)}),
        sums_(Uninitialised<double>(p_.batch * cut_.blocks * 3 * cut_.width)),
        rows_(Uninitialised<float>(p_.batch * kRows * cut_.width)) {}

  const Cut& cut() const { return cut_; }
  int64_t ImageBytes() const { return 3 * ImageSize(p_) * sizeof(T); }

  static constexpr bool kPrepares = true;
  void Prepare(int64_t image) {
    const float* mean = mean_ + image * p_.groups;
    const float* rstd = rstd_ + image * p_.groups;
    const auto bias = BiasRow(p_, cut_, loops_, bias_, image);
    auto means = Uninitialised<double>(2 * p_.groups);
    double* rstds = means.get() + p_.groups;
    std::copy_n(mean, p_.groups, means.get());
    std::copy_n(rstd, p_.groups, rstds);
    bool large = false;
    for (int64_t g = 0; g < p_.groups; ++g) {
      large |= std::abs(mean[g]) * rstd[g] > kLargeMean;
    }
    if (large) ExactMeans(image, bias.get(), means.get());
    const int64_t own = image * ParameterStride(p_);
    WriteAffine(p_, cut_, bias.get(), gamma_ + own, beta_ + own, means.get(), rstds,
                Rows(image));
  }

  void First(int64_t image, int64_t block) {
    const GradSums sums = SumsOf(image, block);
    std::fill_n(sums.g, 3 * cut_.width, 0.0);
    const int64_t begin = cut_.Begin(block) * cut_.width;
    Sum(ImageOf(dy_, image) + begin, ImageOf(x_, image) + begin, cut_.RowsOf(block),
        image, sums);
    if (block + 1 == cut_.blocks && cut_.tail > 0) SumTail(image, sums);
  }

  // Sums g, g * xhat and x - shift over positions, per channel. The first block of the
  // image receives the result.
  void Between(int64_t image) {
    const GradSums all = SumsOf(image, 0);
    double* const row = all.g;
    for (int64_t b = 1; b < cut_.blocks; ++b) {
      const double* more = SumsOf(image, b).g;
      for (int64_t i = 0; i < 3 * cut_.width; ++i) row[i] += more[i];
    }
    for (double* sum : {all.g, all.gx, all.x}) {
      for (int64_t i = p_.channels; i < cut_.width; ++i) {
        sum[i % p_.channels] += sum[i];
      }
    }
    for (int64_t g = 0; g < p_.groups; ++g) FinishGroup(image, g, all);
    for (Row row : {kSlope, kConstant}) {
      Repeat(Rows(image) + row * cut_.width, p_.channels, cut_.width);
    }
    if (dbias_ != nullptr) WriteBiasGradient(image, all);
  }

  void Second(int64_t image, int64_t block) {
    const int64_t begin = cut_.Begin(block) * cut_.width;
    const T* dy = ImageOf(dy_, image);
    const T* x = ImageOf(x_, image);
    T* dx = ImageOf(dx_, image);
    const Affine affine = AffineOf(cut_, Rows(image));
    const GradAffine grad = {Rows(image) + kSlope * cut_.width,
                             Rows(image) + kConstant * cut_.width};
    loops_.grad_apply(dy + begin, x + begin, dx + begin, cut_.RowsOf(block), cut_.width,
                      affine, grad, p_.silu, stream_);
    if (block + 1 == cut_.blocks && cut_.tail > 0) {
      const auto dy_row = PaddedTail(cut_, dy), x_row = PaddedTail(cut_, x);
      loops_.grad_apply(dy_row.get(), x_row.get(), x_row.get(), 1, cut_.width, affine,
                        grad, p_.silu, false);
      std::copy_n(x_row.get(), cut_.tail, dx + cut_.TailBegin());
    }
  }

  // After all images, always in the same order.
  void ParameterGradients(float* dgamma, float* dbeta) const {
    if (p_.own_parameters) {
      for (int64_t n = 0; n < p_.batch; ++n) {
        const GradSums sums = SumsOf(n, 0);
        std::copy_n(sums.gx, p_.channels, dgamma + n * p_.channels);
        std::copy_n(sums.g, p_.channels, dbeta + n * p_.channels);
      }
      return;
    }
    auto total = std::make_unique<double[]>(2 * p_.channels);
    for (int64_t n = 0; n < p_.batch; ++n) {
      const GradSums sums = SumsOf(n, 0);
      for (int64_t c = 0; c < p_.channels; ++c) {
        total[c] += sums.gx[c];
        total[p_.channels + c] += sums.g[c];
      }
    }
    std::copy_n(total.get(), p_.channels, dgamma);
    std::copy_n(total.get() + p_.channels, p_.channels, dbeta);
  }

 private:
  // The relative error of a float32 mean is up to 2^-24, which is not negligible if the
  // mean is thousands of deviations large.
  void ExactMeans(int64_t image, const float* bias, double* means) const {
    const T* x = ImageOf(x_, image);
    auto blocks = Uninitialised<double>(cut_.blocks * 2 * cut_.width);
    for (int64_t b = 0; b < cut_.blocks; ++b) {
      BlockMoments(cut_, loops_, x, b, blocks.get());
    }
    const Moments channels = ChannelMoments(p_, cut_, loops_, x, blocks.get());
    for (int64_t g = 0; g < p_.groups; ++g) {
      means[g] = OfGroup(p_, channels, bias, g).mean;
    }
  }

  void Sum(const T* dy, const T* x, int64_t rows, int64_t image, GradSums sums) const {
    if (dbias_ == nullptr) sums.x = nullptr;
    loops_.grad_sums(dy, x, rows, cut_.width, AffineOf(cut_, Rows(image)), p_.silu,
                     sums);
  }

  void SumTail(int64_t image, GradSums sums) const {
    const auto dy = PaddedTail(cut_, ImageOf(dy_, image));
    const auto x = PaddedTail(cut_, ImageOf(x_, image));
    auto of_tail = std::make_unique<double[]>(3 * cut_.width);
    Sum(dy.get(), x.get(), 1, image,
        {of_tail.get(), of_tail.get() + cut_.width, of_tail.get() + 2 * cut_.width});
    for (int64_t row = 0; row < 3; ++row) {
      for (int64_t i = row * cut_.width; i < row * cut_.width + cut_.tail; ++i) {
        sums.g[i] += of_tail[i];
      }
    }
  }

  // dx = rstd * (gamma * g - avg(gamma * g) - xhat * avg(gamma * g * xhat)), with
  // xhat = (x - shift - rest) * rstd.
  void FinishGroup(int64_t image, int64_t group, GradSums sums) const {
    const double rstd = rstd_[image * p_.groups + group];
    const int64_t begin = group * GroupChannels(p_), end = begin + GroupChannels(p_);
    const float* gamma = gamma_ + image * ParameterStride(p_);
    float* rows = Rows(image);
    const float* rest = rows + kRest * cut_.width;
    double avg_g = 0.0, avg_gx = 0.0;
    for (int64_t c = begin; c < end; ++c) {
      sums.gx[c] = (sums.gx[c] - rest[c] * sums.g[c]) * rstd;
      avg_g += gamma[c] * sums.g[c];
      avg_gx += gamma[c] * sums.gx[c];
    }
    const double size = std::max<double>(1.0, static_cast<double>(GroupSize(p_)));
    avg_g /= size;
    avg_gx /= size;
    for (int64_t c = begin; c < end; ++c) {
      const double slope = -rstd * rstd * avg_gx;
      rows[kSlope * cut_.width + c] = static_cast<float>(slope);
      rows[kConstant * cut_.width + c] =
          static_cast<float>(-rstd * avg_g - rest[c] * slope);
    }
  }

  // The sum over positions of dx.
  void WriteBiasGradient(int64_t image, GradSums sums) const {
    auto row = std::make_unique<float[]>(cut_.width);
    auto narrow = Uninitialised<T>(cut_.width);
    const float* scale = Rows(image) + kScale * cut_.width;
    const float* slope = Rows(image) + kSlope * cut_.width;
    const float* constant = Rows(image) + kConstant * cut_.width;
    for (int64_t c = 0; c < p_.channels; ++c) {
      const double positions = static_cast<double>(p_.positions);
      row[c] = static_cast<float>(scale[c] * sums.g[c] + slope[c] * sums.x[c] +
                                  constant[c] * positions);
    }
    loops_.narrow(row.get(), narrow.get(), cut_.width);
    std::copy_n(narrow.get(), p_.channels, dbias_ + image * p_.channels);
  }

  template <typename V>
  V* ImageOf(V* images, int64_t image) const {
    return images + image * ImageSize(p_);
  }
  GradSums SumsOf(int64_t image, int64_t block) const {
    double* g = sums_.get() + (image * cut_.blocks + block) * 3 * cut_.width;
    return {g, g + cut_.width, g + 2 * cut_.width};
  }
  float* Rows(int64_t image) const { return rows_.get() + image * kRows * cut_.width; }

  const Problem p_;
  const Cut cut_;
  const Loops<T> loops_;
  const T* const dy_;
  const T* const x_;
  const T* const bias_;
  const float* const gamma_;
  const float* const beta_;
  const float* const mean_;
  const float* const rstd_;
  T* const dx_;
  T* const dbias_;
  const bool stream_;
  const std::unique_ptr<double[]> sums_;
  const std::unique_ptr<float[]> rows_;
};

// Two passes over each image. If images are many and not too large, each stays on one
// core; otherwise cores share their blocks. The second pass runs backwards, because the
// values that the first pass read last are still in the caches.
template <typename Work>
class Passes {
 public:
  Passes(Work* work, const Problem& problem, const Parallel& parallel)
      : work_(work),
        batch_(problem.batch),
        blocks_(work->cut().blocks),
        image_cost_(ImageSize(problem)),
        parallel_(parallel) {}

  void Run() const {
    const int64_t bytes = work_->ImageBytes();
    const bool even = batch_ % parallel_.threads == 0;
    const bool many = batch_ >= 4 * parallel_.threads;
    if (parallel_.threads == 1 || (bytes <= kOneCoreBytes && (even || many))) {
      parallel_.run(batch_, 2 * image_cost_, [this](int64_t begin, int64_t end) {
        for (int64_t image = begin; image < end; ++image) Whole(image);
      });
      return;
    }
    const int64_t images =
        std::max<int64_t>(1, kPassBytes / std::max<int64_t>(1, bytes));
    for (int64_t begin = 0; begin < batch_; begin += images) {
      Shared(begin, std::min(batch_, begin + images));
    }
  }

 private:
  void Whole(int64_t image) const {
    work_->Prepare(image);
    for (int64_t b = 0; b < blocks_; ++b) work_->First(image, b);
    work_->Between(image);
    for (int64_t b = blocks_ - 1; b >= 0; --b) work_->Second(image, b);
  }

  void Shared(int64_t first, int64_t last) const {
    const int64_t images = last - first, units = images * blocks_;
    const int64_t cost = image_cost_ / blocks_;
    const auto each_image = [&](void (Work::*step)(int64_t)) {
      parallel_.run(images, cost / 16, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) (work_->*step)(first + i);
      });
    };
    if (Work::kPrepares) each_image(&Work::Prepare);
    parallel_.run(units, cost, [&](int64_t begin, int64_t end) {
      for (int64_t u = begin; u < end; ++u) {
        work_->First(first + u / blocks_, u % blocks_);
      }
    });
    each_image(&Work::Between);
    parallel_.run(units, cost, [&](int64_t begin, int64_t end) {
      for (int64_t u = end - 1; u >= begin; --u) {
        work_->Second(first + u / blocks_, u % blocks_);
      }
    });
  }

  Work* const work_;
  const int64_t batch_, blocks_, image_cost_;
  const Parallel& parallel_;
};

template <typename T>
void RunForward(const Problem& problem, const void* x, const void* bias,
                const float* gamma, const float* beta, void* y, float* mean,
                float* rstd, const Parallel& parallel) {
  if (problem.batch == 0) return;
  Forward<T> work(problem, x, bias, gamma, beta, y, mean, rstd);
  Passes<Forward<T>>(&work, problem, parallel).Run();
}

template <typename T>
void RunBackward(const Problem& problem, const void* dy, const void* x,
                 const void* bias, const float* gamma, const float* beta,
                 const float* mean, const float* rstd, void* dx, void* dbias,
                 float* dgamma, float* dbeta, const Parallel& parallel) {
  Backward<T> work(problem, dy, x, bias, gamma, beta, mean, rstd, dx, dbias);
  if (problem.batch > 0) Passes<Backward<T>>(&work, problem, parallel).Run();
  work.ParameterGradients(dgamma, dbeta);
}

}  // namespace
}  // namespace cpu

Parallel Serial() {
  return {1, [](int64_t total, int64_t cost, const Parallel::Work& work) {
            work(0, total);
          }};
}

void GroupNormSiluForward(const Problem& problem, const void* x, const void* bias,
                          const float* gamma, const float* beta, void* y, float* mean,
                          float* rstd, const Parallel& parallel) {
  const auto run = [&](auto forward) {
    forward(problem, x, bias, gamma, beta, y, mean, rstd, parallel);
  };
  switch (problem.dtype) {
    case DType::kFloat32:
      return run(cpu::RunForward<float>);
    case DType::kBFloat16:
      return run(cpu::RunForward<cpu::BFloat16>);
    case DType::kFloat16:
      return run(cpu::RunForward<cpu::Float16>);
  }
}

void GroupNormSiluBackward(const Problem& problem, const void* dy, const void* x,
                           const void* bias, const float* gamma, const float* beta,
                           const float* mean, const float* rstd, void* dx, void* dbias,
                           float* dgamma, float* dbeta, const Parallel& parallel) {
  const auto run = [&](auto backward) {
    backward(problem, dy, x, bias, gamma, beta, mean, rstd, dx, dbias, dgamma, dbeta,
             parallel);
  };
  switch (problem.dtype) {
    case DType::kFloat32:
      return run(cpu::RunBackward<float>);
    case DType::kBFloat16:
      return run(cpu::RunBackward<cpu::BFloat16>);
    case DType::kFloat16:
      return run(cpu::RunBackward<cpu::Float16>);
  }
}

const char* SimdName() {
  switch (cpu::CurrentSimd()) {
    case cpu::Simd::kAvx512:
      return "avx512";
    case cpu::Simd::kAvx2:
      return "avx2";
    case cpu::Simd::kBaseline:
      return "baseline";
  }
  return "";
}

}  // namespace tf_student

extern "C" const char* TfStudentSimdName() { return tf_student::SimdName(); }
