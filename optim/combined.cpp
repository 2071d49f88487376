#include "optim/combined.h"

#include "core/autograd.h"

namespace gradus::optim {

void Combined::add(std::string prefix, std::unique_ptr<Optimizer> part) {
  for (const Part& other : parts_)
    GRADUS_CHECK(other.prefix != prefix,
                 name_ + ": two parts have the prefix \"" + prefix + "\"\n  needs different ones");
  for (const NamedTensor& parameter : part->parameters()) {
    for (const NamedTensor& known : parameters_)
      GRADUS_CHECK(
          !known.tensor.is_same(parameter.tensor) && known.name != parameter.name,
          name_ + ": parameter \"" + parameter.name + "\" is in two parts\n  needs each parameter in one part");
    parameters_.push_back(parameter);
  }
  parts_.push_back({std::move(prefix), std::move(part)});
}

bool Combined::needs_closure() const {
  for (const Part& part : parts_)
    if (part.optimizer->needs_closure()) return true;
  return false;
}

void Combined::do_step() {
  for (const Part& part : parts_) part.optimizer->do_step();
  ++steps_;
}

void Combined::set_lr_scale(double scale) {
  for (const Part& part : parts_) part.optimizer->set_lr_scale(scale);
}

void Combined::set(std::string_view key, std::string_view value) {
  const std::size_t dot = key.find('.');
  const std::string_view prefix = dot == std::string_view::npos ? "" : key.substr(0, dot);
  part(prefix).set(dot == std::string_view::npos ? key : key.substr(dot + 1), value);
}

Optimizer& Combined::part(std::string_view prefix) {
  for (const Part& part : parts_)
    if (part.prefix == prefix) return *part.optimizer;
  std::string valid;
  for (const Part& part : parts_) valid += (valid.empty() ? "\"" : ", \"") + part.prefix + "\"";
  fail(name_ + ": no part has the prefix \"" + std::string(prefix) + "\"\n  valid: " + valid);
}

OptionList Combined::options() const {
  OptionList all;
  for (const Part& part : parts_)
    for (const auto& [key, value] : part.optimizer->options())
      all.emplace_back(part.prefix.empty() ? key : part.prefix + "." + key, value);
  return all;
}

Tensor Combined::eval_weight(Index parameter) {
  for (const Part& part : parts_) {
    const auto count = static_cast<Index>(part.optimizer->parameters().size());
    if (parameter < count) return part.optimizer->eval_weight(parameter);
    parameter -= count;
  }
  return {};
}

void Combined::visit(StateVisitor& visitor) {
  Index steps = steps_;
  visitor.value("steps", steps);
  if (visitor.loading()) steps_ = steps;
  for (const Part& part : parts_) {
    const StateVisitor::Scope scope(visitor, "part_" + (part.prefix.empty() ? "main" : part.prefix));
    visitor.expect("optimizer", part.optimizer->name(), "combine the same methods");
    part.optimizer->visit(visitor);
  }
}

std::string Combined::describe() const {
  std::string text;
  for (const Part& part : parts_) {
    text += (text.empty() ? "" : "; ") + std::string(part.optimizer->name()) + ":";
    const char* separator = " ";
    for (const NamedTensor& parameter : part.optimizer->parameters()) {
      text += separator + parameter.name;
      separator = ", ";
    }
  }
  return text;
}

}  // namespace gradus::optim
