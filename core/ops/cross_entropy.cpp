// Cross-entropy of logits, fused, and of log-probabilities.
#include "core/kernels/rows.h"
#include "core/ops/elementwise.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace gradus {
namespace ops {
namespace {

using kernels::row_logsumexp;
using kernels::row_sum;
using kernels::rows_per_chunk;

// What each logit weighs in the loss of its row: loss = -sum_c weight_c log p_c.
// Classes: (1 - smoothing) w_y at the target y and smoothing w_c / C everywhere; nothing in ignored rows.
// Probabilities: w_c ((1 - smoothing) t_c + smoothing / C).
struct Targets {
  Tensor target;   // dense: i64 [rows], or probabilities [rows, classes]
  Tensor weights;  // dense [classes] in the dtype of the logits, or empty
  double smoothing = 0;
  Index ignore_index = -100;

  bool by_class() const { return target.dtype() == DType::i64; }
  bool ignored(Index row) const { return by_class() && target.ptr<Index>()[row] == ignore_index; }

  template <class T>
  T weight(Index c) const {
    return weights.defined() ? weights.ptr<T>()[c] : T(1);
  }

  template <class T>
  void write_row(Index row, Index classes, T* out) const {
    const T spread = static_cast<T>(smoothing / static_cast<double>(classes));
    const T kept = static_cast<T>(1 - smoothing);
    for (Index c = 0; c < classes; ++c) {
      const T share = by_class() ? spread : kept * target.ptr<T>()[row * classes + c] + spread;
      out[c] = share * weight<T>(c);
    }
    if (by_class()) {
      const Index y = target.ptr<Index>()[row];
      out[y] += kept * weight<T>(y);
    }
  }

  // What the mean divides by: the weights of the targets that count, or the number of rows for probabilities.
  double total(Index rows, DType dtype) const {
    if (!by_class()) return static_cast<double>(rows);
    double sum = 0;
    for (Index row = 0; row < rows; ++row) {
      if (ignored(row)) continue;
      const Index y = target.ptr<Index>()[row];
      sum += dtype == DType::f32 ? static_cast<double>(weight<float>(y)) : weight<double>(y);
    }
    return sum;
  }
};

struct CrossEntropy {
  static constexpr std::string_view kName = "cross_entropy";
  static constexpr int kSaved = 2;
  Targets targets;
  Reduction reduction;
  double scale = 1;  // 1 / what the reduction divides by

  Tensor forward(Saver<2>& save, const Tensor& logits) {  // dense [rows, classes]
    const Index rows = logits.shape()[0], classes = logits.shape()[1];
    if (reduction == Reduction::mean) scale = 1 / targets.total(rows, logits.dtype());
    Tensor shift = empty({rows}, logits.dtype());  // log sum exp of each row
    Tensor losses = empty({rows}, logits.dtype());
    with_type<false>(logits.dtype(), kName, [&]<class T>() {
      parallel_for(rows, rows_per_chunk(classes), [&](Index begin, Index end) {
        std::vector<T> share(plain() ? 0 : static_cast<std::size_t>(classes));
        for (Index row = begin; row < end; ++row) {
          const T* x = logits.ptr<T>() + row * classes;
          T& loss = losses.mutable_ptr<T>()[row];
          const auto lse = row_logsumexp(x, classes);
          const auto nll = [=](Index c) { return lse.log_sum - (x[c] - lse.top); };
          shift.mutable_ptr<T>()[row] = lse.top + lse.log_sum;
          if (targets.ignored(row)) {
            loss = 0;
          } else if (plain()) {
            loss = nll(targets.target.ptr<Index>()[row]);
          } else {
            targets.write_row(row, classes, share.data());
            const T* a = share.data();
            loss = row_sum<T>(classes, [=](Index c) { return a[c] == T(0) ? T(0) : a[c] * nll(c); });
          }
        }
      });
    });
    save(logits, shift);
    return reduction == Reduction::none ? losses : sum(losses) * scale;
  }

