// Checks the CUDA launchers against float64 on the host, and prints their bandwidth and
// that of a device copy. The Makefile in this folder builds it with nvcc or, without a
// GPU, with g++ and emulation/.
//
//     check_cuda [RANDOM_CASES [small]]
//     check_cuda time
//
// `small` limits the check to small tensors; `time` times and checks nothing.
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "custom_ops/group_norm_silu/cc/kernels/group_norm_silu_cuda.h"

namespace tf_student {
namespace {

void CheckCuda(int error, const char* what) {
  if (error == 0) return;
  std::fprintf(stderr, "%s: %s\n", what,
               cudaGetErrorString(static_cast<cudaError_t>(error)));
  std::exit(1);
}

// Device memory, filled with NaNs. It ends where its allocation ends, so that a memory
// checker detects accesses beyond it.
class Buffer {
 public:
  explicit Buffer(size_t bytes) : bytes_(bytes) {
    CheckCuda(cudaMalloc(&data_, std::max<size_t>(bytes, 1)), "cudaMalloc");
    Poison();
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { cudaFree(data_); }

  void Poison() { CheckCuda(cudaMemset(data_, 0xff, bytes_), "cudaMemset"); }
  void* data() const { return data_; }
  float* floats() const { return static_cast<float*>(data_); }
  size_t bytes() const { return bytes_; }

 private:
  void* data_ = nullptr;
  size_t bytes_;
};

size_t ValueBytes(DType dtype) { return dtype == DType::kFloat32 ? 4 : 2; }

const char* Name(DType dtype) {
  return dtype == DType::kFloat32    ? "float32"
         : dtype == DType::kBFloat16 ? "bfloat16"
                                     : "float16";
}

// Half a unit in the last place, plus the error of float32 arithmetic.
double Tolerance(DType dtype) {
  return dtype == DType::kFloat32    ? 2e-5
         : dtype == DType::kBFloat16 ? 1.0 / 256 + 1e-4
                                     : 1.0 / 2048 + 1e-4;
}

void Store(const std::vector<float>& values, DType dtype, std::vector<char>* bytes) {
  bytes->resize(values.size() * ValueBytes(dtype));
  for (size_t i = 0; i < values.size(); ++i) {
    const __nv_bfloat16 brain = __float2bfloat16_rn(values[i]);
    const __half half = __float2half_rn(values[i]);
    const void* from = dtype == DType::kFloat32 ? static_cast<const void*>(&values[i])
                       : dtype == DType::kBFloat16 ? static_cast<const void*>(&brain)
                                                   : static_cast<const void*>(&half);
    std::memcpy(bytes->data() + i * ValueBytes(dtype), from, ValueBytes(dtype));
  }
}

std::vector<double> Load(const std::vector<char>& bytes, DType dtype) {
  std::vector<double> values(bytes.size() / ValueBytes(dtype));
  for (size_t i = 0; i < values.size(); ++i) {
    const char* from = bytes.data() + i * ValueBytes(dtype);
    float single;
    __nv_bfloat16 brain;
    __half half;
    std::memcpy(&single, from, dtype == DType::kFloat32 ? 4 : 0);
    std::memcpy(&brain, from, 2);
    std::memcpy(&half, from, 2);
    values[i] = dtype == DType::kFloat32    ? single
                : dtype == DType::kBFloat16 ? __bfloat162float(brain)
                                            : __half2float(half);
  }
  return values;
}

std::vector<char> Fetch(const Buffer& buffer) {
  std::vector<char> bytes(buffer.bytes());
  CheckCuda(
      cudaMemcpy(bytes.data(), buffer.data(), bytes.size(), cudaMemcpyDeviceToHost),
      "cudaMemcpy");
  return bytes;
}

void Send(const std::vector<char>& bytes, Buffer* buffer) {
  CheckCuda(
      cudaMemcpy(buffer->data(), bytes.data(), bytes.size(), cudaMemcpyHostToDevice),
      "cudaMemcpy");
}

struct Case {
  Problem problem;
  bool bias;
  double mean = 0.5;
  double deviation = 1.0;

