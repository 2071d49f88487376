#include "optim/state.h"

namespace gradus::optim {

StateVisitor::StateVisitor(Mode mode, State& state) : mode_(mode), state_(state) {
  if (!saving())
    for (const NamedTensor& entry : state.tensors) tensors_[entry.name] = &entry.tensor;
}

void StateVisitor::put(std::string_view key, std::string text) {
  state_.values[prefix_ + std::string(key)] = std::move(text);
}

const std::string* StateVisitor::take(std::string_view key) {
  const std::string full = prefix_ + std::string(key);
  const auto found = state_.values.find(full);
  if (found == state_.values.end()) {
    problem("missing: value \"" + full + "\"");
    return nullptr;
  }
  used_values_.insert(full);
  return &found->second;
}

bool StateVisitor::has(std::string_view key) const { return state_.values.contains(prefix_ + std::string(key)); }

void StateVisitor::expect(std::string_view key, std::string_view text, std::string_view hint) {
  if (saving()) return put(key, std::string(text));
  const std::string* saved = take(key);
  if (saved && *saved != text)
    problem(prefix_ + std::string(key) + " was \"" + *saved + "\" when saved, is \"" + std::string(text) + "\" here; " +
            std::string(hint));
}

bool StateVisitor::has_tensor(const std::string& key) const { return tensors_.contains(key); }

void StateVisitor::tensor(const std::string& key, Tensor& slot, const Shape& shape, DType dtype) {
  if (saving()) {
    state_.tensors.push_back({key, slot_copy(slot)});
    return;
  }
  const auto found = tensors_.find(key);
  if (found == tensors_.end()) return problem("missing: tensor \"" + key + "\"");
  used_tensors_.insert(key);
  const Tensor& saved = *found->second;
  if (!(saved.shape() == shape) || saved.dtype() != dtype)
    return problem("\"" + key + "\": needs " + std::string(name_of(dtype)) + " " + to_string(shape) + ", found " +
                   std::string(name_of(saved.dtype())) + " " + to_string(saved.shape()));
  if (loading()) slot = slot_copy(saved);
}

void StateVisitor::problem(std::string text) {
  problems_ += "\n  " + std::move(text);
  ++problem_count_;
}

void StateVisitor::finish(std::string_view method) {
  for (const auto& [key, text] : state_.values)
    if (!used_values_.contains(key)) problem("unexpected: value \"" + key + "\"");
  for (const NamedTensor& entry : state_.tensors)
    if (!used_tensors_.contains(entry.name)) problem("unexpected: tensor \"" + entry.name + "\"");
  GRADUS_CHECK(problem_count_ == 0, std::string(method) + ": the saved state does not fit (" +
                                        std::to_string(problem_count_) +
                                        (problem_count_ == 1 ? " problem)" : " problems)") + problems_);
}

Tensor zero_slot(const Shape& shape, DType dtype) {
  const memory::TagScope tag(MemTag::optimizer);
  return zeros(shape, dtype);
}

Tensor slot_copy(const Tensor& source) {
  const memory::TagScope tag(MemTag::optimizer);
  Tensor copy = empty(source.shape(), source.dtype());
  copy.copy_(source);
  return copy;
}

}  // namespace gradus::optim
