// Elementwise ops of two operands, comparisons, and where.
#include "core/leaf.h"
#include "core/ops/elementwise.h"

namespace gradus {
namespace ops {

void fail_dtype(std::string_view op, DType dtype) {
  fail(fmt::format("{}: not defined for {} tensors\n  hint: convert with to(x, DType::f32)", op, name_of(dtype)));
}

void check_same_dtype(std::string_view op, const Tensor& a, const Tensor& b) {
  GRADUS_CHECK(a.dtype() == b.dtype(),
               fmt::format("{}: dtypes differ\n  a: {}\n  b: {}\n  hint: convert one with to(x, DType::{})", op,
                           describe(a), describe(b), name_of(a.dtype())));
}

Tensor run_unary(const Tensor& operand, const void* op, UnaryRow row) {
  const Tensor x = contiguous(operand);
  Tensor y = empty(x.shape(), x.dtype());
  const auto element = static_cast<Index>(size_of(x.dtype()));
  const char* in = x.ptr<char>();
  char* out = y.mutable_ptr<char>();
  parallel_for(x.numel(), kernels::kChunk,
               [=](Index begin, Index end) { row(op, in + begin * element, out + begin * element, end - begin); });
  return y;
}

void run_binary(const Tensor& a, const Tensor& b, Tensor& y, const void* op, BinaryRow row) {
  const auto element = static_cast<Index>(size_of(y.dtype()));
  const char* left = a.ptr<char>();
  const char* right = b.ptr<char>();
  char* out = y.mutable_ptr<char>();
  if (a.is_contiguous() && b.is_contiguous() && a.shape() == b.shape()) {
    parallel_for(y.numel(), kernels::kChunk, [=](Index begin, Index end) {
      row(op, left + begin * element, 1, right + begin * element, 1, out + begin * element, end - begin);
    });
    return;
  }
  const Tensor wide_a = expand(a, y.shape());
  const Tensor wide_b = expand(b, y.shape());
  const auto nest = kernels::merge_axes<3>(y.shape(), {&y.strides(), &wide_a.strides(), &wide_b.strides()});
  kernels::for_each_row(nest, [=](const auto& at, Index count, const auto& step) {
    row(op, left + at[1] * element, step[1], right + at[2] * element, step[2], out + at[0] * element, count);
  });
}

namespace {

struct Add : Binary<Add, 0> {
  static constexpr std::string_view kName = "add";
  template <class T>
  static T value(T a, T b) {
    return a + b;
  }
  Grads<2> vjp(const Saved<0>&, const Tensor& dy, Needs<2> needs) const {
    return {needs[0] ? sum_to(dy, a_shape) : Tensor(), needs[1] ? sum_to(dy, b_shape) : Tensor()};
  }
  static double expected(double a, double b) { return b + a; }
};

struct Sub : Binary<Sub, 0> {
  static constexpr std::string_view kName = "sub";
  template <class T>
  static T value(T a, T b) {
    return a - b;
  }
  Grads<2> vjp(const Saved<0>&, const Tensor& dy, Needs<2> needs) const {
    return {needs[0] ? sum_to(dy, a_shape) : Tensor(), needs[1] ? sum_to(-dy, b_shape) : Tensor()};
  }
  static double expected(double a, double b) { return -(b - a); }
};

struct Mul : Binary<Mul, 2> {
  static constexpr std::string_view kName = "mul";
  template <class T>
  static T value(T a, T b) {
    return a * b;
  }
  static void keep(Saver<2>& save, const Tensor& a, const Tensor& b, const Tensor&) {
    if (save.needs(0)) save.at(1, b);
    if (save.needs(1)) save.at(0, a);
  }
  Grads<2> vjp(const Saved<2>& saved, const Tensor& dy, Needs<2> needs) const {
    return {needs[0] ? sum_to(dy * saved[1], a_shape) : Tensor(), needs[1] ? sum_to(dy * saved[0], b_shape) : Tensor()};
  }
  static double expected(double a, double b) { return b * a; }
};

struct Div : Binary<Div, 2, /*kPositive=*/true> {
  static constexpr std::string_view kName = "div";
  static constexpr bool kIntegers = false;
  template <class T>
  static T value(T a, T b) {
    return a / b;
  }
  static void keep(Saver<2>& save, const Tensor&, const Tensor& b, const Tensor& y) {
    save.at(0, b);
    if (save.needs(1)) save.at(1, y);
  }
  Grads<2> vjp(const Saved<2>& saved, const Tensor& dy, Needs<2> needs) const {
    const Tensor da = dy / saved[0];
    return {needs[0] ? sum_to(da, a_shape) : Tensor(), needs[1] ? sum_to(-(da * saved[1]), b_shape) : Tensor()};
  }
  static double expected(double a, double b) { return std::exp(std::log(a) - std::log(b)); }
};

struct Pow : Binary<Pow, 3, /*kPositive=*/true> {
  static constexpr std::string_view kName = "pow";
  static constexpr bool kIntegers = false;
  template <class T>
  static T value(T a, T b) {
    return std::pow(a, b);
  }
  static void keep(Saver<3>& save, const Tensor& a, const Tensor& b, const Tensor& y) {
    save(a, b);
    if (save.needs(1)) save.at(2, y);
  }
  Grads<2> vjp(const Saved<3>& saved, const Tensor& dy, Needs<2> needs) const {
    Grads<2> grads;
    if (needs[0]) grads[0] = sum_to(dy * (saved[1] * pow(saved[0], saved[1] - 1.0)), a_shape);
    if (needs[1]) {  // 0 log 0 counts as 0
      const Tensor positive = greater(saved[0], zeros_like(saved[0]));
      const Tensor log_a = log(where(positive, saved[0], ones_like(saved[0])));
      grads[1] = sum_to(dy * (saved[2] * log_a), b_shape);
    }
    return grads;
  }
  static double expected(double a, double b) { return std::exp(b * std::log(a)); }
};

// The gradient goes to the winner; equal operands share it.
template <class Op>
struct Extremum : Binary<Op, 2> {
  static void keep(Saver<2>& save, const Tensor& a, const Tensor& b, const Tensor&) { save(a, b); }
  Grads<2> vjp(const Saved<2>& saved, const Tensor& dy, Needs<2> needs) const {
    const Tensor share = affine(equal(saved[0], saved[1]), 0.5, 0);
    const Tensor to_a = Op::wins(saved[0], saved[1]) + share;
    Grads<2> grads;
    if (needs[0]) grads[0] = sum_to(dy * to_a, this->a_shape);
    if (needs[1]) grads[1] = sum_to(dy * (1.0 - to_a), this->b_shape);
    return grads;
  }
};

struct Maximum : Extremum<Maximum> {
  static constexpr std::string_view kName = "maximum";
  template <class T>
  static T value(T a, T b) {
    return a > b || a != a ? a : b;
  }  // NaN wins
  static Tensor wins(const Tensor& a, const Tensor& b) { return greater(a, b); }
  static double expected(double a, double b) { return std::fmax(a, b); }
};

struct Minimum : Extremum<Minimum> {
  static constexpr std::string_view kName = "minimum";
  template <class T>
  static T value(T a, T b) {
    return a < b || a != a ? a : b;
  }
  static Tensor wins(const Tensor& a, const Tensor& b) { return less(a, b); }
  static double expected(double a, double b) { return std::fmin(a, b); }
};

template <class Op>
struct Comparison : Binary<Op, 0> {
  static constexpr bool kDifferentiable = false;
  template <class T>
  static T value(T a, T b) {
    return static_cast<T>(Op::holds(a, b));
  }
  static double expected(double a, double b) { return Op::holds(a, b) ? 1 : 0; }
};

struct Equal : Comparison<Equal> {
  static constexpr std::string_view kName = "equal";
  static bool holds(auto a, auto b) { return a == b; }
};
struct NotEqual : Comparison<NotEqual> {
  static constexpr std::string_view kName = "not_equal";
  static bool holds(auto a, auto b) { return a != b; }
};
struct Less : Comparison<Less> {
  static constexpr std::string_view kName = "less";
  static bool holds(auto a, auto b) { return a < b; }
};
struct LessEqual : Comparison<LessEqual> {
  static constexpr std::string_view kName = "less_equal";
  static bool holds(auto a, auto b) { return a <= b; }
};
struct Greater : Comparison<Greater> {
  static constexpr std::string_view kName = "greater";
  static bool holds(auto a, auto b) { return a > b; }
};
struct GreaterEqual : Comparison<GreaterEqual> {
  static constexpr std::string_view kName = "greater_equal";
  static bool holds(auto a, auto b) { return a >= b; }
};

/// a where the condition is not 0, else b.
struct Where {
  static constexpr std::string_view kName = "where";
  static constexpr int kSaved = 0;
  Tensor condition;
  Shape a_shape = {}, b_shape = {};

