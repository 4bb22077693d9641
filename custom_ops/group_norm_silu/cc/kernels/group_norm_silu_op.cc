// TensorFlow kernels of the ops, for CPUs and CUDA devices: they check the arguments,
// allocate the outputs and call the implementation.
#include <string>
#include <vector>

#include "custom_ops/group_norm_silu/cc/kernels/group_norm_silu_cpu.h"
#include "custom_ops/group_norm_silu/cc/kernels/problem.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/util/work_sharder.h"

#ifdef TF_STUDENT_CUDA
#include "custom_ops/group_norm_silu/cc/kernels/group_norm_silu_cuda.h"
#include "xla/stream_executor/stream.h"
#endif

namespace tf_student {
namespace {

using ::tensorflow::DataType;
using ::tensorflow::OpKernel;
using ::tensorflow::OpKernelConstruction;
using ::tensorflow::OpKernelContext;
using ::tensorflow::Tensor;
using ::tensorflow::TensorShape;

DType DTypeOf(DataType type) {
  if (type == tensorflow::DT_BFLOAT16) return DType::kBFloat16;
  if (type == tensorflow::DT_HALF) return DType::kFloat16;
  return DType::kFloat32;
}

absl::Status ToStatus(const std::string& error) {
  return error.empty() ? absl::OkStatus() : absl::InvalidArgumentError(error);
}

Argument Describe(const char* name, const Tensor& tensor) {
  const auto sizes = tensor.shape().dim_sizes();
  return {name, std::vector<int64_t>(sizes.begin(), sizes.end())};
}

absl::Status ReadAttributes(OpKernelConstruction* ctx, Attributes* attributes) {
  std::string activation;
  TF_RETURN_IF_ERROR(ctx->GetAttr("groups", &attributes->groups));
  TF_RETURN_IF_ERROR(ctx->GetAttr("epsilon", &attributes->epsilon));
  TF_RETURN_IF_ERROR(ctx->GetAttr("activation", &activation));
  return ToStatus(ParseActivation(activation, &attributes->silu));
}

struct ForwardTensors {
  const void *x, *bias;
  const float *gamma, *beta;
  void* y;
  float *mean, *rstd;
};

struct BackwardTensors {
  const void *dy, *x, *bias;
  const float *gamma, *beta, *mean, *rstd;
  void *dx, *dbias;
  float *dgamma, *dbeta;
};

class CpuDevice {
 public:
  static absl::Status Forward(OpKernelContext* ctx, const Problem& p,
                              const ForwardTensors& t) {
    GroupNormSiluForward(p, t.x, t.bias, t.gamma, t.beta, t.y, t.mean, t.rstd,
                         Threads(ctx));
    return absl::OkStatus();
  }

  static absl::Status Backward(OpKernelContext* ctx, const Problem& p,
                               const BackwardTensors& t) {
    GroupNormSiluBackward(p, t.dy, t.x, t.bias, t.gamma, t.beta, t.mean, t.rstd, t.dx,
                          t.dbias, t.dgamma, t.dbeta, Threads(ctx));
    return absl::OkStatus();
  }

 private:
  static Parallel Threads(OpKernelContext* ctx) {
    const auto* threads = ctx->device()->tensorflow_cpu_worker_threads();
    return {threads->num_threads,
            [threads](int64_t total, int64_t cost, const Parallel::Work& work) {
              tensorflow::Shard(threads->num_threads, threads->workers, total, cost,
                                work);
            }};
  }
};

#ifdef TF_STUDENT_CUDA
class CudaDevice {
 public:
  static absl::Status Forward(OpKernelContext* ctx, const Problem& p,
                              const ForwardTensors& t) {
    Tensor scratch;
    TF_RETURN_IF_ERROR(Allocate(ctx, ForwardScratchBytes(p), &scratch));
    return FromCuda(LaunchForward(Stream(ctx), p, t.x, t.bias, t.gamma, t.beta, t.y,
                                  t.mean, t.rstd, scratch.data()));
  }

  static absl::Status Backward(OpKernelContext* ctx, const Problem& p,
                               const BackwardTensors& t) {
    Tensor scratch;
    TF_RETURN_IF_ERROR(Allocate(ctx, BackwardScratchBytes(p), &scratch));
    return FromCuda(LaunchBackward(Stream(ctx), p, t.dy, t.x, t.bias, t.gamma, t.beta,
                                   t.mean, t.rstd, t.dx, t.dbias, t.dgamma, t.dbeta,
                                   scratch.data()));
  }

 private:
  static absl::Status Allocate(OpKernelContext* ctx, size_t bytes, Tensor* scratch) {
    return ctx->allocate_temp(tensorflow::DT_UINT8,
                              TensorShape({static_cast<int64_t>(bytes)}), scratch);
  }
  static void* Stream(OpKernelContext* ctx) {
    return ctx->op_device_context()->stream()->platform_specific_handle().stream;
  }
  static absl::Status FromCuda(int error) {
    if (error == 0) return absl::OkStatus();
    return absl::InternalError(
        absl::StrCat("A GroupNormSilu kernel was not launched: CUDA error ", error));
  }
};
#endif  // TF_STUDENT_CUDA

// Inputs: x, [bias], gamma, beta. Outputs: y, mean, rstd.
template <typename Device, bool kBias>
class ForwardOp : public OpKernel {
 public:
  explicit ForwardOp(OpKernelConstruction* ctx) : OpKernel(ctx) {
    OP_REQUIRES_OK(ctx, ReadAttributes(ctx, &attributes_));
  }

