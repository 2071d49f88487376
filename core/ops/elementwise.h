// What elementwise ops share: the loops, and bases that turn a scalar formula into an op. Internal to core/ops.
#pragma once

#include "core/kernels/loop.h"
#include "core/op_list.h"
#include "core/ops.h"

#include <fmt/format.h>

#include <cmath>
#include <string>

namespace gradus::ops {

[[noreturn]] void fail_dtype(std::string_view op, DType dtype);

/// Calls f.operator()<T>() with the C++ type of a dtype, or throws.
template <bool kIntegers, class F>
void with_type(DType dtype, std::string_view op, F&& f) {
  switch (dtype) {
    case DType::f32: return f.template operator()<float>();
    case DType::f64: return f.template operator()<double>();
    case DType::i64:
      if constexpr (kIntegers) return f.template operator()<std::int64_t>();
      [[fallthrough]];
    default: fail_dtype(op, dtype);
  }
}

// One loop for each op and type; what walks strides and threads is not a template, which keeps the compiler quick.
using UnaryRow = void (*)(const void* op, const void* x, void* y, Index count);
using BinaryRow = void (*)(const void* op, const void* a, Index a_step, const void* b, Index b_step, void* y,
                           Index count);

/// Runs a row function over dense x into a new dense y; an operand that is not dense is copied first.
Tensor run_unary(const Tensor& x, const void* op, UnaryRow row);
/// The same over two operands after broadcasting. Rows and columns spread over a matrix cost no copy. y is made by the
/// caller.
void run_binary(const Tensor& a, const Tensor& b, Tensor& y, const void* op, BinaryRow row);

void check_same_dtype(std::string_view op, const Tensor& a, const Tensor& b);

/// y[i] = f(x[i]).
template <bool kIntegers = false, class F>
Tensor map(std::string_view op, const Tensor& x, const F& f) {
  UnaryRow row = nullptr;
  with_type<kIntegers>(x.dtype(), op, [&]<class T>() {
    row = [](const void* function, const void* in, void* out, Index count) {
      const F& apply_to = *static_cast<const F*>(function);
      const T* from = static_cast<const T*>(in);
      T* __restrict to = static_cast<T*>(out);
      for (Index i = 0; i < count; ++i) to[i] = apply_to(from[i]);
    };
  });
  return run_unary(x, &f, row);
}

/// y[i] = f(a[i], b[i]) after broadcasting.
template <bool kIntegers = false, class F>
Tensor map(std::string_view op, const Tensor& a, const Tensor& b, const F& f) {
  if (a.dtype() != b.dtype()) [[unlikely]]
    check_same_dtype(op, a, b);
  Tensor y = empty(a.shape() == b.shape() ? a.shape() : broadcast(a.shape(), b.shape(), op.data()), a.dtype());
  BinaryRow row = nullptr;
  with_type<kIntegers>(a.dtype(), op, [&]<class T>() {
    row = [](const void* function, const void* left, Index a_step, const void* right, Index b_step, void* out,
             Index count) {
      const F& apply_to = *static_cast<const F*>(function);
      const T* l = static_cast<const T*>(left);
      const T* r = static_cast<const T*>(right);
      T* __restrict to = static_cast<T*>(out);
      if (a_step == 1 && b_step == 1)
        for (Index i = 0; i < count; ++i) to[i] = apply_to(l[i], r[i]);
      else if (a_step == 1 && b_step == 0)
        for (Index i = 0; i < count; ++i) to[i] = apply_to(l[i], *r);
      else
        for (Index i = 0; i < count; ++i) to[i] = apply_to(l[i * a_step], r[i * b_step]);
    };
  });
  run_binary(a, b, y, &f, row);
  return y;
}

// --- bases -----------------------------------------------------------------------------------------------------------

enum class Keep { nothing, input, output };

/// An op y = value(x). The author writes
///   value(T x)              the formula, for float and double
///   gradient(kept, dy)      dy times the derivative, in ops; `kept` is x or y as kKeep says
///   slope(T kept, T dy)     the same for one element (optional: one pass instead of several at first order)
///   expected(double x)     the formula again, for the test, from <cmath>
template <class Op, Keep kKeep, double kLow = -2.0, double kHigh = 2.0>
struct Unary {
  static constexpr int kSaved = kKeep == Keep::nothing ? 0 : 1;
  static constexpr bool kIntegers = false;
  static std::vector<Op> examples() { return {Op{}}; }

  Tensor forward(Saver<kSaved>& save, const Tensor& x) {
    const Op& op = static_cast<const Op&>(*this);
    Tensor y = map<Op::kIntegers>(Op::kName, x, [op](auto value) { return op.value(value); });
    if constexpr (kKeep == Keep::input) save(x);
    if constexpr (kKeep == Keep::output) save(y);
    return y;
  }

