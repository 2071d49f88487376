#include "core/gradcheck.h"

#include "core/ops.h"
#include "core/random.h"

#include <fmt/format.h>

#include <cmath>
#include <functional>

namespace gradus::detail {
namespace {

// A scalar function of f64 tensors, and how to differentiate it.
using Scalar = std::function<Tensor(const Tensors&)>;

Tensors leaves(const Tensors& inputs) {
  Tensors result;
  for (const Tensor& input : inputs) {
    result.push_back(clone(input.detach()));
    if (is_floating(input.dtype())) result.back().requires_grad_();
  }
  return result;
}

Tensors floating(const Tensors& inputs) {
  Tensors result;
  for (const Tensor& input : inputs)
    if (is_floating(input.dtype())) result.push_back(input);
  return result;
}

double value_at(const Scalar& f, const Tensors& inputs, const Tensors& direction, double step) {
  Tensors moved;
  std::size_t k = 0;
  for (const Tensor& input : inputs)
    moved.push_back(is_floating(input.dtype()) ? (input + direction[k++] * step).detach() : input);
  const Tensors points = leaves(moved);  // the function may differentiate inside
  return f(points).item();
}

double dot(const Tensors& a, const Tensors& b) {
  double total = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (a[i].defined()) total += sum(a[i] * b[i]).item();
  return total;
}

GradcheckResult compare(const Scalar& f, const Tensors& inputs, const Tensors& gradients, const Tensors& direction,
                        const GradcheckOptions& options, const std::string& where) {
  const double numeric =
      (value_at(f, inputs, direction, options.eps) - value_at(f, inputs, direction, -options.eps)) / (2 * options.eps);
  const double analytic = dot(gradients, direction);
  if (std::fabs(analytic - numeric) <= options.atol + options.rtol * std::fabs(numeric)) return {};
  return {false, fmt::format("{}: backward gives {:.9g}, central differences give {:.9g}", where, analytic, numeric)};
}

GradcheckResult check_scalar(const Scalar& f, const Tensors& inputs, const GradcheckOptions& options, int order,
                             Rng& rng) {
  const Tensors points = leaves(inputs);
  const Tensor value = f(points);
  const Tensors wanted = floating(points);
  Tensors gradients(wanted.size());
  if (value.requires_grad()) gradients = grad({value}, wanted, {.allow_unused = true});

  Tensors direction;
  for (const Tensor& input : wanted) direction.push_back(randn(input.shape(), rng, DType::f64));
  if (!options.full) return compare(f, inputs, gradients, direction, options, fmt::format("order {}", order));

  for (std::size_t k = 0; k < wanted.size(); ++k)
    for (Index i = 0; i < wanted[k].numel(); ++i) {
      Tensors unit;
      for (const Tensor& input : wanted) unit.push_back(zeros(input.shape(), DType::f64));
      unit[k].mutable_data<double>()[static_cast<std::size_t>(i)] = 1;
      const auto result =
          compare(f, inputs, gradients, unit, options, fmt::format("order {}, input {}, element {}", order, k, i));
      if (!result) return result;
    }
  return {};
}

}  // namespace

GradcheckResult run_gradcheck(Tensor (*call)(const void*, const Tensors&), const void* function, const Tensors& inputs,
                              const GradcheckOptions& options) {
  for (const Tensor& input : inputs)
    GRADUS_CHECK(
        input.dtype() == DType::f64 || input.dtype() == DType::i64,
        fmt::format("gradcheck: inputs must be f64, got {}\n  hint: convert with to(x, DType::f64)", describe(input)));
  const EnableGrad recording;
  Rng rng = Rng(options.seed).split("gradcheck");
  const Tensor output = call(function, leaves(inputs));
  const Tensor weights = randn(output.shape(), rng, DType::f64);
  Scalar scalar_function = [=](const Tensors& in) { return sum(call(function, in) * weights); };

  for (int order = 1; order <= options.order; ++order) {
    if (const auto result = check_scalar(scalar_function, inputs, options, order, rng); !result) return result;
    // The next order: the gradient, weighted by random numbers, is a scalar function again.
    Tensors cotangents;
    for (const Tensor& input : floating(inputs)) cotangents.push_back(randn(input.shape(), rng, DType::f64));
    scalar_function = [f = scalar_function, cotangents](const Tensors& in) {
      const Tensor value = f(in);
      Tensor total = scalar(0, DType::f64);
      if (!value.requires_grad()) return total;
      const Tensors slopes = grad({value}, floating(in), {.create_graph = true, .allow_unused = true});
      for (std::size_t i = 0; i < slopes.size(); ++i)
        if (slopes[i].defined()) total = total + sum(slopes[i] * cotangents[i]);
      return total;
    };
  }
  return {};
}

}  // namespace gradus::detail
