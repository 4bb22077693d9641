// Loads a SavedModel as ModelServer does and runs requests, one on each line:
//
//   load_saved_model DIRECTORY [OP_LIBRARY] < requests > statuses
//
// A request has a signature, a file for its output, and its inputs in the form
// NAME=TYPE:DIMENSIONS:VALUE. The value is a number that fills the tensor, or @FILE for
// a file with the tensor's bytes:
//
//   sample images.bin seed=int64::7 count=int32::4
//   serving_default images.bin noise=float:2,8,8,3:@noise.bin
//
// The status is `OK` with the output's type and shape, or an error's code and message.

#include <dlfcn.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <iostream>
#include <iterator>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "tensorflow/cc/saved_model/loader.h"
#include "tensorflow/core/framework/tensor.h"
#include "tensorflow/core/framework/types.h"

namespace {

using tensorflow::Tensor;

// Fills a tensor with a number, or with the bytes of a file.
absl::Status Fill(const std::string& value, Tensor* tensor) {
  if (value.rfind('@', 0) == 0) {
    std::ifstream file(value.substr(1), std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), {}};
    if (bytes.size() != tensor->tensor_data().size()) {
      return absl::FailedPreconditionError(absl::StrCat(
          value, " has ", bytes.size(), " bytes, not ", tensor->tensor_data().size()));
    }
    std::copy(bytes.begin(), bytes.end(), static_cast<char*>(tensor->data()));
    return absl::OkStatus();
  }
  switch (tensor->dtype()) {
    case tensorflow::DT_FLOAT:
      tensor->flat<float>().setConstant(std::stof(value));
      return absl::OkStatus();
    case tensorflow::DT_INT32:
      tensor->flat<int32_t>().setConstant(std::stoi(value));
      return absl::OkStatus();
    case tensorflow::DT_INT64:
      tensor->flat<int64_t>().setConstant(std::stoll(value));
      return absl::OkStatus();
    default:
      return absl::FailedPreconditionError("numbers must be float, int32 or int64");
  }
}

// Parses NAME=TYPE:DIMENSIONS:VALUE.
absl::Status ParseInput(const std::string& text, std::string* name, Tensor* tensor) {
  const size_t equals = text.find('=');
  const size_t first = text.find(':', equals);
  const size_t second = text.find(':', first + 1);
  if (second == std::string::npos) {
    return absl::FailedPreconditionError(absl::StrCat("cannot read input ", text));
  }
  *name = text.substr(0, equals);
  tensorflow::DataType type;
  if (!tensorflow::DataTypeFromString(text.substr(equals + 1, first - equals - 1),
                                      &type)) {
    return absl::FailedPreconditionError(absl::StrCat("unknown type: ", text));
  }
  tensorflow::TensorShape shape;
  std::istringstream dimensions(text.substr(first + 1, second - first - 1));
  for (std::string size; std::getline(dimensions, size, ',');) {
    shape.AddDim(std::stoll(size));
  }
  *tensor = Tensor(type, shape);
  return Fill(text.substr(second + 1), tensor);
}

// The bytes of a tensor; strings are concatenated.
std::string Bytes(const Tensor& tensor) {
  if (tensor.dtype() != tensorflow::DT_STRING) {
    return std::string(tensor.tensor_data());
  }
  std::string bytes;
  for (int64_t i = 0; i < tensor.NumElements(); ++i) {
    absl::StrAppend(&bytes, std::string(tensor.flat<tensorflow::tstring>()(i)));
  }
  return bytes;
}

// Runs a request, writes its output and describes the output's type and shape.
absl::Status Run(const tensorflow::SavedModelBundle& bundle, const std::string& line,
                 std::string* description) {
  std::istringstream words(line);
  std::string signature_name, path;
  words >> signature_name >> path;
  const auto& signatures = bundle.meta_graph_def.signature_def();
  const auto signature = signatures.find(signature_name);
  if (signature == signatures.end()) {
    return absl::NotFoundError(absl::StrCat("no signature ", signature_name));
  }
  std::vector<std::pair<std::string, Tensor>> feeds;
  for (std::string word; words >> word;) {
    std::string name;
    Tensor tensor;
    absl::Status status = ParseInput(word, &name, &tensor);
    if (!status.ok()) return status;
    const auto input = signature->second.inputs().find(name);
    if (input == signature->second.inputs().end()) {
      return absl::NotFoundError(absl::StrCat("no input ", name));
    }
    feeds.emplace_back(input->second.name(), tensor);
  }
  std::vector<Tensor> outputs;
  const auto& output = signature->second.outputs().begin()->second;
  absl::Status status = bundle.session->Run(feeds, {output.name()}, {}, &outputs);
  if (!status.ok()) return status;
  *description = absl::StrCat(tensorflow::DataTypeString(outputs[0].dtype()), " ",
                              outputs[0].shape().DebugString());
  std::ofstream(path, std::ios::binary) << Bytes(outputs[0]);
  return absl::OkStatus();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2 && argc != 3) {
    std::cerr << "usage: load_saved_model DIRECTORY [OP_LIBRARY] < requests\n";
    return 2;
  }
  if (argc == 3 && dlopen(argv[2], RTLD_NOW | RTLD_GLOBAL) == nullptr) {
    std::cerr << dlerror() << "\n";
    return 1;
  }
  tensorflow::SavedModelBundle bundle;
  const absl::Status loaded = tensorflow::LoadSavedModel(
      {}, {}, argv[1], {"serve"}, &bundle);
  if (!loaded.ok()) {
    std::cerr << loaded << "\n";
    return 1;
  }
  for (std::string line; std::getline(std::cin, line);) {
    std::string output;
    const absl::Status status = Run(bundle, line, &output);
    std::string text = status.ok() ? absl::StrCat("OK ", output) : status.ToString();
    std::replace(text.begin(), text.end(), '\n', ' ');
    std::cout << text << std::endl;
  }
  return 0;
}