  Grads<1> vjp(const Saved<kSaved>& saved, const Tensor& dy, Needs<1>) const {
    const Op& op = static_cast<const Op&>(*this);
    if constexpr (kKeep == Keep::nothing) {
      return {op.gradient(dy)};
    } else {
      if constexpr (requires { op.slope(1.0, 1.0); }) {
        if (!grad_enabled())
          return {map(Op::kName, saved[0], dy, [op](auto kept, auto slope) { return op.slope(kept, slope); })};
      }
      return {op.gradient(saved[0], dy)};
    }
  }

  static void cases(Cases& cases) {
    const auto check = [&](const Op& op, const std::string& label, const Tensor& x, bool differentiable) {
      cases.add({label,
                 {x},
                 [op](const Tensors& in) { return apply(op, in[0]); },
                 [op](const Tensors& in) {
                   const naive::Array input(in[0]);
                   return naive::build(input.shape, [&](const Shape& i) { return op.expected(input(i)); });
                 },
                 differentiable});
    };
    for (const Op& op : Op::examples()) {
      check(op, "matrix", cases.uniform({3, 4}, kLow, kHigh), true);
      check(op, "rank 0", cases.uniform({}, kLow, kHigh), true);
      check(op, "empty", cases.uniform({0, 3}, kLow, kHigh), true);
      check(op, "long", cases.uniform({37}, kLow, kHigh), false);
      if constexpr (kLow >= 0)
        check(op, "extremes", tensor({1e-30, 1e-3, 1, 7, 1e4, 1e30}, DType::f64), false);
      else
        check(op, "extremes", tensor({-80, -9, -1e-5, -0.0, 0, 1e-30, 1e-5, 0.5, 1, 9, 80}, DType::f64), false);
    }
    if constexpr (!Op::kIntegers)
      cases.refuse(
          "integers",
          [] {
            apply(Op::examples()[0], indices({1, 2}));
          },
          "not defined for i64");
  }
};

/// An op y = value(a, b) with broadcasting. The author writes value, keep (what to save), vjp and expected.
template <class Op, int kSlots, bool kPositive = false>
struct Binary {
  static constexpr int kSaved = kSlots;
  static constexpr bool kIntegers = true;
  static constexpr bool kDifferentiable = true;
  Shape a_shape, b_shape;  // to sum gradients back to

  Binary() {}  // written out, so that Op{} does not first fill all of it with zeros

  Tensor forward(Saver<kSaved>& save, const Tensor& a, const Tensor& b) {
    Op& op = static_cast<Op&>(*this);
    Tensor y = map<Op::kIntegers>(Op::kName, a, b, [](auto left, auto right) { return Op::value(left, right); });
    if (save.active()) {
      a_shape = a.shape();
      b_shape = b.shape();
      if constexpr (kSlots > 0) op.keep(save, a, b, y);
    }
    return y;
  }

  static void cases(Cases& cases) {
    const auto check = [&](const char* label, const Shape& a, const Shape& b) {
      const auto make = [&](const Shape& shape) {
        return kPositive ? cases.uniform(shape, 0.5, 2.0) : cases.normal(shape);
      };
      cases.add({label,
                 {make(a), make(b)},
                 [](const Tensors& in) { return call(in[0], in[1]); },
                 [](const Tensors& in) {
                   const naive::Array left(in[0]), right(in[1]);
                   return naive::build(broadcast(left.shape, right.shape, "naive"), [&](const Shape& i) {
                     return Op::expected(left.broadcast(i), right.broadcast(i));
                   });
                 },
                 Op::kDifferentiable});
    };
    check("same shape", {3, 4}, {3, 4});
    check("row", {3, 4}, {4});
    check("column and row", {3, 1}, {1, 4});
    check("rank 0", {}, {2, 3});
    check("middle", {2, 1, 3}, {2, 4, 1});
    check("empty", {0, 3}, {3});
    cases.refuse(
        "shapes",
        [] {
          call(zeros({3, 4}), zeros({2, 4}));
        },
        "shapes do not broadcast");
    cases.refuse(
        "dtypes", [] { call(zeros({3}), zeros({3}, DType::f64)); }, "dtypes differ");
  }

 private:
  static Tensor call(const Tensor& a, const Tensor& b) {
    if constexpr (Op::kDifferentiable) return apply(Op{}, a, b);
    Saver<kSaved> nothing;
    return Op{}.forward(nothing, a, b);
  }
};

}  // namespace gradus::ops
