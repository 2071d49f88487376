// Softmax and log-softmax, over dense rows.
#include "core/kernels/rows.h"
#include "core/ops/elementwise.h"

#include <fmt/format.h>

#include <cmath>

namespace gradus {
namespace ops {
namespace {

using kernels::row_logsumexp;
using kernels::row_max;
using kernels::row_sum;
using kernels::rows_per_chunk;

// Calls f(row, x_row, y_row) for every row of the last axis.
template <class T, class F>
void for_each_line(const Tensor& x, Tensor& y, const F& f) {
  const Index columns = x.shape().back();
  if (x.numel() == 0) return;
  parallel_for(x.numel() / columns, rows_per_chunk(columns), [&](Index begin, Index end) {
    for (Index row = begin; row < end; ++row) f(row, x.ptr<T>() + row * columns, y.mutable_ptr<T>() + row * columns);
  });
}

template <class Op>
void softmax_cases(Cases& cases, bool logarithm, Tensor (*call)(const Tensor&, int)) {
  const auto check = [&](const char* label, const Tensor& x, int axis) {
    cases.add({label,
               {x},
               [=](const Tensors& in) { return call(in[0], axis); },
               [=](const Tensors& in) {
                 const naive::Array input(in[0]);
                 const int along = axis < 0 ? axis + input.shape.rank() : axis;
                 return naive::build(input.shape, [&](const Shape& i) {
                   double top = -INFINITY, total = 0;
                   for (Index k = 0; k < input.shape[along]; ++k) {
                     Shape at = i;
                     at[along] = k;
                     top = std::fmax(top, input(at));
                   }
                   for (Index k = 0; k < input.shape[along]; ++k) {
                     Shape at = i;
                     at[along] = k;
                     total += std::exp(input(at) - top);
                   }
                   const double log_share = input(i) - top - std::log(total);
                   return logarithm ? log_share : std::exp(log_share);
                 });
               }});
  };
  check("rows", cases.normal({3, 5}), -1);
  check("columns", cases.normal({3, 5}), 0);
  check("middle", cases.normal({2, 3, 4}), 1);
  check("long row", cases.normal({2, 37}), 1);
  check("large", tensor({1000, 1001, -1000, 3}, DType::f64), 0);
  check("empty", cases.normal({0, 3}), 1);
  cases.refuse(
      "axis",
      [=] {
        call(zeros({2, 3}), 2);
      },
      "axis 2 is out of range");
  cases.refuse(
      "nothing",
      [=] {
        call(zeros({2, 0}), 1);
      },
      "no classes");
}

struct Softmax {
  static constexpr std::string_view kName = "softmax";
  static constexpr int kSaved = 1;
  Tensor forward(Saver<1>& save, const Tensor& x) {  // dense
    Tensor y = empty_like(x);
    const Index columns = x.shape().back();
    with_type<false>(x.dtype(), kName, [&]<class T>() {
      for_each_line<T>(x, y, [=](Index, const T* in, T* out) {
        const T top = row_max(in, columns);
        for (Index i = 0; i < columns; ++i) out[i] = math::exp(in[i] - top);
        const T scale = T(1) / row_sum<T>(columns, [=](Index i) { return out[i]; });
        for (Index i = 0; i < columns; ++i) out[i] *= scale;
      });
    });
    save(y);
    return y;
  }
  Grads<1> vjp(const Saved<1>& saved, const Tensor& dy, Needs<1>) const {
    const Tensor& y = saved[0];
    if (grad_enabled()) return {y * (dy - sum(dy * y, {-1}, true))};
    const Tensor slope = contiguous(dy);
    Tensor dx = empty_like(y);
    const Index columns = y.shape().back();
    with_type<false>(y.dtype(), kName, [&]<class T>() {
      for_each_line<T>(y, dx, [&](Index row, const T* p, T* out) {
        const T* d = slope.ptr<T>() + row * columns;
        const T inner = row_sum<T>(columns, [=](Index i) { return d[i] * p[i]; });
        for (Index i = 0; i < columns; ++i) out[i] = p[i] * (d[i] - inner);
      });
    });
    return {dx};
  }
  static void cases(Cases& cases) { softmax_cases<Softmax>(cases, false, &softmax); }
};

struct LogSoftmax {
  static constexpr std::string_view kName = "log_softmax";
  static constexpr int kSaved = 1;
  Tensor forward(Saver<1>& save, const Tensor& x) {
    Tensor y = empty_like(x);
    const Index columns = x.shape().back();
    with_type<false>(x.dtype(), kName, [&]<class T>() {
      for_each_line<T>(x, y, [=](Index, const T* in, T* out) {
        const auto [top, log_sum] = row_logsumexp(in, columns);
        for (Index i = 0; i < columns; ++i) out[i] = (in[i] - top) - log_sum;
      });
    });
    save(y);
    return y;
  }
  Grads<1> vjp(const Saved<1>& saved, const Tensor& dy, Needs<1>) const {
    return {dy - exp(saved[0]) * sum(dy, {-1}, true)};
  }
  static void cases(Cases& cases) { softmax_cases<LogSoftmax>(cases, true, &log_softmax); }
};

using Family = OpList<Softmax, LogSoftmax>;

// Moves `axis` to the back, applies a row op, and moves it home.
template <class Op>
Tensor along_axis(const Tensor& x, int axis) {
  axis = normalize_axis(axis, x.rank(), Op::kName.data());
  GRADUS_CHECK(x.shape()[axis] > 0 || x.numel() != 0 || x.shape()[axis] != 0,
               fmt::format("{}: axis {} of {} has no classes", Op::kName, axis, describe(x)));
  if (axis == x.rank() - 1) return Family::run(Op{}, contiguous(x));
  return transpose(Family::run(Op{}, contiguous(transpose(x, axis, -1))), axis, -1);
}

}  // namespace

std::vector<OpInfo> softmax_ops() { return Family::table(); }

}  // namespace ops

Tensor softmax(const Tensor& x, int axis) { return ops::along_axis<ops::Softmax>(x, axis); }
Tensor log_softmax(const Tensor& x, int axis) { return ops::along_axis<ops::LogSoftmax>(x, axis); }

}  // namespace gradus
