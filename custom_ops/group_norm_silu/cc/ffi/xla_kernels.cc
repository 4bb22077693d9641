// Lowers the ops to custom calls of the handlers, so that they stay fused under XLA.
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "custom_ops/group_norm_silu/cc/ffi/handlers.h"
#include "tensorflow/compiler/tf2xla/xla_op_kernel.h"
#include "tensorflow/compiler/tf2xla/xla_op_registry.h"
#include "tensorflow/core/framework/kernel_def_builder.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "xla/ffi/api/ffi.h"
#include "xla/hlo/builder/xla_builder.h"
#include "xla/shape_util.h"

namespace xla::ffi {
// Declared in xla/ffi/ffi_api.h, which needs headers that the TensorFlow wheel lacks.
const XLA_FFI_Api* GetXlaFfiApi();
}  // namespace xla::ffi

namespace tf_student {
namespace {

using ::tensorflow::OpKernelConstruction;
using ::tensorflow::XlaOpKernel;
using ::tensorflow::XlaOpKernelContext;

// Handlers read memory in the order of the dimensions, whatever layout XLA prefers.
xla::Shape RowMajor(const xla::Shape& shape) {
  return xla::ShapeUtil::MakeShapeWithDescendingLayout(shape.element_type(),
                                                       shape.dimensions());
}

class CustomCallOp : public XlaOpKernel {
 public:
  explicit CustomCallOp(OpKernelConstruction* ctx) : XlaOpKernel(ctx) {
    OP_REQUIRES_OK(ctx, ctx->GetAttr("groups", &groups_));
    OP_REQUIRES_OK(ctx, ctx->GetAttr("epsilon", &epsilon_));
    OP_REQUIRES_OK(ctx, ctx->GetAttr("activation", &activation_));
  }

 protected:
  std::vector<xla::XlaOp> Call(XlaOpKernelContext* ctx, const std::string& target,
                               const std::vector<xla::Shape>& outputs) {
    std::vector<xla::XlaOp> operands;
    std::vector<xla::Shape> operand_shapes;
    for (int i = 0; i < ctx->num_inputs(); ++i) {
      operands.push_back(ctx->Input(i));
      operand_shapes.push_back(RowMajor(Shape(ctx, i)));
    }
    const std::string attributes = absl::StrFormat(
        "{groups = %d : i64, epsilon = %.9e : f32, activation = \"%s\"}", groups_,
        epsilon_, activation_);
    const xla::XlaOp call = xla::CustomCallWithLayout(
        ctx->builder(), target, operands, xla::ShapeUtil::MakeTupleShape(outputs),
        operand_shapes, attributes, /*has_side_effect=*/false,
        /*output_operand_aliasing=*/{}, /*literal=*/nullptr,
        xla::CustomCallSchedule::SCHEDULE_NONE,
        xla::CustomCallApiVersion::API_VERSION_TYPED_FFI);
    std::vector<xla::XlaOp> results;
    for (size_t i = 0; i < outputs.size(); ++i) {
      results.push_back(xla::GetTupleElement(call, i));
    }
    return results;
  }

  static void SetOutputs(XlaOpKernelContext* ctx,
                         const std::vector<xla::XlaOp>& results) {
    for (size_t i = 0; i < results.size(); ++i) ctx->SetOutput(i, results[i]);
  }

  xla::Shape Shape(XlaOpKernelContext* ctx, int input) const {
    return ctx->InputXlaShape(input).value();
  }

  xla::Shape Statistics(const xla::Shape& x) const {
    return xla::ShapeUtil::MakeShapeWithDescendingLayout(xla::F32,
                                                         {x.dimensions(0), groups_});
  }

 private:
  int64_t groups_;
  float epsilon_;
  std::string activation_;
};

template <bool kBias>
class ForwardOp : public CustomCallOp {
 public:
  using CustomCallOp::CustomCallOp;

  void Compile(XlaOpKernelContext* ctx) override {
    const xla::Shape x = RowMajor(Shape(ctx, 0));
    const char* target =
        kBias ? "tf_student.bias_group_norm_silu" : "tf_student.group_norm_silu";
    SetOutputs(ctx, Call(ctx, target, {x, Statistics(x), Statistics(x)}));
  }
};

template <bool kBias>
class BackwardOp : public CustomCallOp {
 public:
  using CustomCallOp::CustomCallOp;

