// Losses composed of elementwise ops. Prediction and target must have the same shape: broadcasting here is always a
// bug.
#include "core/ops/elementwise.h"

#include <fmt/format.h>

#include <cmath>

namespace gradus {
namespace ops {
namespace {

void check_pair(const char* op, const Tensor& prediction, const Tensor& target) {
  GRADUS_CHECK(
      prediction.shape() == target.shape() && prediction.dtype() == target.dtype(),
      fmt::format("{}: prediction and target differ\n  prediction: {}\n  target: {}\n  hint: reshape one; losses do "
                  "not broadcast",
                  op, describe(prediction), describe(target)));
}

Tensor reduce(const Tensor& losses, Reduction reduction) {
  if (reduction == Reduction::none) return losses;
  return reduction == Reduction::mean ? mean(losses) : sum(losses);
}

using LossFunction = Tensor (*)(const Tensor&, const Tensor&, Reduction);

// Checks all three reductions of a loss against its formula for one element.
template <class F>
void loss_cases(Cases& cases, LossFunction loss, const Tensor& prediction, const Tensor& target, const F& element,
                bool batch_mean = false) {
  const auto naive_losses = [=](const Tensors& in) {
    const naive::Array p(in[0]), t(in[1]);
    return naive::build(p.shape, [&](const Shape& i) { return element(p(i), t(i)); });
  };
  cases.add({"none",
             {prediction, target},
             [=](const Tensors& in) { return loss(in[0], in[1], Reduction::none); },
             naive_losses});
  for (const bool average : {false, true})
    cases.add({average ? "mean" : "sum",
               {prediction, target},
               [=](const Tensors& in) { return loss(in[0], in[1], average ? Reduction::mean : Reduction::sum); },
               [=](const Tensors& in) {
                 double total = 0;
                 for (const double value : naive_losses(in).to_vector()) total += value;
                 const Index count = batch_mean ? in[0].shape()[0] : in[0].numel();
                 return scalar(average ? total / static_cast<double>(count) : total, DType::f64);
               }});
  cases.refuse(
      "shapes",
      [=] {
        loss(zeros({4, 1}), zeros({4}), Reduction::mean);
      },
      "losses do not broadcast");
}

struct MseLoss {
  static constexpr std::string_view kName = "mse_loss";
  static void cases(Cases& cases) {
    loss_cases(cases, &mse_loss, cases.normal({3, 4}), cases.normal({3, 4}),
               [](double p, double t) { return (p - t) * (p - t); });
  }
};

struct L1Loss {
  static constexpr std::string_view kName = "l1_loss";
  static void cases(Cases& cases) {
    loss_cases(cases, &l1_loss, cases.normal({3, 4}), cases.normal({3, 4}),
               [](double p, double t) { return std::fabs(p - t); });
  }
};

struct HuberLoss {
  static constexpr std::string_view kName = "huber_loss";
  static void cases(Cases& cases) {
    loss_cases(
        cases, [](const Tensor& p, const Tensor& t, Reduction r) { return huber_loss(p, t, 0.7, r); },
        cases.normal({3, 4}), cases.normal({3, 4}),
        [](double p, double t) {
          const double error = std::fabs(p - t);
          return error <= 0.7 ? 0.5 * error * error : 0.7 * (error - 0.35);
        });
    cases.refuse(
        "delta", [] { huber_loss(zeros({1}), zeros({1}), 0); }, "delta must be positive");
  }
};

struct BceWithLogits {
  static constexpr std::string_view kName = "bce_with_logits";
  static void cases(Cases& cases) {
    const auto element = [](double x, double t) {
      return -t * std::log(1 / (1 + std::exp(-x))) - (1 - t) * std::log(1 / (1 + std::exp(x)));
    };
    loss_cases(cases, &bce_with_logits, cases.normal({3, 4}), cases.uniform({3, 4}, 0, 1), element);
    cases.add({"large logits",
               {tensor({800, -800}, DType::f64), tensor({0, 1}, DType::f64)},
               [](const Tensors& in) { return bce_with_logits(in[0], in[1]); },
               [](const Tensors&) { return scalar(800, DType::f64); },
               false});
  }
};

struct KlDiv {
  static constexpr std::string_view kName = "kl_div";
  static void cases(Cases& cases) {
    loss_cases(
        cases, &kl_div, cases.normal({3, 4}), cases.uniform({3, 4}, 0.1, 1),
        [](double input, double t) { return t * (std::log(t) - input); }, /*batch_mean=*/true);
    cases.add({"zero target",
               {tensor({-1, -2}, DType::f64)},
               [](const Tensors& in) {
                 return kl_div(in[0], tensor({0, 1}, in[0].dtype()), Reduction::sum);
               },
               [](const Tensors&) { return scalar(2, DType::f64); }});
  }
};

struct HingeLoss {
  static constexpr std::string_view kName = "hinge_loss";
  static void cases(Cases& cases) {
    loss_cases(
        cases, [](const Tensor& p, const Tensor& t, Reduction r) { return hinge_loss(p, t, 1, r); },
        cases.normal({3, 4}), sign(cases.normal({3, 4})), [](double p, double t) { return std::fmax(0, 1 - t * p); });
  }
};

using Family = OpList<MseLoss, L1Loss, HuberLoss, BceWithLogits, KlDiv, HingeLoss>;

}  // namespace

std::vector<OpInfo> loss_ops() { return Family::table(); }

}  // namespace ops

using ops::check_pair;
using ops::reduce;

Tensor mse_loss(const Tensor& prediction, const Tensor& target, Reduction reduction) {
  check_pair("mse_loss", prediction, target);
  return reduce(square(prediction - target), reduction);
}

Tensor l1_loss(const Tensor& prediction, const Tensor& target, Reduction reduction) {
  check_pair("l1_loss", prediction, target);
  return reduce(abs(prediction - target), reduction);
}

Tensor huber_loss(const Tensor& prediction, const Tensor& target, double delta, Reduction reduction) {
  check_pair("huber_loss", prediction, target);
  GRADUS_CHECK(delta > 0, fmt::format("huber_loss: delta must be positive, got {}", delta));
  const Tensor error = abs(prediction - target);
  const Tensor near = clamp(error, 0, delta);  // near (error - near / 2): quadratic inside, linear outside
  return reduce(near * (error - 0.5 * near), reduction);
}

Tensor bce_with_logits(const Tensor& logits, const Tensor& target, Reduction reduction) {
  check_pair("bce_with_logits", logits, target);
  return reduce(softplus(logits) - logits * target, reduction);
}

Tensor kl_div(const Tensor& log_probabilities, const Tensor& target, Reduction reduction) {
  check_pair("kl_div", log_probabilities, target);
  const Tensor positive = greater(target.detach(), zeros_like(target));
  const Tensor log_target = log(where(positive, target, ones_like(target)));  // 0 log 0 counts as 0
  const Tensor losses = target * (log_target - log_probabilities);
  if (reduction != Reduction::mean) return reduce(losses, reduction);
  GRADUS_CHECK(losses.rank() > 0, "kl_div: the mean over a batch needs at least one axis");
  return sum(losses) * (1.0 / static_cast<double>(losses.shape()[0]));
}

Tensor hinge_loss(const Tensor& prediction, const Tensor& target, double margin, Reduction reduction) {
  check_pair("hinge_loss", prediction, target);
  return reduce(relu(margin - target * prediction), reduction);
}

}  // namespace gradus
