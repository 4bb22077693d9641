// The handlers that XLA calls. Needs only the header-only FFI of XLA, not TensorFlow.
#include "custom_ops/group_norm_silu/cc/ffi/handlers.h"

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "custom_ops/group_norm_silu/cc/kernels/group_norm_silu_cpu.h"
#include "custom_ops/group_norm_silu/cc/kernels/problem.h"
#include "xla/ffi/api/ffi.h"

#ifdef TF_STUDENT_CUDA
#include "custom_ops/group_norm_silu/cc/kernels/group_norm_silu_cuda.h"
#endif

namespace tf_student {
namespace {

namespace ffi = ::xla::ffi;

using ffi::AnyBuffer;
using Output = ffi::Result<AnyBuffer>;

// Threads of XLA's pool and the caller take pieces until none is left. The caller may
// be a thread of the pool, so it waits only for pieces that others have begun, never
// for a thread.
class Pieces {
 public:
  Pieces(int64_t total, int64_t size, Parallel::Work work)
      : total_(total), size_(size), work_(std::move(work)) {}

  void Take() {
    for (;;) {
      const int64_t begin = next_.fetch_add(size_);
      if (begin >= total_) return;
      const int64_t end = std::min(begin + size_, total_);
      work_(begin, end);
      std::lock_guard<std::mutex> lock(mutex_);
      done_ += end - begin;
      if (done_ == total_) finished_.notify_all();
    }
  }

  void Wait() {
    std::unique_lock<std::mutex> lock(mutex_);
    finished_.wait(lock, [this] { return done_ == total_; });
  }

 private:
  const int64_t total_, size_;
  const Parallel::Work work_;
  std::atomic<int64_t> next_{0};
  std::mutex mutex_;
  std::condition_variable finished_;
  int64_t done_ = 0;
};

// Below this many cycles a second thread costs more than it saves.
constexpr int64_t kMinCost = 20000;

Parallel Threads(ffi::ThreadPool& pool) {
  const int threads = static_cast<int>(std::max<int64_t>(1, pool.num_threads()));
  return {threads,
          [threads, &pool](int64_t total, int64_t cost, const Parallel::Work& work) {
            const int64_t worth = total * cost / kMinCost;
            const int64_t parts = std::min<int64_t>({threads, total, worth});
            if (parts <= 1) return work(0, total);
            auto pieces =
                std::make_shared<Pieces>(total, (total + parts - 1) / parts, work);
            for (int64_t i = 1; i < parts; ++i) {
              pool.Schedule([pieces] { pieces->Take(); });
            }
            pieces->Take();
            pieces->Wait();
          }};
}

ffi::Error Invalid(std::string message) {
  return ffi::Error(ffi::ErrorCode::kInvalidArgument, std::move(message));
}

std::optional<DType> DTypeOf(const AnyBuffer& x) {
  switch (x.element_type()) {
    case ffi::F32:
      return DType::kFloat32;
    case ffi::BF16:
      return DType::kBFloat16;
    case ffi::F16:
      return DType::kFloat16;
    default:
      return std::nullopt;
  }
}

Argument Describe(const char* name, const AnyBuffer& buffer) {
  const auto dimensions = buffer.dimensions();
  return {name, std::vector<int64_t>(dimensions.begin(), dimensions.end())};
}

const float* Floats(const AnyBuffer& buffer) {
  return static_cast<const float*>(buffer.untyped_data());
}

float* Floats(Output& output) { return static_cast<float*>(output->untyped_data()); }

struct Options {
  int64_t groups;
  float epsilon;
  std::string_view activation;
};

// Checks the type of every buffer: `like_x` as x, `floats` float32.
ffi::Error Check(const Call& call, const AnyBuffer& x,
                 const std::vector<AnyBuffer>& like_x,
                 const std::vector<AnyBuffer>& floats, const Options& options,
                 Problem* problem) {
  const std::optional<DType> dtype = DTypeOf(x);
  if (!dtype) return Invalid("`x` must be float32, bfloat16 or float16.");
  for (const AnyBuffer& buffer : like_x) {
    if (buffer.element_type() != x.element_type()) {
      return Invalid(
          "`dy`, `bias` and the gradients of `x` and `bias` must have the "
          "type of `x`.");
    }
  }
  for (const AnyBuffer& buffer : floats) {
    if (buffer.element_type() != ffi::F32) {
      return Invalid("Parameters, statistics and their gradients must be float32.");
    }
  }
  Attributes attributes = {options.groups, options.epsilon, false};
  std::string error =
      ParseActivation(std::string(options.activation), &attributes.silu);
  if (error.empty()) error = MakeProblem(call, attributes, *dtype, problem);
  return error.empty() ? ffi::Error::Success() : Invalid(error);
}

// The devices. Each has a Context of what XLA passes to its handlers.

struct HostContext {
  ffi::ThreadPool pool;