  Grads<1> vjp(const Saved<2>& saved, const Tensor& dy, Needs<1>) const {
    const Tensor& logits = saved[0];
    const Index rows = logits.shape()[0], classes = logits.shape()[1];
    const Tensor slope = contiguous(dy);
    Tensor dx = empty_like(logits);
    with_type<false>(logits.dtype(), kName, [&]<class T>() {
      parallel_for(rows, rows_per_chunk(classes), [&](Index begin, Index end) {
        std::vector<T> share(plain() ? 0 : static_cast<std::size_t>(classes));
        for (Index row = begin; row < end; ++row) {
          const T* x = logits.ptr<T>() + row * classes;
          T* out = dx.mutable_ptr<T>() + row * classes;
          if (targets.ignored(row)) {
            std::fill(out, out + classes, T(0));
            continue;
          }
          const T lse = saved[1].ptr<T>()[row];
          const T factor = slope.ptr<T>()[reduction == Reduction::none ? row : 0] * static_cast<T>(scale);
          if (plain()) {
            for (Index c = 0; c < classes; ++c) out[c] = factor * math::exp(x[c] - lse);
            out[targets.target.ptr<Index>()[row]] -= factor;
            continue;
          }
          targets.write_row(row, classes, share.data());
          const T* a = share.data();
          const T mass = row_sum<T>(classes, [=](Index c) { return a[c]; });
          for (Index c = 0; c < classes; ++c) out[c] = factor * (mass * math::exp(x[c] - lse) - a[c]);
        }
      });
    });
    return {dx};
  }

  // The same from log_softmax, for second order.
  Tensor reference(const Tensor& logits) const {
    const Index rows = logits.shape()[0], classes = logits.shape()[1];
    Tensor share = zeros(logits.shape(), logits.dtype());
    with_type<false>(logits.dtype(), kName, [&]<class T>() {
      for (Index row = 0; row < rows; ++row)
        if (!targets.ignored(row)) targets.write_row(row, classes, share.mutable_ptr<T>() + row * classes);
    });
    const Tensor losses = -sum(share * log_softmax(logits), {1});
    return reduction == Reduction::none ? losses : sum(losses) * scale;
  }

  static void cases(Cases& cases);

