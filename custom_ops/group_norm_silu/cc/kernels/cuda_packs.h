// The unit of memory access of the CUDA kernels, and its conversion to float.
#ifndef TF_STUDENT_CUDA_PACKS_H_
#define TF_STUDENT_CUDA_PACKS_H_

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstdint>
#include <cstring>

namespace tf_student {
namespace gpu {

#define TF_STUDENT_DEVICE __device__ __forceinline__

// 16 bytes of neighbouring channels, or one value if rows are unaligned.
constexpr int kPackBytes = 16;

// Whole words, because the compiler gives each 2-byte member its own register.
template <typename T, int kWidth>
struct alignas(16) Pack {
  uint32_t word[sizeof(T) * kWidth / 4];
};

template <typename T>
struct Pack<T, 1> {
  T value;
};

template <typename To, typename From>
TF_STUDENT_DEVICE To BitCast(const From& from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  memcpy(&to, &from, sizeof(to));
  return to;
}

// One or two neighbouring values of a word.
TF_STUDENT_DEVICE void UnpackWord(uint32_t word, float* x, float) {
  x[0] = __uint_as_float(word);
}
TF_STUDENT_DEVICE void UnpackWord(uint32_t word, float* x, __nv_bfloat16) {
  x[0] = __uint_as_float(word << 16);
  x[1] = __uint_as_float(word & 0xffff0000u);
}
TF_STUDENT_DEVICE void UnpackWord(uint32_t word, float* x, __half) {
  const float2 pair = __half22float2(BitCast<__half2>(word));
  x[0] = pair.x;
  x[1] = pair.y;
}

TF_STUDENT_DEVICE uint32_t PackWord(const float* x, float) {
  return __float_as_uint(x[0]);
}
TF_STUDENT_DEVICE uint32_t PackWord(const float* x, __nv_bfloat16) {
  return BitCast<uint32_t>(__floats2bfloat162_rn(x[0], x[1]));
}
TF_STUDENT_DEVICE uint32_t PackWord(const float* x, __half) {
  return BitCast<uint32_t>(__floats2half2_rn(x[0], x[1]));
}

TF_STUDENT_DEVICE float ToFloat(float x) { return x; }
TF_STUDENT_DEVICE float ToFloat(__nv_bfloat16 x) { return __bfloat162float(x); }
TF_STUDENT_DEVICE float ToFloat(__half x) { return __half2float(x); }

TF_STUDENT_DEVICE void Convert(float x, float* to) { *to = x; }
TF_STUDENT_DEVICE void Convert(float x, __nv_bfloat16* to) {
  *to = __float2bfloat16_rn(x);
}
TF_STUDENT_DEVICE void Convert(float x, __half* to) { *to = __float2half_rn(x); }

template <typename T, int kWidth>
TF_STUDENT_DEVICE void Unpack(const Pack<T, kWidth>& pack, float (&x)[kWidth]) {
  constexpr int kPerWord = 4 / sizeof(T);
#pragma unroll
  for (int i = 0; i < kWidth / kPerWord; ++i) {
    UnpackWord(pack.word[i], x + i * kPerWord, T());
  }
}

template <typename T>
TF_STUDENT_DEVICE void Unpack(const Pack<T, 1>& pack, float (&x)[1]) {
  x[0] = ToFloat(pack.value);
}

template <typename T, int kWidth>
TF_STUDENT_DEVICE void FillPack(const float (&x)[kWidth], Pack<T, kWidth>* pack) {
  constexpr int kPerWord = 4 / sizeof(T);
#pragma unroll
  for (int i = 0; i < kWidth / kPerWord; ++i) {
    pack->word[i] = PackWord(x + i * kPerWord, T());
  }
}

template <typename T>
TF_STUDENT_DEVICE void FillPack(const float (&x)[1], Pack<T, 1>* pack) {
  Convert(x[0], &pack->value);
}

// Copies a pack to shared memory in the background. The same thread waits for its
// copies and reads them, so no barrier is needed.
template <typename P>
TF_STUDENT_DEVICE void CopyAsync(P* to, const P* from) {
#ifndef TF_STUDENT_EMULATED_CUDA
  if constexpr (sizeof(P) == kPackBytes) {
    asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16;" ::"r"(
                     static_cast<unsigned>(__cvta_generic_to_shared(to))),
                 "l"(from)
                 : "memory");
    return;
  }
#endif
  *to = *from;
}

// Ends a group of copies.
TF_STUDENT_DEVICE void CommitCopies() {
#ifndef TF_STUDENT_EMULATED_CUDA
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

// Waits for all groups except the latest `kLater`.
template <int kLater>
TF_STUDENT_DEVICE void WaitForCopies() {
#ifndef TF_STUDENT_EMULATED_CUDA
  asm volatile("cp.async.wait_group %0;" ::"n"(kLater) : "memory");
#endif
}

}  // namespace gpu
}  // namespace tf_student

#endif  // TF_STUDENT_CUDA_PACKS_H_
