// How ops are listed and how they say what they must compute. One table lists every op; tests/core/ops_test.cpp walks
// it. Internal to core and its tests.
#pragma once

#include "core/autograd.h"
#include "core/random.h"

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace gradus {

/// A call with its independent answer. Inputs are f64; the walker repeats it in f32, with strided inputs, and checks
/// first and second order gradients in f64.
struct Sample {
  std::string label;
  Tensors inputs;
  std::function<Tensor(const Tensors&)> call;
  std::function<Tensor(const Tensors&)> reference;  // naive loops in double
  bool differentiable = true;                       // with respect to all floating inputs
};

/// A call that must throw, and words its message must contain.
struct Misuse {
  std::string label;
  std::function<void()> call;
  std::string message;
};

/// Where an op states its samples and misuses, with helpers to make inputs.
struct Cases {
  std::vector<Sample> samples;
  std::vector<Misuse> misuses;
  Rng rng{20};

  Tensor normal(const Shape& shape) { return randn(shape, rng, DType::f64); }
  Tensor uniform(const Shape& shape, double low, double high) { return rand(shape, rng, low, high, DType::f64); }
  void add(Sample sample) { samples.push_back(std::move(sample)); }
  void refuse(std::string label, std::function<void()> call, std::string message) {
    misuses.push_back({std::move(label), std::move(call), std::move(message)});
  }
};

struct OpInfo {
  std::string_view name;
  void (*cases)(Cases&);
};

/// What an entry of an OpList must have: a name and its cases.
template <class Op>
concept Listed = requires(Cases& cases) {
  { Op::kName } -> std::convertible_to<std::string_view>;
  Op::cases(cases);
};

/// A family of ops. An op that is run but not listed, or listed without cases, does not compile.
template <Listed... Ops>
struct OpList {
  template <class Op>
  static constexpr bool kContains = (std::is_same_v<Op, Ops> || ...);

  template <class Op, class... Inputs>
  static Tensor run(Op&& op, const Inputs&... inputs) {
    static_assert(kContains<Op>, "this op is missing from its family's OpList");
    return detail::run_op(op, inputs...);
  }
  template <class Op>
  static Tensor run_list(Op op, std::span<const Tensor> inputs) {
    static_assert(kContains<Op>, "this op is missing from its family's OpList");
    return apply_list(std::move(op), inputs);
  }
  /// Runs an op that gradients do not pass.
  template <class Op, class... Inputs>
  static Tensor evaluate(Op op, const Inputs&... inputs) {
    static_assert(kContains<Op>, "this op is missing from its family's OpList");
    const NoGrad off;
    Saver<Op::kSaved> nothing;
    return op.forward(nothing, inputs...);
  }
  static std::vector<OpInfo> table() { return {OpInfo{Ops::kName, &Ops::cases}...}; }
};

/// All families, in the order of core/ops.h.
std::vector<OpInfo> op_table();

/// Naive arrays in double for references: slow, plain, and independent of strides, broadcasting code and kernels.
namespace naive {

struct Array {
  Shape shape;
  std::vector<double> values;  // row-major

  explicit Array(const Tensor& x) : shape(x.shape()), values(x.to_vector()) {}
  explicit Array(const Shape& s, double value = 0) : shape(s), values(static_cast<std::size_t>(s.numel()), value) {}

  std::size_t position(const Shape& index) const {
    Index at = 0;
    for (int axis = 0; axis < shape.rank(); ++axis) at = at * shape[axis] + index[axis];
    return static_cast<std::size_t>(at);
  }
  double& operator()(const Shape& index) { return values[position(index)]; }
  double operator()(const Shape& index) const { return values[position(index)]; }
  /// The value at an index of a shape this one broadcasts to.
  double broadcast(const Shape& index) const {
    Shape own = Shape::filled(shape.rank(), 0);
    for (int axis = 0; axis < shape.rank(); ++axis)
      own[axis] = shape[axis] == 1 ? 0 : index[index.rank() - shape.rank() + axis];
    return (*this)(own);
  }
  Tensor tensor() const { return gradus::tensor(values, shape, DType::f64); }
};

/// Calls f(index) for every index of a shape, in row-major order.
template <class F>
void each(const Shape& shape, F&& f) {
  const Index total = shape.numel();
  Shape index = Shape::filled(shape.rank(), 0);
  for (Index i = 0; i < total; ++i) {
    f(index);
    for (int axis = shape.rank() - 1; axis >= 0; --axis) {
      if (++index[axis] < shape[axis]) break;
      index[axis] = 0;
    }
  }
}

/// The array of f(index).
template <class F>
Tensor build(const Shape& shape, F&& f) {
  Array result(shape);
  std::size_t i = 0;
  each(shape, [&](const Shape& index) { result.values[i++] = f(index); });
  return result.tensor();
}

}  // namespace naive
}  // namespace gradus
