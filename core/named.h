// Names for things: the field lists of structs, and tensors with a name. All that nn, optim and io share.
#pragma once

#include "core/tensor.h"

#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace gradus {

/// One entry of a field list: a name and a reference to the member.
template <class T>
struct Field {
  const char* name;
  T& value;
};

inline auto named() { return std::tuple<>(); }

/// named("weight", self.weight, "bias", self.bias): the field list of a struct, as its static `fields(auto& self)`
/// returns it.
template <class T, class... Rest>
auto named(const char* name, T& value, Rest&&... rest) {
  return std::tuple_cat(std::tuple(Field<T>{name, value}), named(std::forward<Rest>(rest)...));
}

/// Calls f(name, value) for each field of a struct that has `static auto fields(auto& self)`.
template <class Struct, class F>
void for_each_field(Struct& object, F&& f) {
  std::apply([&](const auto&... field) { (f(field.name, field.value), ...); },
             std::remove_const_t<Struct>::fields(object));
}

/// A tensor and the dotted path by which it is saved, loaded, grouped and reported.
struct NamedTensor {
  std::string name;
  Tensor tensor;
};
using NamedTensors = std::vector<NamedTensor>;

}  // namespace gradus
