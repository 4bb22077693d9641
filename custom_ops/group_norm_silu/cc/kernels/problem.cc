#include "custom_ops/group_norm_silu/cc/kernels/problem.h"

#include <sstream>

namespace tf_student {
namespace {

std::string ToString(const std::vector<int64_t>& shape) {
  std::ostringstream out;
  out << "[";
  for (size_t i = 0; i < shape.size(); ++i) out << (i == 0 ? "" : ",") << shape[i];
  out << "]";
  return out.str();
}

std::string CheckShape(const Argument& argument, const char* meaning,
                       const std::vector<int64_t>& expected) {
  if (argument.shape == expected) return "";
  return std::string("`") + argument.name + "` must have shape " + meaning + " = " +
         ToString(expected) + ". Received: " + ToString(argument.shape) + ".";
}

}  // namespace

std::string MakeProblem(const Call& call, const Attributes& attributes, DType dtype,
                        Problem* problem) {
  const std::vector<int64_t>& x = call.x.shape;
  if (x.size() < 3) {
    return "`x` must have rank 3 or more. Received: shape " + ToString(x) + ".";
  }
  const int64_t batch = x.front(), channels = x.back(), groups = attributes.groups;
  if (groups < 1 || channels < 1 || channels % groups != 0) {
    return "`groups` must divide the channels. Received: groups=" +
           std::to_string(groups) + ", channels=" + std::to_string(channels) + ".";
  }
  const bool own = !call.parameters.empty() && call.parameters[0].shape.size() == 2;
  const std::vector<int64_t> per_image = {batch, channels};
  const struct {
    const std::vector<Argument>& arguments;
    const char* meaning;
    std::vector<int64_t> shape;
  } rules[] = {{call.like_x, "of `x`", x},
               {call.parameters, own ? "[batch, channels]" : "[channels]",
                own ? per_image : std::vector<int64_t>{channels}},
               {call.biases, "[batch, channels]", per_image},
               {call.statistics, "[batch, groups]", {batch, groups}}};
  for (const auto& rule : rules) {
    for (const Argument& argument : rule.arguments) {
      std::string error = CheckShape(argument, rule.meaning, rule.shape);
      if (!error.empty()) return error;
    }
  }
  int64_t positions = 1;
  for (size_t i = 1; i + 1 < x.size(); ++i) positions *= x[i];
  *problem = {batch, positions, channels, groups, attributes.epsilon,
              attributes.silu, dtype, own};
  return "";
}

std::string ParseActivation(const std::string& name, bool* silu) {
  *silu = name == "silu";
  if (*silu || name == "none") return "";
  return "`activation` must be silu or none. Received: activation=" + name + ".";
}

}  // namespace tf_student
