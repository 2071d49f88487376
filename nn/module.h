// Models are plain structs that list their fields once:
//
//   struct Mlp {
//     nn::Linear hidden, out;
//     Mlp(Index features, Index width, Index classes, Rng& rng)
//         : hidden(features, width, rng), out(width, classes, rng) {}
//     Tensor operator()(const Tensor& x) const { return out(gelu(hidden(x))); }
//     static auto fields(auto& self) { return named("hidden", self.hidden, "out", self.out); }
//   };
//
// The list is the single source for naming, training, saving, counting and printing. A Parameter can be moved but not
// copied, and so, by the rule of zero, can every struct that holds one: no two models share weights by accident.
// docs/adr/0005-modules-and-fields.md has the reasons.
#pragma once

#include "core/autograd.h"
#include "core/named.h"

#include <concepts>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace gradus::nn {

/// A tensor that is trained and saved. Use it wherever a Tensor is read. Empty by default, as the bias of a layer
/// without.
class Parameter {
 public:
  Parameter() = default;
  /// Takes the tensor over: a floating leaf, from now on requiring gradients. The tensor of another Parameter may be
  /// given to tie the two: `Parameter(other.weight.tensor())`.
  explicit Parameter(Tensor value);
  Parameter(Parameter&&) noexcept = default;
  Parameter& operator=(Parameter&&) noexcept = default;

  operator const Tensor&() const { return value_; }
  const Tensor& tensor() const { return value_; }
  bool defined() const { return value_.defined(); }

 private:
  Tensor value_;
};

/// A tensor that is saved with the model but not trained, as a running mean. Change its values through
/// `tensor().copy_(...)`.
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(Tensor value);
  Buffer(Buffer&&) noexcept = default;
  Buffer& operator=(Buffer&&) noexcept = default;

  operator const Tensor&() const { return value_; }
  const Tensor& tensor() const { return value_; }
  /// A handle to the same values that may write, also from a layer's const operator().
  Tensor writable() const { return value_; }
  bool defined() const { return value_.defined(); }

 private:
  Tensor value_;
};

/// What visit() finds in a model, in the order of the fields. Names are dotted paths: "blocks.0.weight".
class Visitor {
 public:
  virtual ~Visitor() = default;
  virtual void parameter(const std::string& /*name*/, const Parameter&) {}
  virtual void buffer(const std::string& /*name*/, const Buffer&) {}
  virtual void training(bool& /*flag*/) {}
};

namespace detail {

template <class T>
struct is_owner : std::false_type {};
template <class T>
struct is_owner<std::optional<T>> : std::true_type {};
template <class T, class Deleter>
struct is_owner<std::unique_ptr<T, Deleter>> : std::true_type {};

template <class T>
concept HasFields = requires(T& object) {
  T::fields(object);
};
template <class T>
concept HasVisit = requires(T& object, Visitor& visitor) {
  object.visit(std::string(), visitor);
};
template <class T>
concept Range = requires(T& object) {
  object.begin() != object.end();
  object.size();
};

inline std::string join(const std::string& path, const std::string& name) {
  return path.empty() || name.empty() ? path + name : path + "." + name;
}

}  // namespace detail

/// Walks over a model: its parameters, buffers and `bool training` members, in the order of the fields. A field may be
///   Parameter, Buffer; a struct with fields; std::vector, std::array (elements are named "0", "1", ...), std::optional
///   or std::unique_ptr of these; a type with its own `visit(path, visitor)`; or anything trivially copyable: such a
///   type cannot hold a Parameter, so it need not list anything.
/// A field with the name "" lends its parts to the struct that lists it.
template <class Part>
void visit(Part& part, const std::string& path, Visitor& visitor) {
  using Type = std::remove_const_t<Part>;
  if constexpr (requires { requires std::same_as<decltype((part.training)), bool&>; }) visitor.training(part.training);

  if constexpr (std::same_as<Type, Parameter>) {
    if (part.defined()) visitor.parameter(path, part);
  } else if constexpr (std::same_as<Type, Buffer>) {
    if (part.defined()) visitor.buffer(path, part);
  } else if constexpr (detail::HasVisit<Part>) {
    part.visit(path, visitor);
  } else if constexpr (detail::HasFields<Type>) {
    for_each_field(part, [&](const char* name, auto& field) { visit(field, detail::join(path, name), visitor); });
  } else if constexpr (detail::is_owner<Type>::value) {
    if (part) visit(*part, path, visitor);
  } else if constexpr (detail::Range<Part>) {
    std::size_t position = 0;
    for (auto& element : part) visit(element, detail::join(path, std::to_string(position++)), visitor);
  } else {
    static_assert(std::is_trivially_copyable_v<Type>,
                  "this struct may hold parameters: give it `static auto fields(auto& self) { return named(...); }`; a "
                  "Tensor in a model is an nn::Parameter (trained) or an nn::Buffer (saved only)");
  }
}

/// What Sequential holds: anything that can be part of a model and maps a tensor to a tensor.
template <class T>
concept Module = std::move_constructible<T> && requires(T& module, const Tensor& x) {
  { module(x) } -> std::convertible_to<Tensor>;
};

namespace detail {

struct StateEntry {
  std::string name;
  Tensor tensor;
  bool trained;  // Parameter or Buffer
};

/// Parameters and buffers in the order of the fields. One that is reached twice is listed once, under its first name.
class StateList final : public Visitor {
 public:
  void parameter(const std::string& name, const Parameter& value) override { add(name, value.tensor(), true); }
  void buffer(const std::string& name, const Buffer& value) override { add(name, value.tensor(), false); }
  std::vector<StateEntry> take() { return std::move(entries_); }

 private:
  void add(const std::string& name, const Tensor& tensor, bool trained);

  std::vector<StateEntry> entries_;
  std::set<const void*> seen_;
};

class TrainingSwitch final : public Visitor {
 public:
  explicit TrainingSwitch(bool on) : on_(on) {}
  void training(bool& flag) override { flag = on_; }

 private:
  bool on_;
};

template <class Model>
std::vector<StateEntry> list_state(const Model& model) {
  StateList list;
  visit(model, "", list);
  return list.take();
}

NamedTensors name_parameters(const std::vector<StateEntry>& entries);
void zero_grad(const std::vector<StateEntry>& entries);
Index parameter_count(const std::vector<StateEntry>& entries);

}  // namespace detail

/// The parameters with their names, as optimizers take them. From here on error messages call the tensors by these
/// names. The handles stay valid and the same when the model is moved.
template <class Model>
NamedTensors named_parameters(const Model& model) {
  return detail::name_parameters(detail::list_state(model));
}

/// The parameters alone, as grad() takes them.
template <class Model>
Tensors parameters(const Model& model) {
  Tensors tensors;
  for (auto& entry : named_parameters(model)) tensors.push_back(std::move(entry.tensor));
  return tensors;
}

/// How many numbers are trained; tied parameters count once.
template <class Model>
Index parameter_count(const Model& model) {
  return detail::parameter_count(detail::list_state(model));
}

/// Forgets the gradients of all parameters.
template <class Model>
void zero_grad(const Model& model) {
  detail::zero_grad(detail::list_state(model));
}

/// Sets every `bool training` in the model: Dropout and its like act only while it is true, as it is at first.
template <class Model>
void train(Model& model, bool mode = true) {
  detail::TrainingSwitch visitor(mode);
  visit(model, "", visitor);
}
template <class Model>
void eval(Model& model) {
  train(model, false);
}

}  // namespace gradus::nn
