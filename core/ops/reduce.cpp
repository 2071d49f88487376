// Reductions over axes. A dense tensor and a run of neighboring axes are seen as [outer, count, inner]; other axis
// lists are reduced run by run from the back.
#include "core/kernels/loop.h"
#include "core/ops/elementwise.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace gradus {
namespace ops {
namespace {

using kernels::kChunk;

Axes normalize_axes(const Axes& axes, int rank, const char* op) {
  Axes result;
  if (axes.empty())
    for (int i = 0; i < rank; ++i) result.push_back(i);
  for (const int axis : axes) result.push_back(normalize_axis(axis, rank, op));
  std::sort(result.begin(), result.end());
  GRADUS_CHECK(std::adjacent_find(result.begin(), result.end()) == result.end(),
               fmt::format("{}: an axis is named twice", op));
  return result;
}

// The shape after reducing sorted axes.
Shape reduced(Shape shape, const Axes& axes, bool keepdim) {
  for (auto axis = axes.rbegin(); axis != axes.rend(); ++axis) {
    shape[*axis] = 1;
    if (!keepdim) shape.erase(*axis);
  }
  return shape;
}

Index count_of(const Shape& shape, const Axes& axes) {
  Index count = 1;
  for (const int axis : axes) count *= shape[axis];
  return count;
}

// --- kernels on [outer, count, inner]
// ----------------------------------------------------------------------------------

// Sum of dense values: 32 running sums per block of 1,024, blocks in double. Fixed order; the error stays small.
template <class T>
double sum_dense(const T* x, Index count) {
  constexpr Index kLanes = 32;
  constexpr Index kBlock = 1024;
  double total = 0;
  for (Index begin = 0; begin < count; begin += kBlock) {
    const Index end = std::min(begin + kBlock, count);
    T lanes[kLanes] = {};
    Index i = begin;
    for (; i + kLanes <= end; i += kLanes)
      for (Index k = 0; k < kLanes; ++k) lanes[k] += x[i + k];
    for (Index k = 0; i < end; ++i, ++k) lanes[k] += x[i];
    for (Index width = kLanes / 2; width > 0; width /= 2)
      for (Index k = 0; k < width; ++k) lanes[k] += lanes[k + width];
    total += static_cast<double>(lanes[0]);
  }
  return total;
}

template <class T>
void sum_kernel(const T* x, T* y, Index outer, Index count, Index inner, double divisor) {
  if (inner == 1 && outer == 1 && count > kChunk) {
    std::vector<double> partial(static_cast<std::size_t>((count + kChunk - 1) / kChunk));
    parallel_for(count, kChunk, [&](Index begin, Index end) {
      partial[static_cast<std::size_t>(begin / kChunk)] = sum_dense(x + begin, end - begin);
    });
    double total = 0;
    for (const double part : partial) total += part;
    *y = static_cast<T>(total / divisor);
    return;
  }
  if (inner == 1) {
    parallel_for(outer, std::max<Index>(1, kChunk / std::max<Index>(count, 1)), [=](Index begin, Index end) {
      for (Index o = begin; o < end; ++o) y[o] = static_cast<T>(sum_dense(x + o * count, count) / divisor);
    });
    return;
  }
  // Columns: rows are added in groups, and the groups to the total, so that long columns keep their precision.
  constexpr Index kGroup = 64;
  const Index width = std::clamp<Index>(kChunk / std::max<Index>(count, 1), 64, 4096);
  const Index strips = (inner + width - 1) / width;
  parallel_for(outer * strips, std::max<Index>(1, kChunk / std::max<Index>(count * width, 1)),
               [=](Index begin, Index end) {
                 T group[4096];
                 for (Index job = begin; job < end; ++job) {
                   const Index o = job / strips;
                   const Index first = job % strips * width;
                   const Index columns = std::min(width, inner - first);
                   T* __restrict total = y + o * inner + first;
                   std::fill(total, total + columns, T(0));
                   for (Index row = 0; row < count; row += kGroup) {
                     std::fill(group, group + columns, T(0));
                     for (Index r = row; r < std::min(row + kGroup, count); ++r) {
                       const T* in = x + (o * count + r) * inner + first;
                       for (Index c = 0; c < columns; ++c) group[c] += in[c];
                     }
                     for (Index c = 0; c < columns; ++c) total[c] += group[c];
                   }
                   if (divisor != 1)
                     for (Index c = 0; c < columns; ++c)
                       total[c] = static_cast<T>(static_cast<double>(total[c]) / divisor);
                 }
               });
}

template <class T, class Better>
void extreme_kernel(const T* x, T* y, Index outer, Index count, Index inner, const Better& better) {
  parallel_for(outer, std::max<Index>(1, kChunk / std::max<Index>(count * inner, 1)), [&](Index begin, Index end) {
    for (Index o = begin; o < end; ++o) {
      T* best = y + o * inner;
      const T* in = x + o * count * inner;
      std::copy(in, in + inner, best);
      for (Index r = 1; r < count; ++r)
        for (Index i = 0; i < inner; ++i) {
          const T value = in[r * inner + i];
          best[i] = better(value, best[i]) || value != value ? value : best[i];  // NaN wins
        }
    }
  });
}

// Applies kernel(in, out, outer, count, inner) to each run of neighboring axes, from the back.
template <class Kernel>
Tensor reduce_runs(const Tensor& x, Axes axes, bool keepdim, const Kernel& kernel) {
  const Shape result = reduced(x.shape(), axes, keepdim);
  Tensor y = contiguous(x);
  bool first_run = true;
  while (!axes.empty()) {
    const int last = axes.back();
    int first = last;
    axes.pop_back();
    while (!axes.empty() && axes.back() == first - 1) {
      first = axes.back();
      axes.pop_back();
    }
    Index outer = 1, count = 1, inner = 1;
    Shape shape = y.shape();
    for (int i = 0; i < shape.rank(); ++i) (i < first ? outer : i <= last ? count : inner) *= shape[i];
    for (int i = first; i <= last; ++i) shape[i] = 1;
    Tensor next = empty(shape, y.dtype());
    kernel(y, next, outer, count, inner, first_run);
    y = std::move(next);
    first_run = false;
  }
  if (first_run) y = clone(y);
  return reshape(y, result);
}

// dy with the reduced axes put back, spread over x's shape: a view.
Tensor spread(const Tensor& dy, const Shape& shape, const Axes& axes) {
  return expand(reshape(dy, reduced(shape, axes, true)), shape);
}

// --- ops
// ---------------------------------------------------------------------------------------------------------------

// A naive reduction for the tests: collects the values of each result element.
template <class F>
Tensor naive_reduce(const Tensor& input, const Axes& axes, bool keepdim, const F& f) {
  const naive::Array x(input);
  const Axes all = normalize_axes(axes, x.shape.rank(), "naive");
  const Shape kept = reduced(x.shape, all, true);
  std::vector<std::vector<double>> groups(static_cast<std::size_t>(kept.numel()));
  const naive::Array place(kept);
  naive::each(x.shape, [&](const Shape& index) {
    Shape at = index;
    for (const int axis : all) at[axis] = 0;
    groups[place.position(at)].push_back(x(index));
  });
  std::vector<double> values;
  for (const auto& group : groups) values.push_back(f(group));
  return tensor(values, reduced(x.shape, all, keepdim), DType::f64);
}

template <class Call, class F>
void reduction_cases(Cases& cases, const Call& call, const F& f, bool empty_ok) {
  const auto check = [&](const char* label, const Shape& shape, const Axes& axes, bool keepdim) {
    cases.add({label,
               {cases.normal(shape)},
               [=](const Tensors& in) { return call(in[0], axes, keepdim); },
               [=](const Tensors& in) { return naive_reduce(in[0], axes, keepdim, f); }});
  };
  check("all", {3, 4}, {}, false);
  check("rows", {3, 4}, {1}, false);
  check("columns", {3, 4}, {0}, true);
  check("middle", {2, 3, 4}, {1}, false);
  check("outer and inner", {2, 3, 4}, {0, -1}, false);
  check("keepdim", {2, 3, 4}, {1, 2}, true);
  check("wide columns", {70, 5}, {0}, false);
  if (empty_ok) check("empty", {0, 3}, {0}, false);
  check("none left", {0, 3}, {1}, false);
  cases.refuse(
      "axis",
      [=] {
        call(zeros({2, 3}), Axes{2}, false);
      },
      "axis 2 is out of range");
  cases.refuse(
      "twice",
      [=] {
        call(zeros({2, 3}), Axes{0, -2}, false);
      },
      "named twice");
}

template <bool kMean>
struct Total {
  static constexpr std::string_view kName = kMean ? "mean" : "sum";
  static constexpr int kSaved = 0;
  Axes axes;
  bool keepdim;
  Shape shape = {};