 private:
  bool plain() const { return targets.by_class() && targets.smoothing == 0 && !targets.weights.defined(); }
};

// PyTorch's definition, written out with loops.
Tensor naive_cross_entropy(const Tensor& logits, const Tensor& target, const CrossEntropyOptions& options) {
  const naive::Array x(logits), t(target);
  const Index classes = x.shape.back(), rows = x.shape.numel() / classes;
  const bool by_class = target.dtype() == DType::i64;
  std::vector<double> losses;
  double divisor = 0;
  for (Index r = 0; r < rows; ++r) {
    const double* row = x.values.data() + r * classes;
    double total = 0;
    for (Index c = 0; c < classes; ++c) total += std::exp(row[c]);
    const auto weight = [&](Index c) {
      return options.class_weights.defined() ? options.class_weights.to_vector()[static_cast<std::size_t>(c)] : 1.0;
    };
    const auto nll = [&](Index c) { return weight(c) * (std::log(total) - row[c]); };
    double loss = 0;
    const auto y = by_class ? static_cast<Index>(t.values[static_cast<std::size_t>(r)]) : 0;
    if (by_class && y == options.ignore_index) {
      losses.push_back(0);
      continue;
    }
    for (Index c = 0; c < classes; ++c) {
      const double share = by_class ? (c == y ? 1.0 : 0.0) : t.values[static_cast<std::size_t>(r * classes + c)];
      loss += ((1 - options.label_smoothing) * share + options.label_smoothing / static_cast<double>(classes)) * nll(c);
    }
    losses.push_back(loss);
    divisor += by_class ? weight(y) : 1;
  }
  Shape shape = x.shape;
  shape.erase(shape.rank() - 1);
  if (options.reduction == Reduction::none) return tensor(losses, shape, DType::f64);
  double total = 0;
  for (const double loss : losses) total += loss;
  return scalar(options.reduction == Reduction::mean ? total / divisor : total, DType::f64);
}

void CrossEntropy::cases(Cases& cases) {
  const auto check = [&](const char* label, const Shape& shape, const Tensor& target,
                         const CrossEntropyOptions& options) {
    cases.add({label,
               {cases.normal(shape)},
               [=](const Tensors& in) {
                 CrossEntropyOptions cast = options;
                 if (options.class_weights.defined()) cast.class_weights = to(options.class_weights, in[0].dtype());
                 return cross_entropy(in[0], target.dtype() == DType::i64 ? target : to(target, in[0].dtype()), cast);
               },
               [=](const Tensors& in) { return naive_cross_entropy(in[0], target, options); }});
  };
  const Tensor classes = indices({1, 0, 4, 2});
  const Tensor weights = tensor({1, 0.5, 2, 0.1, 3}, DType::f64);
  const Tensor shares = softmax(cases.normal({4, 5}));
  check("classes", {4, 5}, classes, {});
  check("sum", {4, 5}, classes, {.reduction = Reduction::sum});
  check("none", {2, 2, 5}, reshape(classes, {2, 2}), {.reduction = Reduction::none});
  check("smoothing", {4, 5}, classes, {.label_smoothing = 0.1});
  check("weights", {4, 5}, classes, {.class_weights = weights});
  check("weights and smoothing", {4, 5}, classes, {.label_smoothing = 0.2, .class_weights = weights});
  check("ignored", {4, 5}, classes, {.ignore_index = 4, .class_weights = weights});
  check("ignored and smoothing", {4, 5}, classes, {.label_smoothing = 0.1, .ignore_index = 0});
  check("probabilities", {4, 5}, shares, {});
  check("probabilities, weights, smoothing", {4, 5}, shares, {.label_smoothing = 0.1, .class_weights = weights});
  check("many classes", {2, 40}, indices({39, 3}), {});
  const Tensor x = zeros({4, 5});
  cases.refuse(
      "label",
      [=] {
        cross_entropy(x, indices({1, 5, 0, 0}));
      },
      "label 5 at position 1 is outside 0 to 4");
  cases.refuse(
      "count",
      [=] {
        cross_entropy(x, indices({1, 2}));
      },
      "needs one class per row");
  cases.refuse(
      "dtype",
      [=] {
        cross_entropy(x, zeros({4, 5}, DType::f64));
      },
      "dtypes differ");
  cases.refuse(
      "smoothing",
      [=] {
        cross_entropy(x, indices({0, 0, 0, 0}), {.label_smoothing = 1.5});
      },
      "label_smoothing must be in [0, 1)");
  cases.refuse(
      "weights",
      [=] {
        cross_entropy(x, indices({0, 0, 0, 0}), {.class_weights = zeros({4})});
      },
      "class_weights needs");
}

struct NllLoss {
  static constexpr std::string_view kName = "nll_loss";
  static void cases(Cases& cases) {
    const Tensor classes = indices({1, 0, 4, 2});
    cases.add({"classes",
               {cases.normal({4, 5})},
               [=](const Tensors& in) { return nll_loss(log_softmax(in[0]), classes); },
               [=](const Tensors& in) { return naive_cross_entropy(in[0], classes, {}); }});
    const CrossEntropyOptions options{.ignore_index = 0, .class_weights = tensor({1, 0.5, 2, 0.1, 3}, DType::f64)};
    cases.add({"weights and ignored",
               {cases.normal({4, 5})},
               [=](const Tensors& in) {
                 CrossEntropyOptions cast = options;
                 cast.class_weights = to(options.class_weights, in[0].dtype());
                 return nll_loss(log_softmax(in[0]), classes, cast);
               },
               [=](const Tensors& in) { return naive_cross_entropy(in[0], classes, options); }});
    cases.refuse(
        "label",
        [] {
          nll_loss(zeros({1, 3}), indices({3}));
        },
        "label 3 at position 0 is outside 0 to 2");
  }
};

using Family = OpList<CrossEntropy, NllLoss>;

Tensor check_logits(const char* op, const Tensor& logits) {
  GRADUS_CHECK(logits.rank() >= 1 && logits.shape().back() > 0,
               fmt::format("{}: needs logits [..., classes], got {}", op, describe(logits)));
  return contiguous(reshape(logits, {-1, logits.shape().back()}));
}

Targets check_targets(const char* op, const Tensor& logits, const Tensor& target, const CrossEntropyOptions& options) {
  const Index classes = logits.shape().back();
  Targets result{contiguous(target.detach()), {}, options.label_smoothing, options.ignore_index};
  GRADUS_CHECK(options.label_smoothing >= 0 && options.label_smoothing < 1,
               fmt::format("{}: label_smoothing must be in [0, 1), got {}", op, options.label_smoothing));
  if (target.dtype() == DType::i64) {
    Shape rows = logits.shape();
    rows.erase(rows.rank() - 1);
    GRADUS_CHECK(target.shape() == rows,
                 fmt::format("{}: needs one class per row\n  logits: {}\n  target: {}\n  expected {}", op,
                             describe(logits), describe(target), to_string(rows)));
    const auto labels = result.target.data<Index>();
    for (std::size_t i = 0; i < labels.size(); ++i)
      GRADUS_CHECK((labels[i] >= 0 && labels[i] < classes) || labels[i] == options.ignore_index,
                   fmt::format("{}: label {} at position {} is outside 0 to {}", op, labels[i], i, classes - 1));
  } else {
    check_same_dtype(op, logits, target);
    GRADUS_CHECK(target.shape() == logits.shape(),
                 fmt::format("{}: target probabilities need the shape of the logits\n  logits: {}\n  target: {}", op,
                             describe(logits), describe(target)));
    GRADUS_CHECK(!target.requires_grad(),
                 fmt::format("{}: gradients for target probabilities are not defined\n  hint: use "
                             "-sum(target * log_softmax(logits))",
                             op));
  }
  if (options.class_weights.defined()) {
    GRADUS_CHECK(options.class_weights.shape() == Shape{classes} && options.class_weights.dtype() == logits.dtype(),
                 fmt::format("{}: class_weights needs {} [{}], got {}", op, name_of(logits.dtype()), classes,
                             describe(options.class_weights)));
    result.weights = contiguous(options.class_weights.detach());
  }
  return result;
}

}  // namespace

std::vector<OpInfo> cross_entropy_ops() { return Family::table(); }

}  // namespace ops