  int64_t parameters() const {
    return problem.channels * (problem.own_parameters ? problem.batch : 1);
  }
};

// The inputs, rounded as on the device, and float64 results from them.
struct Reference {
  std::vector<double> x, dy, bias, gamma, beta;
  std::vector<double> y, mean, rstd, dx, dbias, dgamma, dbeta;
  // Sums of the magnitudes that cancel in the gradients.
  std::vector<double> dbias_size, dgamma_size, dbeta_size;
};

void Activate(bool silu, double z, double* value, double* slope) {
  const double s = 1.0 / (1.0 + std::exp(-z));
  *value = silu ? z * s : z;
  *slope = silu ? s * (1.0 + z * (1.0 - s)) : 1.0;
}

// One group of an image: forward with float64 statistics, backward with the arguments.
void ReferGroup(const Case& c, int64_t image, int64_t group, Reference* r) {
  const Problem& p = c.problem;
  const int64_t width = p.channels / p.groups;
  const double size = static_cast<double>(p.positions * width);
  const int64_t at = image * p.groups + group;
  const auto each = [&](auto visit) {
    for (int64_t i = 0; i < p.positions; ++i) {
      for (int64_t k = 0; k < width; ++k) {
        const int64_t channel = group * width + k;
        const int64_t biased = image * p.channels + channel;
        const int64_t index = (image * p.positions + i) * p.channels + channel;
        const int64_t parameter = image * ParameterStride(p) + channel;
        visit(index, parameter, biased, r->x[index] + r->bias[biased]);
      }
    }
  };
  double mean = 0, variance = 0;
  each([&](int64_t, int64_t, int64_t, double v) { mean += v / size; });
  each([&](int64_t, int64_t, int64_t, double v) {
    variance += (v - mean) * (v - mean) / size;
  });
  const double rstd = 1.0 / std::sqrt(variance + p.epsilon);
  each([&](int64_t index, int64_t parameter, int64_t, double v) {
    double slope;
    Activate(p.silu, r->gamma[parameter] * (v - mean) * rstd + r->beta[parameter],
             &r->y[index], &slope);
  });
  // The backward pass on the device receives float32 statistics.
  const double given_mean = static_cast<float>(mean);
  const double given_rstd = static_cast<float>(rstd);
  r->mean[at] = given_mean;
  r->rstd[at] = given_rstd;
  double sum_g = 0, sum_gx = 0;
  const auto gradient = [&](int64_t index, int64_t parameter, double v, double* xhat) {
    double value, slope;
    *xhat = (v - given_mean) * given_rstd;
    Activate(p.silu, r->gamma[parameter] * *xhat + r->beta[parameter], &value, &slope);
    return r->dy[index] * slope;
  };
  each([&](int64_t index, int64_t parameter, int64_t, double v) {
    double xhat;
    const double g = gradient(index, parameter, v, &xhat);
    r->dgamma[parameter] += g * xhat;
    r->dbeta[parameter] += g;
    r->dgamma_size[parameter] += std::abs(g * xhat);
    r->dbeta_size[parameter] += std::abs(g);
    sum_g += r->gamma[parameter] * g / size;
    sum_gx += r->gamma[parameter] * g * xhat / size;
  });
  each([&](int64_t index, int64_t parameter, int64_t biased, double v) {
    double xhat;
    const double g = gradient(index, parameter, v, &xhat);
    r->dx[index] = given_rstd * (r->gamma[parameter] * g - sum_g - xhat * sum_gx);
    r->dbias[biased] += r->dx[index];
    r->dbias_size[biased] += given_rstd * (std::abs(r->gamma[parameter] * g) +
                                           std::abs(sum_g) + std::abs(xhat * sum_gx));
  });
}

void Refer(const Case& c, Reference* r) {
  const Problem& p = c.problem;
  r->y.resize(r->x.size());
  r->dx.resize(r->x.size());
  r->mean.resize(p.batch * p.groups);
  r->rstd.resize(p.batch * p.groups);
  for (auto* each : {&r->dbias, &r->dbias_size}) each->assign(p.batch * p.channels, 0);
  for (auto* each : {&r->dgamma, &r->dbeta, &r->dgamma_size, &r->dbeta_size}) {
    each->assign(c.parameters(), 0);
  }
  for (int64_t image = 0; image < p.batch; ++image) {
    for (int64_t group = 0; group < p.groups; ++group) ReferGroup(c, image, group, r);
  }
}

std::vector<float> Draw(size_t count, double mean, double deviation,
                        std::mt19937_64* random) {
  std::normal_distribution<double> normal(mean, deviation);
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(normal(*random));
  return values;
}

bool Agrees(const char* name, const std::vector<double>& got,
            const std::vector<double>& want, double tolerance,
            const std::vector<double>* size = nullptr) {
  double square = 0;
  for (double value : want) square += value * value / static_cast<double>(want.size());
  const double typical = std::sqrt(square);
  for (size_t i = 0; i < want.size(); ++i) {
    const double scale = size == nullptr ? typical : (*size)[i] * 0.05 + 1e-3 * typical;
    const double limit = tolerance * (std::abs(want[i]) + scale) + 1e-30;
    if (!(std::abs(got[i] - want[i]) <= limit)) {
      std::printf("  %s[%zu] is %.9g, not %.9g\n", name, i, got[i], want[i]);
      return false;
    }
  }
  return true;
}

std::string Describe(const Case& c) {
  char text[160];
  const Problem& p = c.problem;
  std::snprintf(
      text, sizeof(text), "%lld x %lld x %lld, %lld groups, %s, %s%s%s, mean %g",
      static_cast<long long>(p.batch), static_cast<long long>(p.positions),
      static_cast<long long>(p.channels), static_cast<long long>(p.groups),
      Name(p.dtype), p.silu ? "silu" : "none", c.bias ? ", bias" : "",
      p.own_parameters ? ", own parameters" : "", c.mean);
  return text;
}

// The device tensors of one case.
struct Tensors {
  explicit Tensors(const Case& c)
      : values(c.problem.batch * c.problem.positions * c.problem.channels *
               ValueBytes(c.problem.dtype)),
        biases(c.problem.batch * c.problem.channels * ValueBytes(c.problem.dtype)),
        x(values),
        dy(values),
        bias(biases),
        gamma(c.parameters() * 4),
        beta(c.parameters() * 4),
        y(values),
        dx(values),
        dbias(biases),
        mean(c.problem.batch * c.problem.groups * 4),
        rstd(mean.bytes()),
        dgamma(gamma.bytes()),
        dbeta(gamma.bytes()),
        forward(ForwardScratchBytes(c.problem)),
        backward(BackwardScratchBytes(c.problem)) {}

