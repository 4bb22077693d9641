// Builds a Problem from the shapes of a call, or returns an error message. Independent
// of TensorFlow, so that all adapters share it.
#ifndef TF_STUDENT_PROBLEM_H_
#define TF_STUDENT_PROBLEM_H_

#include <cstdint>
#include <string>
#include <vector>

#include "custom_ops/group_norm_silu/cc/kernels/group_norm_silu.h"

namespace tf_student {

struct Argument {
  const char* name;
  std::vector<int64_t> shape;
};

struct Attributes {
  int64_t groups;
  float epsilon;
  bool silu;
};

// x is [batch, ..., channels]. Each of `like_x` must have its shape; all `parameters`
// [channels], or all of them [batch, channels]; each of `biases` [batch, channels];
// each of `statistics` [batch, groups].
struct Call {
  Argument x;
  std::vector<Argument> like_x, parameters, biases, statistics;
};

// Returns an empty string and sets `problem`, or returns an error message.
std::string MakeProblem(const Call& call, const Attributes& attributes, DType dtype,
                        Problem* problem);

// "silu" is true and "none" false; any other name gives an error message.
std::string ParseActivation(const std::string& name, bool* silu);

}  // namespace tf_student

#endif  // TF_STUDENT_PROBLEM_H_