  double divisor() const { return kMean ? static_cast<double>(count_of(shape, axes)) : 1.0; }
  Tensor forward(Saver<0>&, const Tensor& x) {
    shape = x.shape();
    return reduce_runs(x, axes, keepdim, [this](const Tensor& in, Tensor& out, Index o, Index c, Index i, bool first) {
      with_type<!kMean>(in.dtype(), kName, [&]<class T>() {
        sum_kernel(in.ptr<T>(), out.mutable_ptr<T>(), o, c, i, first ? divisor() : 1.0);
      });
    });
  }
  Grads<1> vjp(const Saved<0>&, const Tensor& dy, Needs<1>) const {
    const Tensor whole = spread(kMean ? dy * (1 / divisor()) : dy, shape, axes);
    return {whole};
  }
  static void cases(Cases& cases) {
    reduction_cases(
        cases,
        [](const Tensor& x, const Axes& axes, bool keepdim) {
          return kMean ? mean(x, axes, keepdim) : sum(x, axes, keepdim);
        },
        [](const std::vector<double>& values) {
          double total = 0;
          for (const double value : values) total += value;
          return kMean ? total / static_cast<double>(values.size()) : total;
        },
        !kMean);
  }
};
using Sum = Total<false>;
using Mean = Total<true>;

template <bool kMax>
struct Extreme {
  static constexpr std::string_view kName = kMax ? "max" : "min";
  static constexpr int kSaved = 2;
  Axes axes;
  bool keepdim;

