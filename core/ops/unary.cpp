// Elementwise ops of one operand.
#include "core/kernels/math.h"
#include "core/ops/elementwise.h"

namespace gradus {
namespace ops {
namespace {

constexpr double kSqrtHalf = 0.70710678118654752440;
constexpr double kSqrtTwoOverPi = 0.79788456080286535588;
constexpr double kInvSqrtTwoPi = 0.39894228040143267794;
constexpr double kTwoOverSqrtPi = 1.12837916709551257390;
constexpr double kGeluCubic = 0.044715;

struct Neg : Unary<Neg, Keep::nothing> {
  static constexpr std::string_view kName = "neg";
  static constexpr bool kIntegers = true;
  template <class T>
  T value(T x) const {
    return -x;
  }
  Tensor gradient(const Tensor& dy) const { return -dy; }
  double expected(double x) const { return 0 - x; }
};

struct Abs : Unary<Abs, Keep::input> {
  static constexpr std::string_view kName = "abs";
  static constexpr bool kIntegers = true;
  template <class T>
  T value(T x) const {
    return x < 0 ? -x : x + T(0);
  }  // + 0 turns -0 into 0
  Tensor gradient(const Tensor& x, const Tensor& dy) const { return dy * sign(x); }
  double expected(double x) const { return std::fabs(x); }
};

struct Sign : Unary<Sign, Keep::nothing> {
  static constexpr std::string_view kName = "sign";
  static constexpr bool kIntegers = true;
  template <class T>
  T value(T x) const {
    return static_cast<T>((x > 0) - (x < 0));
  }
  Tensor gradient(const Tensor& dy) const { return zeros_like(dy); }
  double expected(double x) const { return x > 0 ? 1 : x < 0 ? -1 : 0; }
};

struct Exp : Unary<Exp, Keep::output> {
  static constexpr std::string_view kName = "exp";
  template <class T>
  T value(T x) const {
    return math::exp(x);
  }
  Tensor gradient(const Tensor& y, const Tensor& dy) const { return dy * y; }
  double expected(double x) const { return std::exp(x); }
};

struct Log : Unary<Log, Keep::input, 0.3, 3.0> {
  static constexpr std::string_view kName = "log";
  template <class T>
  T value(T x) const {
    return math::log(x);
  }
  Tensor gradient(const Tensor& x, const Tensor& dy) const { return dy / x; }
  double expected(double x) const { return std::log(x); }
};

struct Sqrt : Unary<Sqrt, Keep::output, 0.3, 3.0> {
  static constexpr std::string_view kName = "sqrt";
  template <class T>
  T value(T x) const {
    return std::sqrt(x);
  }
  Tensor gradient(const Tensor& y, const Tensor& dy) const { return dy * 0.5 / y; }
  double expected(double x) const { return std::pow(x, 0.5); }
};

struct Rsqrt : Unary<Rsqrt, Keep::output, 0.3, 3.0> {
  static constexpr std::string_view kName = "rsqrt";
  template <class T>
  T value(T x) const {
    return T(1) / std::sqrt(x);
  }
  Tensor gradient(const Tensor& y, const Tensor& dy) const { return dy * (-0.5 * (y * square(y))); }
  double expected(double x) const { return std::pow(x, -0.5); }
};

struct Square : Unary<Square, Keep::input> {
  static constexpr std::string_view kName = "square";
  static constexpr bool kIntegers = true;
  template <class T>
  T value(T x) const {
    return x * x;
  }
  template <class T>
  T slope(T x, T dy) const {
    return dy * (T(2) * x);
  }
  Tensor gradient(const Tensor& x, const Tensor& dy) const { return dy * (2.0 * x); }
  double expected(double x) const { return std::pow(x, 2); }
};

struct Reciprocal : Unary<Reciprocal, Keep::output, 0.3, 3.0> {
  static constexpr std::string_view kName = "reciprocal";
  template <class T>
  T value(T x) const {
    return T(1) / x;
  }
  Tensor gradient(const Tensor& y, const Tensor& dy) const { return -(dy * square(y)); }
  double expected(double x) const { return std::pow(x, -1); }
};

struct Sin : Unary<Sin, Keep::input> {
  static constexpr std::string_view kName = "sin";
  template <class T>
  T value(T x) const {
    return std::sin(x);
  }
  Tensor gradient(const Tensor& x, const Tensor& dy) const { return dy * cos(x); }
  double expected(double x) const { return std::sin(x); }
};

struct Cos : Unary<Cos, Keep::input> {
  static constexpr std::string_view kName = "cos";
  template <class T>
  T value(T x) const {
    return std::cos(x);
  }
  Tensor gradient(const Tensor& x, const Tensor& dy) const { return -(dy * sin(x)); }
  double expected(double x) const { return std::cos(x); }
};

struct Erf : Unary<Erf, Keep::input> {
  static constexpr std::string_view kName = "erf";
  template <class T>
  T value(T x) const {
    return math::erf(x);
  }
  Tensor gradient(const Tensor& x, const Tensor& dy) const { return dy * (kTwoOverSqrtPi * exp(-square(x))); }
  double expected(double x) const { return std::erf(x); }
};

struct Tanh : Unary<Tanh, Keep::output> {
  static constexpr std::string_view kName = "tanh";
  template <class T>
  T value(T x) const {
    return math::tanh(x);
  }
  template <class T>
  T slope(T y, T dy) const {
    return dy * (T(1) - y * y);
  }
  Tensor gradient(const Tensor& y, const Tensor& dy) const { return dy * (1.0 - square(y)); }
  double expected(double x) const { return std::tanh(x); }
};

struct Sigmoid : Unary<Sigmoid, Keep::output> {
  static constexpr std::string_view kName = "sigmoid";
  template <class T>
  T value(T x) const {
    return math::sigmoid(x);
  }
  template <class T>
  T slope(T y, T dy) const {
    return dy * (y * (T(1) - y));
  }
  Tensor gradient(const Tensor& y, const Tensor& dy) const { return dy * (y * (1.0 - y)); }
  double expected(double x) const { return 1 / (1 + std::exp(-x)); }
};

struct Relu : Unary<Relu, Keep::output> {
  static constexpr std::string_view kName = "relu";
  template <class T>
  T value(T x) const {
    return x < T(0) ? T(0) : x;
  }  // NaN passes through
  template <class T>
  T slope(T y, T dy) const {
    return y > T(0) ? dy : T(0);
  }
  Tensor gradient(const Tensor& y, const Tensor& dy) const { return where(y, dy, zeros_like(dy)); }
  double expected(double x) const { return std::fmax(x, 0); }
};

struct LeakyRelu : Unary<LeakyRelu, Keep::input> {
  static constexpr std::string_view kName = "leaky_relu";
  double negative_slope = 0.01;
  static std::vector<LeakyRelu> examples() { return {{{}, 0.01}, {{}, 0.3}}; }
  template <class T>
  T value(T x) const {
    return x > T(0) ? x : x * static_cast<T>(negative_slope);
  }
  template <class T>
  T slope(T x, T dy) const {
    return x > T(0) ? dy : dy * static_cast<T>(negative_slope);
  }
  Tensor gradient(const Tensor& x, const Tensor& dy) const {
    return where(greater(x, zeros_like(x)), dy, dy * negative_slope);
  }
  double expected(double x) const { return std::fmax(x, 0) + negative_slope * std::fmin(x, 0); }
};

struct GeluExact : Unary<GeluExact, Keep::input> {
  static constexpr std::string_view kName = "gelu";
  template <class T>
  T value(T x) const {
    return T(0.5) * x * (T(1) + math::erf(x * T(kSqrtHalf)));
  }
  template <class T>
  T slope(T x, T dy) const {
    const T cdf = T(0.5) * (T(1) + math::erf(x * T(kSqrtHalf)));
    return dy * (cdf + x * T(kInvSqrtTwoPi) * math::exp(T(-0.5) * x * x));
  }
  Tensor gradient(const Tensor& x, const Tensor& dy) const {
    return dy * (affine(erf(x * kSqrtHalf), 0.5, 0.5) + x * (kInvSqrtTwoPi * exp(-0.5 * square(x))));
  }
  double expected(double x) const { return 0.5 * x * std::erfc(-x / std::sqrt(2.0)); }
};

struct GeluTanh : Unary<GeluTanh, Keep::input> {
  static constexpr std::string_view kName = "gelu_tanh";
  template <class T>
  static T inner(T x) {
    return T(kSqrtTwoOverPi) * (x + T(kGeluCubic) * x * x * x);
  }
  template <class T>
  T value(T x) const {
    return T(0.5) * x * (T(1) + math::tanh(inner(x)));
  }
  template <class T>
  T slope(T x, T dy) const {
    const T t = math::tanh(inner(x));
    const T d_inner = T(kSqrtTwoOverPi) * (T(1) + T(3 * kGeluCubic) * x * x);
    return dy * (T(0.5) * (T(1) + t) + T(0.5) * x * (T(1) - t * t) * d_inner);
  }
  Tensor gradient(const Tensor& x, const Tensor& dy) const {
    const Tensor t = tanh(kSqrtTwoOverPi * (x + kGeluCubic * (x * square(x))));
    const Tensor d_inner = affine(square(x), 3 * kGeluCubic * kSqrtTwoOverPi, kSqrtTwoOverPi);
    return dy * (affine(t, 0.5, 0.5) + 0.5 * x * (1.0 - square(t)) * d_inner);
  }
  double expected(double x) const {
    return x / (1 + std::exp(-2 * std::sqrt(2 / std::acos(-1.0)) * (x + 0.044715 * std::pow(x, 3))));
  }
};

struct Silu : Unary<Silu, Keep::input> {
  static constexpr std::string_view kName = "silu";
  template <class T>
  T value(T x) const {
    return x * math::sigmoid(x);
  }
  template <class T>
  T slope(T x, T dy) const {
    const T s = math::sigmoid(x);
    return dy * (s + x * s * (T(1) - s));
  }
  Tensor gradient(const Tensor& x, const Tensor& dy) const {
    const Tensor s = sigmoid(x);
    return dy * (s + x * s * (1.0 - s));
  }
  double expected(double x) const { return x / (1 + std::exp(-x)); }
};

struct Softplus : Unary<Softplus, Keep::input> {
  static constexpr std::string_view kName = "softplus";
  template <class T>
  T value(T x) const {
    return math::softplus(x);
  }
  template <class T>
  T slope(T x, T dy) const {
    return dy * math::sigmoid(x);
  }
  Tensor gradient(const Tensor& x, const Tensor& dy) const { return dy * sigmoid(x); }
  double expected(double x) const { return std::fmax(x, 0) + std::log1p(std::exp(-std::fabs(x))); }
};

struct Clamp : Unary<Clamp, Keep::input> {
  static constexpr std::string_view kName = "clamp";
  double low = -1, high = 1;
  static std::vector<Clamp> examples() { return {{{}, -1, 1}, {{}, 0.25, INFINITY}}; }
  template <class T>
  T value(T x) const {
    return x < T(low) ? T(low) : x > T(high) ? T(high) : x;
  }
  template <class T>
  T slope(T x, T dy) const {
    return x >= T(low) && x <= T(high) ? dy : T(0);
  }
  Tensor gradient(const Tensor& x, const Tensor& dy) const {
    return where(greater_equal(x, full_like(x, low)) * less_equal(x, full_like(x, high)), dy, zeros_like(dy));
  }
  double expected(double x) const { return std::fmin(std::fmax(x, low), high); }
};

struct Affine : Unary<Affine, Keep::nothing> {
  static constexpr std::string_view kName = "affine";
  double scale = 1, shift = 0;
  static std::vector<Affine> examples() { return {{{}, 3, 0}, {{}, -0.5, 2}}; }
  template <class T>
  T value(T x) const {
    return static_cast<T>(scale) * x + static_cast<T>(shift);
  }
  Tensor gradient(const Tensor& dy) const { return dy * scale; }
  double expected(double x) const { return shift + x * scale; }
};

struct PowScalar : Unary<PowScalar, Keep::input, 0.3, 3.0> {
  static constexpr std::string_view kName = "pow_scalar";
  double exponent = 3;
  static std::vector<PowScalar> examples() { return {{{}, 3}, {{}, -1.5}, {{}, 0.5}, {{}, 0}}; }
  template <class T>
  T value(T x) const {
    return std::pow(x, static_cast<T>(exponent));
  }
  Tensor gradient(const Tensor& x, const Tensor& dy) const {
    if (exponent == 0) return zeros_like(dy);
    return dy * (exponent * pow(x, exponent - 1));
  }
  double expected(double x) const { return std::exp2(exponent * std::log2(x)); }
};

/// Conversion between dtypes; its gradient converts back.
struct Cast {
  static constexpr std::string_view kName = "to";
  static constexpr int kSaved = 0;
  DType target;
  DType source = DType::f32;
  Tensor forward(Saver<0>&, const Tensor& x) {
    source = x.dtype();
    return empty(x.shape(), target).copy_(x);
  }
  Grads<1> vjp(const Saved<0>&, const Tensor& dy, Needs<1>) const { return {to(dy, source)}; }
  static void cases(Cases& cases) {
    for (const DType dtype : {DType::f32, DType::bf16})
      cases.add({std::string(name_of(dtype)) + " and back",
                 {cases.normal({3, 4})},
                 [dtype](const Tensors& in) { return to(to(in[0], dtype), in[0].dtype()); },
                 [dtype](const Tensors& in) {
                   const naive::Array x(in[0]);
                   return naive::build(x.shape, [&](const Shape& i) {
                     const auto single = static_cast<float>(x(i));
                     return static_cast<double>(dtype == DType::bf16 ? static_cast<float>(bf16(single)) : single);
                   });
                 },
                 false});
  }
};

using Family = OpList<Neg, Abs, Sign, Exp, Log, Sqrt, Rsqrt, Square, Reciprocal, Sin, Cos, Erf, Tanh, Sigmoid, Relu,
                      LeakyRelu, GeluExact, GeluTanh, Silu, Softplus, Clamp, Affine, PowScalar, Cast>;

}  // namespace

std::vector<OpInfo> unary_ops() { return Family::table(); }

}  // namespace ops

using ops::Family;

Tensor neg(const Tensor& x) { return Family::run(ops::Neg{}, x); }
Tensor abs(const Tensor& x) { return Family::run(ops::Abs{}, x); }
Tensor sign(const Tensor& x) { return Family::run(ops::Sign{}, x); }
Tensor exp(const Tensor& x) { return Family::run(ops::Exp{}, x); }
Tensor log(const Tensor& x) { return Family::run(ops::Log{}, x); }
Tensor sqrt(const Tensor& x) { return Family::run(ops::Sqrt{}, x); }
Tensor rsqrt(const Tensor& x) { return Family::run(ops::Rsqrt{}, x); }
Tensor square(const Tensor& x) { return Family::run(ops::Square{}, x); }
Tensor reciprocal(const Tensor& x) { return Family::run(ops::Reciprocal{}, x); }
Tensor sin(const Tensor& x) { return Family::run(ops::Sin{}, x); }
Tensor cos(const Tensor& x) { return Family::run(ops::Cos{}, x); }
Tensor erf(const Tensor& x) { return Family::run(ops::Erf{}, x); }
Tensor tanh(const Tensor& x) { return Family::run(ops::Tanh{}, x); }
Tensor sigmoid(const Tensor& x) { return Family::run(ops::Sigmoid{}, x); }
Tensor relu(const Tensor& x) { return Family::run(ops::Relu{}, x); }
Tensor leaky_relu(const Tensor& x, double negative_slope) { return Family::run(ops::LeakyRelu{{}, negative_slope}, x); }
Tensor gelu(const Tensor& x, Gelu approximation) {
  return approximation == Gelu::exact ? Family::run(ops::GeluExact{}, x) : Family::run(ops::GeluTanh{}, x);
}
Tensor silu(const Tensor& x) { return Family::run(ops::Silu{}, x); }
Tensor softplus(const Tensor& x) { return Family::run(ops::Softplus{}, x); }
Tensor clamp(const Tensor& x, double low, double high) {
  GRADUS_CHECK(low <= high, fmt::format("clamp: low {} is above high {}", low, high));
  return Family::run(ops::Clamp{{}, low, high}, x);
}
Tensor affine(const Tensor& x, double scale, double shift) { return Family::run(ops::Affine{{}, scale, shift}, x); }
Tensor pow(const Tensor& a, double exponent) { return Family::run(ops::PowScalar{{}, exponent}, a); }
Tensor to(const Tensor& x, DType dtype) { return x.dtype() == dtype ? x : Family::run(ops::Cast{dtype}, x); }

Tensor operator-(const Tensor& x) { return neg(x); }
Tensor operator+(const Tensor& a, double b) { return affine(a, 1, b); }
Tensor operator-(const Tensor& a, double b) { return affine(a, 1, -b); }
Tensor operator*(const Tensor& a, double b) { return affine(a, b, 0); }
Tensor operator/(const Tensor& a, double b) { return affine(a, 1 / b, 0); }
Tensor operator+(double a, const Tensor& b) { return affine(b, 1, a); }
Tensor operator-(double a, const Tensor& b) { return affine(b, -1, a); }
Tensor operator*(double a, const Tensor& b) { return affine(b, a, 0); }
Tensor operator/(double a, const Tensor& b) { return reciprocal(b) * a; }

}  // namespace gradus