  void Compile(XlaOpKernelContext* ctx) override {
    const xla::Shape x = RowMajor(Shape(ctx, 1));
    const xla::Shape gamma = RowMajor(Shape(ctx, 2 + kBias));
    if (kBias) {
      const xla::Shape bias = RowMajor(Shape(ctx, 2));
      auto results = Call(ctx, "tf_student.bias_group_norm_silu_grad",
                          {x, bias, gamma, gamma});
      results[1] =
          xla::Reshape(results[1], {bias.dimensions(0), 1, bias.dimensions(1)});
      SetOutputs(ctx, results);
    } else {
      SetOutputs(ctx,
                 Call(ctx, "tf_student.group_norm_silu_grad", {x, gamma, gamma}));
    }
  }
};

#define TFS_REGISTER_XLA(device)                                                     \
  REGISTER_XLA_OP(Name("TfStudent>GroupNormSilu").Device(device), ForwardOp<false>); \
  REGISTER_XLA_OP(Name("TfStudent>GroupNormSiluGrad").Device(device),                \
                  BackwardOp<false>);                                                \
  REGISTER_XLA_OP(Name("TfStudent>BiasGroupNormSilu").Device(device),                \
                  ForwardOp<true>);                                                  \
  REGISTER_XLA_OP(Name("TfStudent>BiasGroupNormSiluGrad").Device(device),            \
                  BackwardOp<true>)

// TensorFlow registers the kernels of REGISTER_XLA_OP only once, when it first uses XLA
// or a device. A library that is loaded later must register its kernels itself.
bool KernelsAreMade(const std::string& device) {
  const auto kernels = tensorflow::GetRegisteredKernelsForOp("AddV2");
  for (const auto& kernel : kernels.kernel()) {
    if (kernel.device_type() == device) return true;
  }
  return false;
}

template <typename Op>
void RegisterKernel(const char* op, const char* device) {
  using tensorflow::kernel_factory::OpKernelRegistrar;
  OpKernelRegistrar(
      tensorflow::KernelDefBuilder(op).Device(device).Build(), op,
      [](OpKernelConstruction* ctx) -> tensorflow::OpKernel* { return new Op(ctx); });
}

bool RegisterLate(const char* device) {
  if (!KernelsAreMade(device)) return false;
  RegisterKernel<ForwardOp<false>>("TfStudent>GroupNormSilu", device);
  RegisterKernel<BackwardOp<false>>("TfStudent>GroupNormSiluGrad", device);
  RegisterKernel<ForwardOp<true>>("TfStudent>BiasGroupNormSilu", device);
  RegisterKernel<BackwardOp<true>>("TfStudent>BiasGroupNormSiluGrad", device);
  return true;
}

#define TFS_REGISTER_HANDLERS(platform, suffix)                                    \
  XLA_FFI_REGISTER_HANDLER(xla::ffi::GetXlaFfiApi(), "tf_student.group_norm_silu", \
                           platform, TfStudentGroupNormSilu##suffix);              \
  XLA_FFI_REGISTER_HANDLER(xla::ffi::GetXlaFfiApi(),                               \
                           "tf_student.group_norm_silu_grad", platform,            \
                           TfStudentGroupNormSiluGrad##suffix);                    \
  XLA_FFI_REGISTER_HANDLER(xla::ffi::GetXlaFfiApi(),                               \
                           "tf_student.bias_group_norm_silu", platform,            \
                           TfStudentBiasGroupNormSilu##suffix);                    \
  XLA_FFI_REGISTER_HANDLER(xla::ffi::GetXlaFfiApi(),                               \
                           "tf_student.bias_group_norm_silu_grad", platform,       \
                           TfStudentBiasGroupNormSiluGrad##suffix)

TFS_REGISTER_XLA(tensorflow::DEVICE_CPU_XLA_JIT);
[[maybe_unused]] const bool cpu_was_late = RegisterLate(tensorflow::DEVICE_CPU_XLA_JIT);
TFS_REGISTER_HANDLERS("Host", Host);
#ifdef TF_STUDENT_CUDA
TFS_REGISTER_XLA(tensorflow::DEVICE_GPU_XLA_JIT);
[[maybe_unused]] const bool gpu_was_late = RegisterLate(tensorflow::DEVICE_GPU_XLA_JIT);
TFS_REGISTER_HANDLERS("CUDA", Cuda);
#endif

}  // namespace
}  // namespace tf_student
