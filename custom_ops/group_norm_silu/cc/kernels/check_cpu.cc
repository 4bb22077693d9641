// Runs the CPU kernels on arrays of exactly the required sizes, for a build with
// sanitizers, and compares the bits of two threads with those of one.
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include "custom_ops/group_norm_silu/cc/kernels/group_norm_silu_cpu.h"

namespace tf_student {
namespace {

using Bytes = std::vector<char>;

Parallel TwoThreads() {
  return {2, [](int64_t total, int64_t cost, const Parallel::Work& work) {
            const int64_t half = total / 2;
            if (half == 0) return work(0, total);
            std::thread other([&] { work(half, total); });
            work(0, half);
            other.join();
          }};
}

int64_t SizeOf(DType dtype) { return dtype == DType::kFloat32 ? 4 : 2; }

// Finite values of any type.
Bytes Random(int64_t count, DType dtype, std::mt19937* random) {
  Bytes bytes(count * SizeOf(dtype));
  std::uniform_real_distribution<float> uniform(-2.0f, 2.0f);
  for (int64_t i = 0; i < count; ++i) {
    const float value = uniform(*random);
    if (dtype == DType::kFloat32) {
      std::memcpy(&bytes[4 * i], &value, 4);
      continue;
    }
    // The upper half of a float32 is a bfloat16; as a float16 it is below 2.
    uint32_t bits;
    std::memcpy(&bits, &value, 4);
    const uint16_t upper = dtype == DType::kBFloat16 ? bits >> 16 : bits & 0xbfff;
    std::memcpy(&bytes[2 * i], &upper, 2);
  }
  return bytes;
}

// All outputs, one after another.
Bytes Run(const Problem& p, bool bias, const Parallel& parallel) {
  std::mt19937 random(1);
  const int64_t size = p.batch * p.positions * p.channels;
  const int64_t biases = bias ? p.batch * p.channels : 0;
  const int64_t statistics = p.batch * p.groups;
  const Bytes x = Random(size, p.dtype, &random), dy = Random(size, p.dtype, &random);
  const Bytes b = Random(biases, p.dtype, &random);
  const int64_t parameters = p.channels * (p.own_parameters ? p.batch : 1);
  const std::vector<float> gamma(parameters, 0.7f), beta(parameters, 0.1f);
  Bytes y(x.size()), dx(x.size()), dbias(b.size());
  std::vector<float> mean(statistics), rstd(statistics);
  std::vector<float> dgamma(parameters), dbeta(parameters);
  const void* bias_in = bias ? b.data() : nullptr;
  GroupNormSiluForward(p, x.data(), bias_in, gamma.data(), beta.data(), y.data(),
                       mean.data(), rstd.data(), parallel);
  GroupNormSiluBackward(p, dy.data(), x.data(), bias_in, gamma.data(), beta.data(),
                        mean.data(), rstd.data(), dx.data(),
                        bias ? dbias.data() : nullptr, dgamma.data(), dbeta.data(),
                        parallel);
  Bytes all;
  for (const Bytes* part : {&y, &dx, &dbias}) {
    all.insert(all.end(), part->begin(), part->end());
  }
  for (const std::vector<float>* part : {&mean, &rstd, &dgamma, &dbeta}) {
    const char* data = reinterpret_cast<const char*>(part->data());
    all.insert(all.end(), data, data + 4 * part->size());
  }
  return all;
}

int Check() {
  // Batch, positions, channels, groups.
  const int64_t shapes[][4] = {{2, 64, 32, 8},  {3, 35, 33, 3},   {1, 1, 16, 4},
                               {2, 3, 8, 2},    {0, 9, 8, 2},     {1, 1, 1, 1},
                               {3, 257, 40, 5}, {1, 3000, 48, 1}, {5, 7, 100, 10},
                               {2, 2, 130, 13}};
  int failures = 0;
  for (const auto& s : shapes) {
    for (DType dtype : {DType::kFloat32, DType::kBFloat16, DType::kFloat16}) {
      for (int variant = 0; variant < 8; ++variant) {
        const bool bias = variant & 1, silu = variant & 2, own = variant & 4;
        const Problem p = {s[0], s[1], s[2], s[3], 1e-6f, silu, dtype, own};
        failures += Run(p, bias, Serial()) != Run(p, bias, TwoThreads());
      }
    }
  }
  std::printf("%s: %d differences between one thread and two\n", SimdName(), failures);
  return failures == 0 ? 0 : 1;
}

}  // namespace
}  // namespace tf_student

int main() { return tf_student::Check(); }
