// The XLA handlers' names and symbols. Each symbol can be looked up in the shared
// library by any program with XLA, such as JAX.
#ifndef TF_STUDENT_HANDLERS_H_
#define TF_STUDENT_HANDLERS_H_

#include "xla/ffi/api/c_api.h"

// Arguments in the order of the ops' inputs, results in that of their outputs;
// attributes groups (int64), epsilon (float32) and activation (string).
extern "C" {
XLA_FFI_Error* TfStudentGroupNormSiluHost(XLA_FFI_CallFrame*);
XLA_FFI_Error* TfStudentGroupNormSiluGradHost(XLA_FFI_CallFrame*);
XLA_FFI_Error* TfStudentBiasGroupNormSiluHost(XLA_FFI_CallFrame*);
XLA_FFI_Error* TfStudentBiasGroupNormSiluGradHost(XLA_FFI_CallFrame*);
#ifdef TF_STUDENT_CUDA
XLA_FFI_Error* TfStudentGroupNormSiluCuda(XLA_FFI_CallFrame*);
XLA_FFI_Error* TfStudentGroupNormSiluGradCuda(XLA_FFI_CallFrame*);
XLA_FFI_Error* TfStudentBiasGroupNormSiluCuda(XLA_FFI_CallFrame*);
XLA_FFI_Error* TfStudentBiasGroupNormSiluGradCuda(XLA_FFI_CallFrame*);
#endif
}

#endif  // TF_STUDENT_HANDLERS_H_