  void Compute(OpKernelContext* ctx) override {
    const Tensor &x = ctx->input(0), &gamma = ctx->input(1 + kBias);
    const Tensor& beta = ctx->input(2 + kBias);
    Call call = {
        Describe("x", x), {}, {Describe("gamma", gamma), Describe("beta", beta)}};
    if (kBias) call.biases = {Describe("bias", ctx->input(1))};
    Problem problem;
    OP_REQUIRES_OK(
        ctx, ToStatus(MakeProblem(call, attributes_, DTypeOf(x.dtype()), &problem)));
    Tensor *y = nullptr, *mean = nullptr, *rstd = nullptr;
    const TensorShape statistics({problem.batch, problem.groups});
    OP_REQUIRES_OK(ctx, ctx->allocate_output(0, x.shape(), &y));
    OP_REQUIRES_OK(ctx, ctx->allocate_output(1, statistics, &mean));
    OP_REQUIRES_OK(ctx, ctx->allocate_output(2, statistics, &rstd));
    if (problem.batch == 0) return;
    OP_REQUIRES_OK(
        ctx, Device::Forward(
                 ctx, problem,
                 {x.data(), kBias ? ctx->input(1).data() : nullptr,
                  gamma.flat<float>().data(), beta.flat<float>().data(), y->data(),
                  mean->flat<float>().data(), rstd->flat<float>().data()}));
  }

 private:
  Attributes attributes_;
};

// Inputs: dy, x, [bias], gamma, beta, mean, rstd. Outputs: dx, [dbias], dgamma, dbeta.
template <typename Device, bool kBias>
class BackwardOp : public OpKernel {
 public:
  explicit BackwardOp(OpKernelConstruction* ctx) : OpKernel(ctx) {
    OP_REQUIRES_OK(ctx, ReadAttributes(ctx, &attributes_));
  }

  void Compute(OpKernelContext* ctx) override {
    const Tensor &dy = ctx->input(0), &x = ctx->input(1);
    const Tensor &gamma = ctx->input(2 + kBias), &beta = ctx->input(3 + kBias);
    const Tensor &mean = ctx->input(4 + kBias), &rstd = ctx->input(5 + kBias);
    Call call = {Describe("x", x),
                 {Describe("dy", dy)},
                 {Describe("gamma", gamma), Describe("beta", beta)},
                 {},
                 {Describe("mean", mean), Describe("rstd", rstd)}};
    if (kBias) call.biases = {Describe("bias", ctx->input(2))};
    Problem problem;
    OP_REQUIRES_OK(
        ctx, ToStatus(MakeProblem(call, attributes_, DTypeOf(x.dtype()), &problem)));
    Tensor *dx = nullptr, *dbias = nullptr, *dgamma = nullptr, *dbeta = nullptr;
    OP_REQUIRES_OK(ctx, ctx->allocate_output(0, x.shape(), &dx));
    if (kBias) {
      const TensorShape shape({problem.batch, 1, problem.channels});
      OP_REQUIRES_OK(ctx, ctx->allocate_output(1, shape, &dbias));
    }
    OP_REQUIRES_OK(ctx, ctx->allocate_output(1 + kBias, gamma.shape(), &dgamma));
    OP_REQUIRES_OK(ctx, ctx->allocate_output(2 + kBias, gamma.shape(), &dbeta));
    OP_REQUIRES_OK(
        ctx,
        Device::Backward(ctx, problem,
                         {dy.data(), x.data(), kBias ? ctx->input(2).data() : nullptr,
                          gamma.flat<float>().data(), beta.flat<float>().data(),
                          mean.flat<float>().data(), rstd.flat<float>().data(),
                          dx->data(), kBias ? dbias->data() : nullptr,
                          dgamma->flat<float>().data(), dbeta->flat<float>().data()}));
  }

 private:
  Attributes attributes_;
};

#define TFS_REGISTER(device, DeviceClass)                                         \
  REGISTER_KERNEL_BUILDER(Name("TfStudent>GroupNormSilu").Device(device),         \
                          ForwardOp<DeviceClass, false>);                         \
  REGISTER_KERNEL_BUILDER(Name("TfStudent>GroupNormSiluGrad").Device(device),     \
                          BackwardOp<DeviceClass, false>);                        \
  REGISTER_KERNEL_BUILDER(Name("TfStudent>BiasGroupNormSilu").Device(device),     \
                          ForwardOp<DeviceClass, true>);                          \
  REGISTER_KERNEL_BUILDER(Name("TfStudent>BiasGroupNormSiluGrad").Device(device), \
                          BackwardOp<DeviceClass, true>)

TFS_REGISTER(tensorflow::DEVICE_CPU, CpuDevice);
#ifdef TF_STUDENT_CUDA
TFS_REGISTER(tensorflow::DEVICE_GPU, CudaDevice);
#endif

}  // namespace
}  // namespace tf_student
