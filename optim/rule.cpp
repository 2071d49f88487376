#include "optim/rule.h"

#include <set>

namespace gradus::optim::detail {

void check_parameters(std::string_view method, const NamedTensors& parameters) {
  const std::string where = std::string(method) + ": ";
  GRADUS_CHECK(!parameters.empty(), where +
                                        "no parameters to optimize\n  needs at least one\n"
                                        "  hint: pass nn::named_parameters(model)");
  std::set<std::string_view> names;
  std::set<const void*> tensors;
  for (const auto& [name, tensor] : parameters) {
    GRADUS_CHECK(tensor.defined(), where + "parameter \"" + name + "\" is an empty handle\n  needs a tensor");
    GRADUS_CHECK(tensor.dtype() == DType::f32 || tensor.dtype() == DType::f64,
                 where + "parameter \"" + name + "\" is " + describe(tensor) +
                     "\n  needs f32 or f64\n  hint: keep a f32 copy to train and convert for use");
    GRADUS_CHECK(tensor.is_contiguous(), where + "parameter \"" + name + "\" is a strided view, " + describe(tensor) +
                                             "\n  needs dense row-major values");
    GRADUS_CHECK(tensor.is_leaf(), where + "parameter \"" + name + "\" is the result of an op, " + describe(tensor) +
                                       "\n  needs a leaf: a tensor with requires_grad_() that no op made");
    GRADUS_CHECK(names.insert(name).second,
                 where + "two parameters are called \"" + name + "\"\n  needs one name each: slots are saved by name");
    GRADUS_CHECK(tensors.insert(tensor.impl()).second,
                 where + "parameter \"" + name + "\" is listed twice, under two names\n  needs each tensor once");
  }
}

void check_gradient(std::string_view method, const NamedTensor& parameter, const Tensor& grad) {
  GRADUS_CHECK(grad.shape() == parameter.tensor.shape() && grad.dtype() == parameter.tensor.dtype(),
               std::string(method) + ": the gradient of \"" + parameter.name +
                   "\" does not fit\n  parameter: " + describe(parameter.tensor) + "\n  gradient: " + describe(grad) +
                   "\n  needs the same shape and dtype");
  GRADUS_CHECK(grad.is_contiguous(), std::string(method) + ": the gradient of \"" + parameter.name +
                                         "\" is a strided view\n  needs dense row-major values");
}

void make_slots(Entry& entry, const SlotList& list) {
  entry.slots.resize(list.specs().size());
  for (std::size_t k = 0; k < entry.slots.size(); ++k) {
    const SlotSpec& spec = list.specs()[k];
    Tensor& slot = entry.slots[k];
    if (!slot || !(slot.shape() == spec.shape) || slot.dtype() != spec.dtype) slot = zero_slot(spec.shape, spec.dtype);
  }
}

void visit_slots(StateVisitor& visitor, const std::string& parameter, Entry& entry, const SlotList& list) {
  Index steps = entry.steps;
  visitor.value("steps." + parameter, steps);
  Tensors slots = entry.slots;
  if (steps > 0) {
    if (visitor.saving() && slots.size() != list.specs().size()) {  // an option changed since the last step
      make_slots(entry, list);
      slots = entry.slots;
    }
    slots.resize(list.specs().size());
    for (std::size_t k = 0; k < slots.size(); ++k) {
      const SlotSpec& spec = list.specs()[k];
      visitor.tensor(parameter + "/" + spec.name, slots[k], spec.shape, spec.dtype);
    }
  } else {
    slots.clear();
  }
  if (!visitor.loading()) return;
  entry.steps = steps;
  entry.slots = std::move(slots);
}

void fail_group_overlap(std::string_view method, const std::string& parameter) {
  fail(std::string(method) + ": parameter \"" + parameter +
       "\" is in a group already\n  needs groups without common members\n"
       "  hint: make the predicates exclude each other, and combine the changes in one override");
}

void fail_group_empty(std::string_view method, const NamedTensors& parameters) {
  std::string text = std::string(method) + ": no parameter is in the new group\n  parameters:";
  for (const NamedTensor& parameter : parameters) text += " " + parameter.name;
  fail(text);
}

}  // namespace gradus::optim::detail