Tensor cross_entropy(const Tensor& logits, const Tensor& target, const CrossEntropyOptions& options) {
  const Tensor rows = ops::check_logits("cross_entropy", logits);
  ops::Targets targets = ops::check_targets("cross_entropy", logits, target, options);
  const Tensor loss = ops::Family::run(ops::CrossEntropy{std::move(targets), options.reduction}, rows);
  if (options.reduction != Reduction::none) return loss;
  Shape shape = logits.shape();
  shape.erase(shape.rank() - 1);
  return reshape(loss, shape);
}

Tensor nll_loss(const Tensor& log_probabilities, const Tensor& target, const CrossEntropyOptions& options) {
  const Tensor rows = ops::check_logits("nll_loss", log_probabilities);
  GRADUS_CHECK(target.dtype() == DType::i64,
               fmt::format("nll_loss: targets must be i64 classes, got {}", describe(target)));
  const ops::Targets targets = ops::check_targets("nll_loss", log_probabilities, target, options);
  const Tensor flat = reshape(target, {-1, 1});
  const Tensor counted = not_equal(flat, full_like(flat, static_cast<double>(options.ignore_index)));
  const Tensor safe = where(counted, flat, zeros_like(flat));
  Tensor weight = to(counted, rows.dtype());
  if (targets.weights.defined()) weight = weight * unsqueeze(index_select(targets.weights, 0, reshape(safe, {-1})), 1);
  const Tensor losses = -(gather(rows, 1, safe) * weight);
  if (options.reduction == Reduction::mean) return sum(losses) / sum(weight);
  return options.reduction == Reduction::sum ? sum(losses) : reshape(losses, target.shape());
}

}  // namespace gradus