  Tensor forward(Saver<2>& save, const Tensor& x) {
    GRADUS_CHECK(count_of(x.shape(), axes) > 0 || reduced(x.shape(), axes, true).numel() == 0,
                 fmt::format("{}: no elements to choose from in {}", kName, describe(x)));
    Tensor y = reduce_runs(x, axes, keepdim, [](const Tensor& in, Tensor& out, Index o, Index c, Index i, bool) {
      if (out.numel() == 0) return;
      with_type<true>(in.dtype(), kName, [&]<class T>() {
        extreme_kernel(in.ptr<T>(), out.mutable_ptr<T>(), o, c, i, [](T a, T b) { return kMax ? a > b : a < b; });
      });
    });
    save(x, y);
    return y;
  }
  Grads<1> vjp(const Saved<2>& saved, const Tensor& dy, Needs<1>) const {
    const Tensor& x = saved[0];
    const Tensor chosen = equal(x, spread(saved[1], x.shape(), axes).detach());
    return {spread(dy / reshape(sum(chosen, axes, true), dy.shape()), x.shape(), axes) * chosen};
  }
  static void cases(Cases& cases) {
    reduction_cases(
        cases,
        [](const Tensor& x, const Axes& axes, bool keepdim) {
          return kMax ? max(x, axes, keepdim) : min(x, axes, keepdim);
        },
        [](const std::vector<double>& values) {
          double best = values[0];
          for (const double value : values) best = kMax ? std::fmax(best, value) : std::fmin(best, value);
          return best;
        },
        false);
    cases.refuse(
        "nothing",
        [] {
          kMax ? max(zeros({0, 3})) : min(zeros({0, 3}));
        },
        "no elements to choose from");
  }
};
using Max = Extreme<true>;
using Min = Extreme<false>;

template <bool kMax>
struct ArgExtreme {
  static constexpr std::string_view kName = kMax ? "argmax" : "argmin";
  static constexpr int kSaved = 0;
  int axis;
  bool keepdim;