  ffi::Error Forward(const Problem& p, const void* x, const void* bias,
                     const float* gamma, const float* beta, void* y, float* mean,
                     float* rstd) {
    GroupNormSiluForward(p, x, bias, gamma, beta, y, mean, rstd, Threads(pool));
    return ffi::Error::Success();
  }

  ffi::Error Backward(const Problem& p, const void* dy, const void* x, const void* bias,
                      const float* gamma, const float* beta, const float* mean,
                      const float* rstd, void* dx, void* dbias, float* dgamma,
                      float* dbeta) {
    GroupNormSiluBackward(p, dy, x, bias, gamma, beta, mean, rstd, dx, dbias, dgamma,
                          dbeta, Threads(pool));
    return ffi::Error::Success();
  }
};

#ifdef TF_STUDENT_CUDA
struct CudaContext {
  void* stream;
  ffi::ScratchAllocator allocator;

  ffi::Error Forward(const Problem& p, const void* x, const void* bias,
                     const float* gamma, const float* beta, void* y, float* mean,
                     float* rstd) {
    return WithScratch(ForwardScratchBytes(p), [&](void* scratch) {
      return LaunchForward(stream, p, x, bias, gamma, beta, y, mean, rstd, scratch);
    });
  }

  ffi::Error Backward(const Problem& p, const void* dy, const void* x, const void* bias,
                      const float* gamma, const float* beta, const float* mean,
                      const float* rstd, void* dx, void* dbias, float* dgamma,
                      float* dbeta) {
    return WithScratch(BackwardScratchBytes(p), [&](void* scratch) {
      return LaunchBackward(stream, p, dy, x, bias, gamma, beta, mean, rstd, dx, dbias,
                            dgamma, dbeta, scratch);
    });
  }

