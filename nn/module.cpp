#include "nn/module.h"

#include "core/error.h"
#include "core/ops.h"

namespace gradus::nn {

Parameter::Parameter(Tensor value) {
  GRADUS_CHECK(value.defined(),
               "Parameter: an empty tensor handle cannot be trained\n  hint: Parameter() has no tensor");
  value.requires_grad_();  // refuses what an op has recorded
  GRADUS_CHECK(value.is_contiguous(),
               "Parameter: " + describe(value) + " is a view that is not dense\n  hint: clone(x)");
  value.set_tag(MemTag::parameter);
  value_ = std::move(value);
}

Buffer::Buffer(Tensor value) {
  GRADUS_CHECK(value.defined(), "Buffer: an empty tensor handle cannot be saved\n  hint: Buffer() has no tensor");
  GRADUS_CHECK(!value.requires_grad(), "Buffer: " + describe(value) +
                                           " requires grad\n  hint: detach() it, or make it a Parameter to train it");
  GRADUS_CHECK(value.is_contiguous(), "Buffer: " + describe(value) + " is a view that is not dense\n  hint: clone(x)");
  value.set_tag(MemTag::parameter);  // part of the model in memory reports
  value_ = std::move(value);
}

namespace detail {

void StateList::add(const std::string& name, const Tensor& tensor, bool trained) {
  if (seen_.insert(tensor.impl()).second) entries_.push_back({name, tensor, trained});
}

NamedTensors name_parameters(const std::vector<StateEntry>& entries) {
  NamedTensors parameters;
  for (const auto& [name, tensor, trained] : entries) {
    if (!trained) continue;
    tensor.set_name(name);
    parameters.push_back({name, tensor});
  }
  return parameters;
}

void zero_grad(const std::vector<StateEntry>& entries) {
  for (const auto& entry : entries)
    if (entry.trained) entry.tensor.set_grad({});
}

Index parameter_count(const std::vector<StateEntry>& entries) {
  Index count = 0;
  for (const auto& entry : entries)
    if (entry.trained) count += entry.tensor.numel();
  return count;
}

}  // namespace detail
}  // namespace gradus::nn