  Tensor forward(Saver<0>&, const Tensor& input) {
    const Tensor x = contiguous(input);
    const Index count = x.shape()[axis];
    const Shape shape = reduced(x.shape(), {axis}, keepdim);
    GRADUS_CHECK(count > 0 || shape.numel() == 0,
                 fmt::format("{}: no elements to choose from in {}", kName, describe(x)));
    Tensor y = empty(shape, DType::i64);
    Index inner = 1;
    for (int i = axis + 1; i < x.rank(); ++i) inner *= x.shape()[i];
    with_type<true>(x.dtype(), kName, [&]<class T>() {
      Index* best = y.mutable_ptr<Index>();
      for (Index at = 0; at < y.numel(); ++at) {
        const T* in = x.ptr<T>() + at / inner * count * inner + at % inner;
        Index winner = 0;
        for (Index r = 1; r < count; ++r) {
          const T value = in[r * inner];
          const T leader = in[winner * inner];
          if (leader == leader && ((kMax ? value > leader : value < leader) || value != value)) winner = r;  // NaN wins
        }
        best[at] = winner;
      }
    });
    return y;
  }
  static void cases(Cases& cases) {
    const auto check = [&](const char* label, const Shape& shape, int axis, bool keepdim) {
      cases.add({label,
                 {cases.normal(shape)},
                 [=](const Tensors& in) { return kMax ? argmax(in[0], axis, keepdim) : argmin(in[0], axis, keepdim); },
                 [=](const Tensors& in) {
                   return naive_reduce(in[0], {axis}, keepdim, [](const std::vector<double>& values) {
                     const auto best = kMax ? std::max_element(values.begin(), values.end())
                                            : std::min_element(values.begin(), values.end());
                     return static_cast<double>(best - values.begin());
                   });
                 },
                 false});
    };
    check("last", {3, 4}, -1, false);
    check("first", {3, 4}, 0, true);
    check("middle", {2, 5, 3}, 1, false);
    check("empty", {0, 3}, 1, false);
    cases.refuse(
        "nothing",
        [] {
          kMax ? argmax(zeros({3, 0}), 1) : argmin(zeros({3, 0}), 1);
        },
        "no elements to choose from");
  }
};

// --- composed of the above
// ---------------------------------------------------------------------------------------------

struct Variance {
  static constexpr std::string_view kName = "var";
  static void cases(Cases& cases) {
    const auto check = [&](const char* label, const Shape& shape, const Axes& axes, int correction, bool keepdim) {
      cases.add({label,
                 {cases.normal(shape)},
                 [=](const Tensors& in) { return var(in[0], axes, correction, keepdim); },
                 [=](const Tensors& in) {
                   return naive_reduce(in[0], axes, keepdim, [=](const std::vector<double>& values) {
                     double total = 0, squares = 0;
                     const auto n = static_cast<double>(values.size());
                     for (const double value : values) total += value;
                     for (const double value : values) squares += (value - total / n) * (value - total / n);
                     return squares / (n - correction);
                   });
                 }});
    };
    check("sample", {3, 4}, {1}, 1, false);
    check("population", {3, 4}, {}, 0, true);
    cases.refuse(
        "too few",
        [] {
          var(zeros({3, 1}), {1});
        },
        "needs more than 1");
  }
};

struct LogSumExp {
  static constexpr std::string_view kName = "logsumexp";
  static void cases(Cases& cases) {
    reduction_cases(
        cases, [](const Tensor& x, const Axes& axes, bool keepdim) { return logsumexp(x, axes, keepdim); },
        [](const std::vector<double>& values) {
          double total = 0;
          for (const double value : values) total += std::exp(value);
          return std::log(total);
        },
        false);
    cases.add({"large",
               {tensor({1000, 1001, 999}, DType::f64)},
               [](const Tensors& in) { return logsumexp(in[0]); },
               [](const Tensors&) { return scalar(1001.4076059644443, DType::f64); }});
    cases.add({"minus infinity",
               {tensor({-INFINITY, -INFINITY}, DType::f64)},
               [](const Tensors& in) { return logsumexp(in[0]); },
               [](const Tensors&) { return scalar(-INFINITY, DType::f64); },
               false});
  }
};

struct Norm {
  static constexpr std::string_view kName = "norm";
  static void cases(Cases& cases) {
    for (const double p : {1.0, 2.0, 3.0, static_cast<double>(INFINITY)})
      reduction_cases(
          cases, [p](const Tensor& x, const Axes& axes, bool keepdim) { return norm(x, p, axes, keepdim); },
          [p](const std::vector<double>& values) {
            double total = 0;
            for (const double value : values)
              total = std::isinf(p) ? std::fmax(total, std::fabs(value)) : total + std::pow(std::fabs(value), p);
            return std::isinf(p) ? total : std::pow(total, 1 / p);
          },
          false);
    cases.refuse(
        "p", [] { norm(zeros({3}), 0.5); }, "p must be at least 1");
  }
};

using Family = OpList<Sum, Mean, Max, Min, ArgExtreme<true>, ArgExtreme<false>, Variance, LogSumExp, Norm>;

}  // namespace

std::vector<OpInfo> reduce_ops() { return Family::table(); }

}  // namespace ops