  template <typename Launch>
  ffi::Error WithScratch(size_t bytes, Launch launch) {
    void* scratch = nullptr;
    if (bytes > 0) {
      const std::optional<void*> memory = allocator.Allocate(bytes, 256);
      if (!memory) {
        return ffi::Error(ffi::ErrorCode::kResourceExhausted,
                          "No memory for " + std::to_string(bytes) + " scratch bytes.");
      }
      scratch = *memory;
    }
    const int error = launch(scratch);
    if (error == 0) return ffi::Error::Success();
    return ffi::Error(
        ffi::ErrorCode::kInternal,
        "A GroupNormSilu kernel was not launched: CUDA error " + std::to_string(error));
  }
};
#endif  // TF_STUDENT_CUDA

template <typename Context>
ffi::Error Forward(Context context, AnyBuffer x, const AnyBuffer* bias, AnyBuffer gamma,
                   AnyBuffer beta, Output y, Output mean, Output rstd,
                   const Options& options) {
  Call call = {Describe("x", x),
               {Describe("y", *y)},
               {Describe("gamma", gamma), Describe("beta", beta)},
               {},
               {Describe("mean", *mean), Describe("rstd", *rstd)}};
  std::vector<AnyBuffer> like_x = {*y};
  if (bias != nullptr) {
    call.biases = {Describe("bias", *bias)};
    like_x.push_back(*bias);
  }
  Problem p;
  ffi::Error error = Check(call, x, like_x, {gamma, beta, *mean, *rstd}, options, &p);
  if (error.failure() || p.batch == 0) return error;
  return context.Forward(
      p, x.untyped_data(), bias == nullptr ? nullptr : bias->untyped_data(),
      Floats(gamma), Floats(beta), y->untyped_data(), Floats(mean), Floats(rstd));
}

template <typename Context>
ffi::Error Backward(Context context, AnyBuffer dy, AnyBuffer x, const AnyBuffer* bias,
                    AnyBuffer gamma, AnyBuffer beta, AnyBuffer mean, AnyBuffer rstd,
                    Output dx, Output* dbias, Output dgamma, Output dbeta,
                    const Options& options) {
  Call call = {Describe("x", x),
               {Describe("dy", dy), Describe("dx", *dx)},
               {Describe("gamma", gamma), Describe("beta", beta),
                Describe("dgamma", *dgamma), Describe("dbeta", *dbeta)},
               {},
               {Describe("mean", mean), Describe("rstd", rstd)}};
  std::vector<AnyBuffer> like_x = {dy, *dx};
  if (bias != nullptr) {
    call.biases = {Describe("bias", *bias), Describe("dbias", **dbias)};
    like_x.insert(like_x.end(), {*bias, **dbias});
  }
  Problem p;
  ffi::Error error =
      Check(call, x, like_x, {gamma, beta, mean, rstd, *dgamma, *dbeta}, options, &p);
  if (error.failure()) return error;
  return context.Backward(p, dy.untyped_data(), x.untyped_data(),
                          bias == nullptr ? nullptr : bias->untyped_data(),
                          Floats(gamma), Floats(beta), Floats(mean), Floats(rstd),
                          dx->untyped_data(),
                          bias == nullptr ? nullptr : (*dbias)->untyped_data(),
                          Floats(dgamma), Floats(dbeta));
}

// FFI derives the arguments of a handler from its signature, so each variant has one.

template <typename Context>
ffi::Error Plain(Context context, AnyBuffer x, AnyBuffer gamma, AnyBuffer beta,
                 Output y, Output mean, Output rstd, int64_t groups, float epsilon,
                 std::string_view activation) {
  return Forward(std::move(context), x, nullptr, gamma, beta, y, mean, rstd,
                 {groups, epsilon, activation});
}

template <typename Context>
ffi::Error Biased(Context context, AnyBuffer x, AnyBuffer bias, AnyBuffer gamma,
                  AnyBuffer beta, Output y, Output mean, Output rstd, int64_t groups,
                  float epsilon, std::string_view activation) {
  return Forward(std::move(context), x, &bias, gamma, beta, y, mean, rstd,
                 {groups, epsilon, activation});
}

template <typename Context>
ffi::Error PlainGrad(Context context, AnyBuffer dy, AnyBuffer x, AnyBuffer gamma,
                     AnyBuffer beta, AnyBuffer mean, AnyBuffer rstd, Output dx,
                     Output dgamma, Output dbeta, int64_t groups, float epsilon,
                     std::string_view activation) {
  return Backward(std::move(context), dy, x, nullptr, gamma, beta, mean, rstd, dx,
                  nullptr, dgamma, dbeta, {groups, epsilon, activation});
}

template <typename Context>
ffi::Error BiasedGrad(Context context, AnyBuffer dy, AnyBuffer x, AnyBuffer bias,
                      AnyBuffer gamma, AnyBuffer beta, AnyBuffer mean, AnyBuffer rstd,
                      Output dx, Output dbias, Output dgamma, Output dbeta,
                      int64_t groups, float epsilon, std::string_view activation) {
  return Backward(std::move(context), dy, x, &bias, gamma, beta, mean, rstd, dx, &dbias,
                  dgamma, dbeta, {groups, epsilon, activation});
}

// Prepends the context to the arguments of one of the four handlers above.
template <typename... Args>
auto OnHost(ffi::Error (*handler)(HostContext, Args...)) {
  return [handler](ffi::ThreadPool pool, Args... args) {
    return handler(HostContext{std::move(pool)}, args...);
  };
}

#ifdef TF_STUDENT_CUDA
template <typename... Args>
auto OnCuda(ffi::Error (*handler)(CudaContext, Args...)) {
  return [handler](void* stream, ffi::ScratchAllocator allocator, Args... args) {
    return handler(CudaContext{stream, std::move(allocator)}, args...);
  };
}
#endif

// Adds `inputs` arguments, `outputs` results and the attributes to a binding.
template <int inputs, int outputs, typename Binding>
auto Bind(Binding binding) {
  if constexpr (inputs > 0) {
    return Bind<inputs - 1, outputs>(std::move(binding).template Arg<AnyBuffer>());
  } else if constexpr (outputs > 0) {
    return Bind<0, outputs - 1>(std::move(binding).template Ret<AnyBuffer>());
  } else {
    return std::move(binding)
        .template Attr<int64_t>("groups")
        .template Attr<float>("epsilon")
        .template Attr<std::string_view>("activation");
  }
}

auto HostBinding() { return ffi::Ffi::Bind().Ctx<ffi::ThreadPool>(); }
#ifdef TF_STUDENT_CUDA
auto CudaBinding() {
  return ffi::Ffi::Bind()
      .Ctx<ffi::PlatformStream<void*>>()
      .Ctx<ffi::ScratchAllocator>();
}
#endif

}  // namespace
}  // namespace tf_student

#define TFS_HANDLER(symbol, Device, handler, inputs, outputs)                       \
  extern "C" XLA_FFI_Error* symbol(XLA_FFI_CallFrame* call_frame) {                 \
    using namespace tf_student; /* NOLINT: only in this function. */                \
    static const auto* const handle = Bind<inputs, outputs>(Device##Binding())      \
                                          .To(On##Device(handler<Device##Context>)) \
                                          .release();                               \
    return handle->Call(call_frame);                                                \
  }

TFS_HANDLER(TfStudentGroupNormSiluHost, Host, Plain, 3, 3)
TFS_HANDLER(TfStudentGroupNormSiluGradHost, Host, PlainGrad, 6, 3)
TFS_HANDLER(TfStudentBiasGroupNormSiluHost, Host, Biased, 4, 3)
TFS_HANDLER(TfStudentBiasGroupNormSiluGradHost, Host, BiasedGrad, 7, 4)
#ifdef TF_STUDENT_CUDA
TFS_HANDLER(TfStudentGroupNormSiluCuda, Cuda, Plain, 3, 3)
TFS_HANDLER(TfStudentGroupNormSiluGradCuda, Cuda, PlainGrad, 6, 3)
TFS_HANDLER(TfStudentBiasGroupNormSiluCuda, Cuda, Biased, 4, 3)
TFS_HANDLER(TfStudentBiasGroupNormSiluGradCuda, Cuda, BiasedGrad, 7, 4)
#endif
