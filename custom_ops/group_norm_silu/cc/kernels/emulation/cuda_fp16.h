// Emulates float16 on the host.
#ifndef TF_STUDENT_EMULATION_CUDA_FP16_H_
#define TF_STUDENT_EMULATION_CUDA_FP16_H_

#include "cuda_runtime.h"

using __half = _Float16;
struct __half2 {
  __half x, y;
};

inline float __half2float(__half x) { return static_cast<float>(x); }
inline __half __float2half_rn(float x) { return static_cast<__half>(x); }
inline float2 __half22float2(__half2 x) {
  return {__half2float(x.x), __half2float(x.y)};
}
inline __half2 __floats2half2_rn(float x, float y) {
  return {__float2half_rn(x), __float2half_rn(y)};
}

#endif  // TF_STUDENT_EMULATION_CUDA_FP16_H_