using ops::Family;
using ops::normalize_axes;

Tensor sum(const Tensor& x, const Axes& axes, bool keepdim) {
  return Family::run(ops::Sum{normalize_axes(axes, x.rank(), "sum"), keepdim}, x);
}
Tensor mean(const Tensor& x, const Axes& axes, bool keepdim) {
  return Family::run(ops::Mean{normalize_axes(axes, x.rank(), "mean"), keepdim}, x);
}
Tensor max(const Tensor& x, const Axes& axes, bool keepdim) {
  return Family::run(ops::Max{normalize_axes(axes, x.rank(), "max"), keepdim}, x);
}
Tensor min(const Tensor& x, const Axes& axes, bool keepdim) {
  return Family::run(ops::Min{normalize_axes(axes, x.rank(), "min"), keepdim}, x);
}
Tensor argmax(const Tensor& x, int axis, bool keepdim) {
  return Family::evaluate(ops::ArgExtreme<true>{normalize_axis(axis, x.rank(), "argmax"), keepdim}, x);
}
Tensor argmin(const Tensor& x, int axis, bool keepdim) {
  return Family::evaluate(ops::ArgExtreme<false>{normalize_axis(axis, x.rank(), "argmin"), keepdim}, x);
}

Tensor var(const Tensor& x, const Axes& axes, int correction, bool keepdim) {
  const Axes all = normalize_axes(axes, x.rank(), "var");
  const Index count = ops::count_of(x.shape(), all);
  GRADUS_CHECK(count > correction,
               fmt::format("var: with correction {} each group needs more than {} elements, got {} from {}", correction,
                           correction, count, describe(x)));
  const double scale = static_cast<double>(count) / static_cast<double>(count - correction);
  return mean(square(x - mean(x, all, true)), all, keepdim) * scale;
}

Tensor logsumexp(const Tensor& x, const Axes& axes, bool keepdim) {
  const Axes all = normalize_axes(axes, x.rank(), "logsumexp");
  Tensor shift = max(x.detach(), all, true);
  shift = where(less(abs(shift), scalar(INFINITY, x.dtype())), shift, zeros_like(shift));
  return log(sum(exp(x - shift), all, keepdim)) + reshape(shift, ops::reduced(x.shape(), all, keepdim));
}

Tensor norm(const Tensor& x, double p, const Axes& axes, bool keepdim) {
  GRADUS_CHECK(p >= 1, fmt::format("norm: p must be at least 1, got {}", p));
  const Axes all = normalize_axes(axes, x.rank(), "norm");
  if (p == 1) return sum(abs(x), all, keepdim);
  if (std::isinf(p)) return max(abs(x), all, keepdim);
  const Tensor powers = sum(p == 2 ? square(x) : pow(abs(x), p), all, keepdim);
  // The root has no slope at 0: take it of 1 there and multiply by 0.
  const Tensor positive = greater(powers.detach(), scalar(0, x.dtype()));
  const Tensor safe = where(positive, powers, ones_like(powers));
  return (p == 2 ? sqrt(safe) : pow(safe, 1 / p)) * positive;
}

}  // namespace gradus