  std::vector<Buffer*> outputs() {
    return {&y, &mean, &rstd, &dx, &dbias, &dgamma, &dbeta};
  }
  void Poison() {
    for (Buffer* output : outputs()) output->Poison();
    forward.Poison();
    backward.Poison();
  }

  size_t values, biases;
  Buffer x, dy, bias, gamma, beta, y, dx, dbias, mean, rstd, dgamma, dbeta;
  Buffer forward, backward;
};

void RunForward(const Case& c, Tensors* t) {
  CheckCuda(
      LaunchForward(nullptr, c.problem, t->x.data(), c.bias ? t->bias.data() : nullptr,
                    t->gamma.floats(), t->beta.floats(), t->y.data(), t->mean.floats(),
                    t->rstd.floats(), t->forward.data()),
      "LaunchForward");
}

void RunBackward(const Case& c, Tensors* t) {
  CheckCuda(LaunchBackward(nullptr, c.problem, t->dy.data(), t->x.data(),
                           c.bias ? t->bias.data() : nullptr, t->gamma.floats(),
                           t->beta.floats(), t->mean.floats(), t->rstd.floats(),
                           t->dx.data(), c.bias ? t->dbias.data() : nullptr,
                           t->dgamma.floats(), t->dbeta.floats(), t->backward.data()),
            "LaunchBackward");
}

std::vector<std::vector<char>> Run(const Case& c, Tensors* t) {
  t->Poison();
  RunForward(c, t);
  RunBackward(c, t);
  CheckCuda(cudaDeviceSynchronize(), "kernels");
  std::vector<std::vector<char>> results;
  for (Buffer* output : t->outputs()) results.push_back(Fetch(*output));
  return results;
}

void Fill(const Case& c, std::mt19937_64* random, Tensors* t, Reference* r) {
  const Problem& p = c.problem;
  const size_t count = p.batch * p.positions * p.channels;
  std::vector<char> bytes;
  const auto fill = [&](size_t n, double mean, double deviation, DType dtype,
                        Buffer* buffer) {
    Store(Draw(n, mean, deviation, random), dtype, &bytes);
    Send(bytes, buffer);
    return Load(bytes, dtype);
  };
  r->x = fill(count, c.mean, c.deviation, p.dtype, &t->x);
  r->dy = fill(count, 0, 1, p.dtype, &t->dy);
  r->bias = fill(p.batch * p.channels, 0, c.deviation, p.dtype, &t->bias);
  r->gamma = fill(c.parameters(), 1, 0.3, DType::kFloat32, &t->gamma);
  r->beta = fill(c.parameters(), 0, 0.3, DType::kFloat32, &t->beta);
  if (!c.bias) std::fill(r->bias.begin(), r->bias.end(), 0.0);
}

bool Check(const Case& c, std::mt19937_64* random) {
  Tensors t(c);
  Reference r;
  Fill(c, random, &t, &r);
  Refer(c, &r);
  const auto first = Run(c, &t);
  const auto second = Run(c, &t);
  const DType dtype = c.problem.dtype;
  const double tolerance = Tolerance(dtype);
  // The mean rounds by a unit in its last place, which affects the backward pass.
  const double coarse =
      tolerance + 2e-7 * std::abs(c.mean) / std::max(c.deviation, 1e-30);
  bool good = Agrees("y", Load(first[0], dtype), r.y, tolerance);
  good &= Agrees("mean", Load(first[1], DType::kFloat32), r.mean, 1e-6);
  good &= Agrees("rstd", Load(first[2], DType::kFloat32), r.rstd, 1e-5);
  good &= Agrees("dx", Load(first[3], dtype), r.dx, coarse);
  if (c.bias) {
    good &= Agrees("dbias", Load(first[4], dtype), r.dbias, coarse, &r.dbias_size);
  }
  good &= Agrees("dgamma", Load(first[5], DType::kFloat32), r.dgamma, 2e-5 + coarse,
                 &r.dgamma_size);
  good &= Agrees("dbeta", Load(first[6], DType::kFloat32), r.dbeta, 2e-5 + coarse,
                 &r.dbeta_size);
  for (size_t i = 0; i < first.size(); ++i) {
    if (first[i] != second[i]) {
      std::printf("  output %zu differs from run to run\n", i);
      good = false;
    }
  }
  std::printf("%s  %s\n", good ? "good" : "BAD ", Describe(c).c_str());
  return good;
}

Case MakeCase(int64_t batch, int64_t positions, int64_t channels, int64_t groups,
              DType dtype, bool silu, bool bias, bool own = false) {
  Case c;
  c.problem = {batch, positions, channels, groups, 1e-6f, silu, dtype, own};
  c.bias = bias;
  return c;
}

struct Shape {
  int64_t batch, channels, height, width;
  int64_t positions() const { return height * width; }
};

constexpr DType kDTypes[] = {DType::kFloat32, DType::kBFloat16, DType::kFloat16};

// The shapes of the UNet, and unusual ones: one position, one channel, rows that are
// not whole packs, groups wider than a block, more images than blocks, no images.
std::vector<Case> FixedCases(bool small) {
  const int64_t s = small ? 4 : 1;
  const std::vector<Shape> unet = {{small ? 3 : 16, 128, 32 / s, 32},
                                   {small ? 3 : 16, 256, 16 / s, 16},
                                   {small ? 2 : 8, 128, 64 / s, 64 / s},
                                   {small ? 1 : 2, 128, 256 / s / 2, 256 / s}};
  std::vector<Case> cases;
  for (DType dtype : kDTypes) {
    for (const Shape& shape : unet) {
      for (bool silu : {true, false}) {
        const bool bias = silu;
        cases.push_back(MakeCase(shape.batch, shape.positions(), shape.channels, 32,
                                 dtype, silu, bias));
      }
    }
    cases.push_back(MakeCase(0, 16, 64, 32, dtype, true, true));
    cases.push_back(MakeCase(3, 0, 64, 32, dtype, true, true));
    cases.push_back(MakeCase(5, 1, 64, 8, dtype, true, true));
    cases.push_back(MakeCase(40, 1, 512, 32, dtype, true, false));
    cases.push_back(MakeCase(2, 7, 1, 1, dtype, true, true));
    cases.push_back(MakeCase(2, 500, 15, 5, dtype, false, true));
    cases.push_back(MakeCase(1, 777, 33, 3, dtype, true, false));
    cases.push_back(MakeCase(1, 90, 2304, 1, dtype, true, true));
    cases.push_back(MakeCase(2, 9, 4104, 3, dtype, true, true));
    cases.push_back(MakeCase(70, 2, 24, 12, dtype, true, true));
    cases.push_back(MakeCase(2, 3001, 40, 5, dtype, true, true));
    cases.push_back(MakeCase(3, 500, 64, 32, dtype, true, false, true));
    cases.push_back(MakeCase(2, 3001, 40, 5, dtype, true, true, true));
    cases.push_back(MakeCase(3, 0, 64, 32, dtype, true, true, true));
  }
  Case far = MakeCase(2, 3000, 64, 16, DType::kFloat32, true, true);
  far.mean = 1e3;
  far.deviation = 1e-2;
  cases.push_back(far);
  far.problem.channels = 60;
  far.problem.groups = 4;
  far.problem.silu = false;
  cases.push_back(far);
  return cases;
}

Case RandomCase(std::mt19937_64* random, int64_t most) {
  const auto draw = [&](int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(*random);
  };
  const int64_t groups = draw(1, 33);
  const int64_t channels = groups * draw(1, 12) * (draw(0, 1) ? 4 : 1);
  const int64_t batch = draw(1, 6);
  const int64_t positions = draw(1, std::max<int64_t>(1, most / channels / batch));
  return MakeCase(batch, positions, channels, groups, kDTypes[draw(0, 2)], draw(0, 1),
                  draw(0, 1), draw(0, 1));
}

int CheckAll(bool small, int random_cases) {
  std::mt19937_64 random(1);
  int bad = 0;
  int count = 0;
  for (const Case& c : FixedCases(small)) bad += !Check(c, &random), ++count;
  for (int i = 0; i < random_cases; ++i, ++count) {
    bad += !Check(RandomCase(&random, small ? 200000 : 4000000), &random);
  }
  std::printf("%d of %d cases agree with float64 and repeat bit for bit\n", count - bad,
              count);
  return bad == 0 ? 0 : 1;
}

#ifndef TF_STUDENT_EMULATED_CUDA
// The median of several timings of `run`, in seconds. It alternates between tensors, so
// that a small tensor is not timed in the L2 cache.
template <typename Call>
double Seconds(const Call& run) {
  constexpr int kWarm = 5;
  constexpr int kTimes = 30;
  cudaEvent_t start, stop;
  CheckCuda(cudaEventCreate(&start), "cudaEventCreate");
  CheckCuda(cudaEventCreate(&stop), "cudaEventCreate");
  std::vector<float> times;
  for (int i = 0; i < kWarm + kTimes; ++i) {
    CheckCuda(cudaEventRecord(start), "cudaEventRecord");
    run(i);
    CheckCuda(cudaEventRecord(stop), "cudaEventRecord");
    CheckCuda(cudaEventSynchronize(stop), "cudaEventSynchronize");
    float milliseconds;
    CheckCuda(cudaEventElapsedTime(&milliseconds, start, stop), "cudaEventElapsedTime");
    if (i >= kWarm) times.push_back(milliseconds / 1e3f);
  }
  CheckCuda(cudaEventDestroy(start), "cudaEventDestroy");
  CheckCuda(cudaEventDestroy(stop), "cudaEventDestroy");
  std::nth_element(times.begin(), times.begin() + kTimes / 2, times.end());
  return times[kTimes / 2];
}

void Report(const char* name, double seconds, double bytes, double copy) {
  const double rate = bytes / seconds;
  std::printf("  %-9s %9.1f us  %6.0f GB/s  %5.1f %% of the copy\n", name,
              seconds * 1e6, rate / 1e9, 100 * rate / copy);
}

// Normal values; a block of them is repeated, because drawing takes long.
void FillRepeated(DType dtype, Buffer* buffer) {
  std::mt19937_64 random(1);
  std::vector<char> block;
  Store(Draw(size_t{1} << 20, 0, 1, &random), dtype, &block);
  for (size_t at = 0; at < buffer->bytes(); at += block.size()) {
    CheckCuda(cudaMemcpy(static_cast<char*>(buffer->data()) + at, block.data(),
                         std::min(block.size(), buffer->bytes() - at),
                         cudaMemcpyHostToDevice),
              "cudaMemcpy");
  }
}

void Time(const Shape& shape, DType dtype) {
  constexpr size_t kTurnBytes = 512 << 20;
  const Case c =
      MakeCase(shape.batch, shape.positions(), shape.channels, 32, dtype, true, false);
  const size_t bytes =
      shape.batch * shape.positions() * shape.channels * ValueBytes(dtype);
  std::vector<std::unique_ptr<Tensors>> turns;
  const size_t count = std::clamp<size_t>(kTurnBytes / bytes, 1, 8);
  for (size_t i = 0; i < count; ++i) {
    turns.push_back(std::make_unique<Tensors>(c));
    FillRepeated(dtype, &turns[i]->x);
    FillRepeated(dtype, &turns[i]->dy);
    FillRepeated(DType::kFloat32, &turns[i]->gamma);
    FillRepeated(DType::kFloat32, &turns[i]->beta);
  }
  const auto turn = [&](int i) { return turns[i % count].get(); };
  const double copy = Seconds([&](int i) {
    CheckCuda(cudaMemcpyAsync(turn(i)->y.data(), turn(i)->x.data(), bytes,
                              cudaMemcpyDeviceToDevice),
              "cudaMemcpyAsync");
  });
  const double rate = 2.0 * bytes / copy;
  std::printf("%lld,%lld,%lld,%lld %s\n", static_cast<long long>(shape.batch),
              static_cast<long long>(shape.channels),
              static_cast<long long>(shape.height), static_cast<long long>(shape.width),
              Name(dtype));
  Report("copy", copy, 2.0 * bytes, rate);
  Report("forward", Seconds([&](int i) { RunForward(c, turn(i)); }), 2.0 * bytes, rate);
  Report("backward", Seconds([&](int i) { RunBackward(c, turn(i)); }), 3.0 * bytes,
         rate);
}

void TimeAll() {
  const std::vector<Shape> shapes = {{16, 128, 32, 32},   {128, 128, 32, 32},
                                     {128, 256, 16, 16},  {64, 128, 64, 64},
                                     {32, 256, 64, 64},   {2, 128, 256, 256},
                                     {16, 128, 256, 256}, {64, 128, 256, 256}};
  for (DType dtype : {DType::kFloat32, DType::kBFloat16}) {
    for (const Shape& shape : shapes) Time(shape, dtype);
  }
}
#endif

int Main(int argc, char** argv) {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
    std::printf("no GPU is present: the kernels were built and not run\n");
    return 0;
  }
  cudaDeviceProp properties;
  CheckCuda(cudaGetDeviceProperties(&properties, 0), "cudaGetDeviceProperties");
  std::printf("device: %s\n", properties.name);
#ifdef TF_STUDENT_EMULATED_CUDA
  const bool small = true;
#else
  const bool small = argc > 2 && std::strcmp(argv[2], "small") == 0;
#endif
#ifndef TF_STUDENT_EMULATED_CUDA
  if (argc > 1 && std::strcmp(argv[1], "time") == 0) {
    TimeAll();
    return 0;
  }
#endif
  return CheckAll(small, argc > 1 ? std::atoi(argv[1]) : 40);
}

}  // namespace
}  // namespace tf_student

int main(int argc, char** argv) { return tf_student::Main(argc, argv); }
