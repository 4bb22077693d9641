// Names and symbols of the XLA handlers. Any program with XLA, such as JAX, can look up
// the symbols in the shared library.
#ifndef TF_STUDENT_HANDLERS_H_
#define TF_STUDENT_HANDLERS_H_

#include "xla/ffi/api/c_api.h"

// Arguments are in the order of the inputs of the ops, results in the order of their
// outputs. Attributes: groups (int64), epsilon (float32) and activation (string).
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