  Tensor forward(Saver<0>&, const Tensor& a, const Tensor& b) {
    check_same_dtype(kName, a, b);
    a_shape = a.shape();
    b_shape = b.shape();
    const Shape shape = broadcast(broadcast(a_shape, b_shape, "where"), condition.shape(), "where");
    Tensor y = empty(shape, a.dtype());
    const Tensor wide_a = expand(a, shape);
    const Tensor wide_b = expand(b, shape);
    const Tensor wide_c = expand(condition, shape);
    const auto nest =
        kernels::merge_axes<4>(shape, {&y.strides(), &wide_a.strides(), &wide_b.strides(), &wide_c.strides()});
    with_type<true>(condition.dtype(), kName, [&]<class C>() {
      with_type<true>(a.dtype(), kName, [&]<class T>() {
        kernels::for_each_row(nest, [&](const auto& at, Index count, const auto& step) {
          T* __restrict out = y.mutable_ptr<T>() + at[0];
          const T* left = a.ptr<T>() + at[1];
          const T* right = b.ptr<T>() + at[2];
          const C* choice = condition.ptr<C>() + at[3];
          for (Index i = 0; i < count; ++i)
            out[i * step[0]] = choice[i * step[3]] != 0 ? left[i * step[1]] : right[i * step[2]];
        });
      });
    });
    return y;
  }
  Grads<2> vjp(const Saved<0>&, const Tensor& dy, Needs<2> needs) const {
    const Tensor zero = scalar(0, dy.dtype());
    Grads<2> grads;
    if (needs[0]) grads[0] = sum_to(where(condition, dy, zero), a_shape);
    if (needs[1]) grads[1] = sum_to(where(condition, zero, dy), b_shape);
    return grads;
  }
  static void cases(Cases& cases) {
    const auto check = [&](const char* label, const Shape& c, const Shape& a, const Shape& b) {
      const Tensor condition = greater(cases.normal(c), scalar(0, DType::f64));
      cases.add({label,
                 {cases.normal(a), cases.normal(b)},
                 [condition](const Tensors& in) { return where(condition, in[0], in[1]); },
                 [condition](const Tensors& in) {
                   const naive::Array choice(condition), left(in[0]), right(in[1]);
                   const Shape shape = broadcast(broadcast(choice.shape, left.shape, "naive"), right.shape, "naive");
                   return naive::build(shape, [&](const Shape& i) {
                     return choice.broadcast(i) != 0 ? left.broadcast(i) : right.broadcast(i);
                   });
                 }});
    };
    check("same shape", {3, 4}, {3, 4}, {3, 4});
    check("broadcast", {4}, {3, 1}, {2, 1, 4});
    check("empty", {0, 3}, {3}, {});
    cases.refuse(
        "shapes", [] { where(zeros({2}), zeros({3}), zeros({3})); }, "shapes do not broadcast");
    cases.refuse(
        "dtypes", [] { where(zeros({3}), zeros({3}), zeros({3}, DType::f64)); }, "dtypes differ");
  }
};

using Family =
    OpList<Add, Sub, Mul, Div, Pow, Maximum, Minimum, Equal, NotEqual, Less, LessEqual, Greater, GreaterEqual, Where>;

}  // namespace

std::vector<OpInfo> binary_ops() { return Family::table(); }

}  // namespace ops

using ops::Family;

Tensor add(const Tensor& a, const Tensor& b) { return Family::run(ops::Add{}, a, b); }
Tensor sub(const Tensor& a, const Tensor& b) { return Family::run(ops::Sub{}, a, b); }
Tensor mul(const Tensor& a, const Tensor& b) { return Family::run(ops::Mul{}, a, b); }
Tensor div(const Tensor& a, const Tensor& b) { return Family::run(ops::Div{}, a, b); }
Tensor pow(const Tensor& a, const Tensor& b) { return Family::run(ops::Pow{}, a, b); }
Tensor maximum(const Tensor& a, const Tensor& b) { return Family::run(ops::Maximum{}, a, b); }
Tensor minimum(const Tensor& a, const Tensor& b) { return Family::run(ops::Minimum{}, a, b); }

Tensor operator+(const Tensor& a, const Tensor& b) { return add(a, b); }
Tensor operator-(const Tensor& a, const Tensor& b) { return sub(a, b); }
Tensor operator*(const Tensor& a, const Tensor& b) { return mul(a, b); }
Tensor operator/(const Tensor& a, const Tensor& b) { return div(a, b); }

Tensor equal(const Tensor& a, const Tensor& b) { return Family::evaluate(ops::Equal{}, a, b); }
Tensor not_equal(const Tensor& a, const Tensor& b) { return Family::evaluate(ops::NotEqual{}, a, b); }
Tensor less(const Tensor& a, const Tensor& b) { return Family::evaluate(ops::Less{}, a, b); }
Tensor less_equal(const Tensor& a, const Tensor& b) { return Family::evaluate(ops::LessEqual{}, a, b); }
Tensor greater(const Tensor& a, const Tensor& b) { return Family::evaluate(ops::Greater{}, a, b); }
Tensor greater_equal(const Tensor& a, const Tensor& b) { return Family::evaluate(ops::GreaterEqual{}, a, b); }

Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b) {
  return Family::run(ops::Where{condition.detach()}, a, b);
}

void detail::add_in_place(Tensor& sum, const Tensor& addend) {
  ops::with_type<true>(sum.dtype(), "add", [&]<class T>() {
    if (sum.is_contiguous() && addend.is_contiguous()) {
      parallel_for(sum.numel(), kernels::kChunk,
                   [total = sum.mutable_ptr<T>(), more = addend.ptr<T>()](Index i, Index end) {
                     T* __restrict to = total;
                     for (; i < end; ++i) to[i] += more[i];
                   });
      return;
    }
    const auto nest = kernels::merge_axes<2>(sum.shape(), {&sum.strides(), &addend.strides()});
    kernels::for_each_row(nest, [&](const auto& offsets, Index count, const auto& steps) {
      T* total = sum.mutable_ptr<T>() + offsets[0];
      const T* more = addend.ptr<T>() + offsets[1];
      for (Index i = 0; i < count; ++i) total[i * steps[0]] += more[i * steps[1]];
    });
  });
}

}  // namespace gradus
