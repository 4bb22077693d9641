// Names, types and shapes of the ops.
#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/shape_inference.h"

namespace tf_student {
namespace {

using ::tensorflow::shape_inference::DimensionHandle;
using ::tensorflow::shape_inference::InferenceContext;
using ::tensorflow::shape_inference::ShapeHandle;

absl::Status Mismatch(InferenceContext* c, const char* name, const char* meaning,
                      ShapeHandle received, const absl::Status& cause) {
  return absl::InvalidArgumentError(
      absl::StrCat("`", name, "` must have shape ", meaning,
                   ". Received: ", c->DebugString(received), ". ", cause.message()));
}

// Checks that the input of this index is compatible with `expected`, and merges both.
absl::Status Expect(InferenceContext* c, int index, const char* name,
                    const char* meaning, ShapeHandle* expected) {
  ShapeHandle merged;
  const absl::Status status = c->Merge(c->input(index), *expected, &merged);
  if (!status.ok()) return Mismatch(c, name, meaning, c->input(index), status);
  *expected = merged;
  return absl::OkStatus();
}

struct Shapes {
  ShapeHandle x, parameter, per_image, bias, statistic;
};

// Checks gamma and beta, which are at `index` and after it: all images share them, or
// each has its own.
absl::Status ExpectParameters(InferenceContext* c, int index, Shapes* shapes) {
  const ShapeHandle gamma = c->input(index);
  const char* meaning = "[channels] or [batch, channels]";
  if (!c->RankKnown(gamma)) {
    shapes->parameter = c->UnknownShape();
  } else if (c->Rank(gamma) == 2) {
    shapes->parameter = shapes->per_image;
  }
  TF_RETURN_IF_ERROR(Expect(c, index, "gamma", meaning, &shapes->parameter));
  return Expect(c, index + 1, "beta", meaning, &shapes->parameter);
}

absl::Status FromX(InferenceContext* c, int index, Shapes* shapes) {
  const ShapeHandle x = c->input(index);
  int64_t groups;
  TF_RETURN_IF_ERROR(c->GetAttr("groups", &groups));
  shapes->x = x;
  DimensionHandle batch = c->UnknownDim(), channels = c->UnknownDim();
  if (c->RankKnown(x)) {
    if (c->Rank(x) < 3) {
      return absl::InvalidArgumentError(absl::StrCat(
          "`x` must have rank 3 or more. Received: shape ", c->DebugString(x), "."));
    }
    batch = c->Dim(x, 0);
    channels = c->Dim(x, -1);
  }
  if (c->ValueKnown(channels) &&
      (c->Value(channels) < 1 || c->Value(channels) % groups != 0)) {
    return absl::InvalidArgumentError(
        absl::StrCat("`groups` must divide the channels. Received: groups=", groups,
                     ", channels=", c->Value(channels), "."));
  }
  shapes->parameter = c->Vector(channels);
  shapes->per_image = c->Matrix(batch, channels);
  shapes->bias = shapes->per_image;
  shapes->statistic = c->Matrix(batch, groups);
  return absl::OkStatus();
}

// Inputs: x, [bias], gamma, beta.
template <bool kBias>
absl::Status ForwardShapes(InferenceContext* c) {
  Shapes shapes;
  TF_RETURN_IF_ERROR(FromX(c, 0, &shapes));
  int next = 1;
  if (kBias) {
    TF_RETURN_IF_ERROR(Expect(c, next++, "bias", "[batch, channels]", &shapes.bias));
  }
  TF_RETURN_IF_ERROR(ExpectParameters(c, next, &shapes));
  c->set_output(0, shapes.x);
  c->set_output(1, shapes.statistic);
  c->set_output(2, shapes.statistic);
  return absl::OkStatus();
}

// Inputs: dy, x, [bias], gamma, beta, mean, rstd.
template <bool kBias>
absl::Status BackwardShapes(InferenceContext* c) {
  Shapes shapes;
  TF_RETURN_IF_ERROR(FromX(c, 1, &shapes));
  TF_RETURN_IF_ERROR(Expect(c, 0, "dy", "of `x`", &shapes.x));
  int next = 2;
  if (kBias) {
    TF_RETURN_IF_ERROR(Expect(c, next++, "bias", "[batch, channels]", &shapes.bias));
  }
  TF_RETURN_IF_ERROR(ExpectParameters(c, next, &shapes));
  next += 2;
  TF_RETURN_IF_ERROR(Expect(c, next++, "mean", "[batch, groups]", &shapes.statistic));
  TF_RETURN_IF_ERROR(Expect(c, next++, "rstd", "[batch, groups]", &shapes.statistic));
  int output = 0;
  c->set_output(output++, shapes.x);
  if (kBias) {
    const DimensionHandle batch = c->Dim(shapes.bias, 0);
    const DimensionHandle channels = c->Dim(shapes.bias, 1);
    c->set_output(output++, c->MakeShape({batch, c->MakeDim(1), channels}));
  }
  c->set_output(output++, shapes.parameter);
  c->set_output(output++, shapes.parameter);
  return absl::OkStatus();
}

REGISTER_OP("TfStudent>GroupNormSilu")
    .Input("x: T")
    .Input("gamma: float")
    .Input("beta: float")
    .Output("y: T")
    .Output("mean: float")
    .Output("rstd: float")
    .Attr("T: {float, bfloat16, half}")
    .Attr("groups: int >= 1")
    .Attr("epsilon: float = 1e-6")
    .Attr("activation: {'silu', 'none'} = 'silu'")
    .SetShapeFn(ForwardShapes<false>)
    .Doc(R"(
y = act(gamma * (x - mean) / sqrt(variance + epsilon) + beta) over channel groups.

x: [batch, ..., channels].
gamma: [channels], or [batch, channels] if each image has its own.
beta: as gamma.
mean: [batch, groups].
rstd: 1 / sqrt(variance + epsilon), [batch, groups].
)");

REGISTER_OP("TfStudent>GroupNormSiluGrad")
    .Input("dy: T")
    .Input("x: T")
    .Input("gamma: float")
    .Input("beta: float")
    .Input("mean: float")
    .Input("rstd: float")
    .Output("dx: T")
    .Output("dgamma: float")
    .Output("dbeta: float")
    .Attr("T: {float, bfloat16, half}")
    .Attr("groups: int >= 1")
    .Attr("epsilon: float = 1e-6")
    .Attr("activation: {'silu', 'none'} = 'silu'")
    .SetShapeFn(BackwardShapes<false>)
    .Doc("The gradient of GroupNormSilu; mean and rstd are its outputs.");

REGISTER_OP("TfStudent>BiasGroupNormSilu")
    .Input("x: T")
    .Input("bias: T")
    .Input("gamma: float")
    .Input("beta: float")
    .Output("y: T")
    .Output("mean: float")
    .Output("rstd: float")
    .Attr("T: {float, bfloat16, half}")
    .Attr("groups: int >= 1")
    .Attr("epsilon: float = 1e-6")
    .Attr("activation: {'silu', 'none'} = 'silu'")
    .SetShapeFn(ForwardShapes<true>)
    .Doc(R"(
GroupNormSilu of x + bias.

bias: [batch, channels], added to every position.
)");

REGISTER_OP("TfStudent>BiasGroupNormSiluGrad")
    .Input("dy: T")
    .Input("x: T")
    .Input("bias: T")
    .Input("gamma: float")
    .Input("beta: float")
    .Input("mean: float")
    .Input("rstd: float")
    .Output("dx: T")
    .Output("dbias: T")
    .Output("dgamma: float")
    .Output("dbeta: float")
    .Attr("T: {float, bfloat16, half}")
    .Attr("groups: int >= 1")
    .Attr("epsilon: float = 1e-6")
    .Attr("activation: {'silu', 'none'} = 'silu'")
    .SetShapeFn(BackwardShapes<true>)
    .Doc(R"(
The gradient of BiasGroupNormSilu; mean and rstd are its outputs.

dbias: [batch, 1, channels], for the caller to squeeze. TensorFlow's oneDNN pass pairs a
  Conv2DBackpropFilter with any BiasAddGrad that reads the same *node*, whichever of its
  outputs. Were dbias ready for one, it could be paired instead of dx, by chance of
  addresses, and training would differ in the last bits from process to process.
)");

}  // namespace
}  // namespace tf_student
